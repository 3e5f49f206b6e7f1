//! THE declaration: which source feeds which log feeds which sink.
//!
//! Stated once, and printed by `goldwire topology` and the admin listener's `/topology`.

mod config;
mod rules;

pub use config::{Config, SourceConfig, load, load_loosely, load_to_serve, parse, schema};

use std::fmt::Write as _;

use serde::Serialize;

use crate::dead_letter::INGEST;
use crate::refresh::RefreshConfig;
use crate::sink::registry::Described;
use crate::sink::{Mode, OnFull, SinkConfig};
use crate::source::kafka::config::KafkaSource;
use crate::webhook::SignatureScheme;

/// What flows where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Names the groups.
    pub app: String,
    /// Whose events.
    pub tenant: String,
    /// What is read.
    pub sources: Vec<SourceNode>,
    /// What stands between.
    pub logs: Vec<LogNode>,
    /// What is written.
    pub sinks: Vec<SinkNode>,
    /// What is refreshed after that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refreshes: Vec<RefreshNode>,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceNode {
    /// Its name.
    pub name: String,
    /// `kafka` or `webhook`.
    pub kind: &'static str,
    /// Topic or path.
    pub from: String,
    /// The group of its ingest task.
    pub group: String,
    /// The log it goes through before ingest, if any.
    pub through: Option<&'static str>,
    /// Whose dead letters hold what ingest refuses.
    pub dead_letters: &'static str,
}

/// A log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogNode {
    /// Its name.
    pub name: &'static str,
    /// `journal` or `kafka`.
    pub kind: &'static str,
    /// Topic and brokers of what is not on this machine.
    pub at: Option<String>,
    /// Partitions.
    pub partitions: u16,
    /// Bytes at most, of what is on this machine.
    pub quota: Option<u64>,
}

/// A sink.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SinkNode {
    /// Its name.
    pub name: String,
    /// Its key in the configuration: `kafka`.
    pub kind: &'static str,
    /// Where it writes, never with a secret.
    pub target: String,
    /// Its consumer group: one task a partition.
    pub group: String,
    /// `latest` or `history`.
    pub mode: &'static str,
    /// `version` or `none`.
    pub guard: &'static str,
    /// How long ids of changes are kept, at a target without unique keys.
    pub dedupe: Option<String>,
    /// What happens when it holds the log back.
    pub on_full: &'static str,
    /// Whose dead letters hold what it refuses.
    pub dead_letters: String,
}

/// A dashboard that is refreshed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefreshNode {
    /// Its name.
    pub name: String,
    /// Its key in the configuration: `power_bi`.
    pub kind: &'static str,
    /// What is refreshed, never with a secret.
    pub target: String,
    /// The sink that it follows.
    pub after: String,
    /// Refreshes in any 24 hours at most.
    pub budget_per_day: u32,
}

impl Topology {
    /// The topology that `config` declares.
    pub fn of(config: &Config) -> Self {
        let mut sources = Vec::new();
        for (name, source) in &config.sources {
            if let Some(kafka) = &source.kafka {
                let (topic, group) = topic_and_group(kafka);
                sources.push(SourceNode {
                    name: name.clone(),
                    kind: "kafka",
                    from: topic.replace("{tenant}", &config.tenant),
                    group,
                    through: None,
                    dead_letters: INGEST,
                });
            }
            if let Some(hook) = &source.webhook {
                let scheme = match hook.scheme {
                    SignatureScheme::Reltio => "reltio",
                    SignatureScheme::Standard => "standard",
                };
                sources.push(SourceNode {
                    name: name.clone(),
                    kind: "webhook",
                    from: format!("{} signed {scheme}", hook.path),
                    group: format!("{}.inbox", config.app),
                    through: Some("inbox"),
                    dead_letters: INGEST,
                });
            }
        }
        let journal = |name, partitions, quota| LogNode {
            name,
            kind: "journal",
            at: None,
            partitions,
            quota: Some(quota),
        };
        let inbox = config.inbox.quota.get();
        let logs = if let Some(kafka) = &config.log.kafka {
            let (prefix, brokers) = (kafka.prefix(&config.app), &kafka.bootstrap_servers);
            let topic = |name| LogNode {
                name,
                kind: "kafka",
                at: Some(format!("{prefix}.{name} at {brokers}")),
                partitions: kafka.partitions,
                quota: None,
            };
            vec![
                topic("inbox"),
                journal("inbox behind it", 1, inbox),
                topic("events"),
                topic("dead-letters"),
            ]
        } else {
            let events = journal("events", config.log.partitions, config.log.quota.get());
            vec![journal("inbox", 1, inbox), events]
        };
        let sinks = config
            .sinks
            .iter()
            .filter_map(|(name, sink)| sink_node((&config.app, &config.tenant), name, sink));
        Self {
            app: config.app.clone(),
            tenant: config.tenant.clone(),
            sources,
            logs,
            sinks: sinks.collect(),
            refreshes: config.refreshes.iter().map(refresh_node).collect(),
        }
    }

    /// The topology as text, in the order in which a record flows.
    pub fn describe(&self) -> String {
        let mut text = format!("{} for tenant {}\n", self.app, self.tenant);
        for source in &self.sources {
            let SourceNode {
                name,
                kind,
                from,
                group,
                through,
                dead_letters,
            } = source;
            let through = through
                .map(|log| format!("log {log} -> "))
                .unwrap_or_default();
            line(&mut text, &format!("source {name} ({kind} {from})"));
            let flow = format!("{through}ingest, group {group}");
            line(
                &mut text,
                &format!("  -> {flow}, dead letters {dead_letters} -> log events"),
            );
        }
        for LogNode {
            name,
            kind,
            at,
            partitions,
            quota,
        } in &self.logs
        {
            let at = at.as_ref().map(|at| format!(" {at}")).unwrap_or_default();
            let partitions = counted(usize::from(*partitions), "partition");
            let quota = quota.map(|quota| format!(", quota {}", bytesize::ByteSize(quota)));
            let quota = quota.unwrap_or_default();
            line(
                &mut text,
                &format!("log {name} ({kind}{at}, {partitions}{quota})"),
            );
        }
        for sink in &self.sinks {
            let SinkNode {
                name,
                kind,
                target,
                group,
                mode,
                guard,
                dedupe,
                on_full,
                dead_letters,
            } = sink;
            line(&mut text, &format!("  -> sink {name} ({kind} {target})"));
            let dedupe = dedupe.as_ref();
            let dedupe = dedupe.map(|window| format!(", ids kept for {window}"));
            let dedupe = dedupe.unwrap_or_default();
            let rules = format!("mode {mode}, guard {guard}{dedupe}, on full {on_full}");
            line(
                &mut text,
                &format!("     group {group}, {rules}, dead letters {dead_letters}"),
            );
            let follows = self.refreshes.iter().filter(|it| it.after == *name);
            for refresh in follows {
                line(&mut text, &format!("     -> {}", refresh.describe()));
            }
        }
        text
    }
}

impl RefreshNode {
    fn describe(&self) -> String {
        let Self {
            name,
            kind,
            target,
            after: _,
            budget_per_day,
        } = self;
        format!("refresh {name} ({kind} {target}), {budget_per_day} a day at most")
    }
}

fn refresh_node((name, refresh): (&String, &RefreshConfig)) -> RefreshNode {
    let (kind, target) = refresh.described();
    RefreshNode {
        name: name.clone(),
        kind,
        target,
        after: refresh.after.clone(),
        budget_per_day: refresh.budget_per_day,
    }
}

/// `1 sink`, `2 sinks`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn line(text: &mut String, line: &str) {
    // Writing to a String does not fail.
    writeln!(text, "{line}").ok();
}

fn topic_and_group(kafka: &KafkaSource) -> (String, String) {
    match &kafka.subscription {
        Some(of) => (
            of.kafka_config.topic.clone(),
            of.kafka_config.consumer_group.clone(),
        ),
        None => (
            kafka.topic.clone().unwrap_or_default(),
            kafka.group.clone().unwrap_or_default(),
        ),
    }
}

fn sink_node((app, tenant): (&str, &str), name: &str, sink: &SinkConfig) -> Option<SinkNode> {
    let (kind, config) = sink.kind()?;
    let Described {
        target,
        mode,
        guarded,
        dedupe,
    } = config.described();
    Some(SinkNode {
        name: name.to_owned(),
        kind,
        target: target.replace("{tenant}", tenant),
        group: format!("{app}.{name}"),
        mode: match mode {
            Mode::Latest => "latest",
            Mode::History => "history",
        },
        guard: if guarded { "version" } else { "none" },
        dedupe: dedupe.map(|window| humantime::format_duration(window).to_string()),
        on_full: match sink.on_full {
            OnFull::Stall => "stall",
            OnFull::Detach => "detach",
        },
        dead_letters: name.to_owned(),
    })
}
