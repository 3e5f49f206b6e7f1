//! What of a configuration one instance runs: all of it, or some of the sinks, or only the sources.
//!
//! Guarantee (G2): only a log that other instances read too is left to them. A log of this process
//! alone would keep without end, or lose, what a sink that does not run here has not read.

use std::collections::BTreeSet;

use crate::config::nearest;
use crate::topology::Config;

/// What one instance runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Nothing: all sinks.
    only: Option<BTreeSet<String>>,
    ingests: bool,
}

impl Default for Role {
    fn default() -> Self {
        Self {
            only: None,
            ingests: true,
        }
    }
}

impl Role {
    /// Of the sinks `only` these, if any is named; and whether it ingests.
    ///
    /// # Errors
    /// A sentence with the remedy: a name that no sink has, or a log that no one else reads.
    pub fn of(config: &Config, only: Option<&[String]>, ingests: bool) -> Result<Self, String> {
        if only.is_none() && ingests {
            return Ok(Self::default());
        }
        for name in only.unwrap_or_default() {
            if !config.sinks.contains_key(name) {
                return Err(unknown(config, name));
            }
        }
        if config.log.kafka.is_none() {
            return Err(
                "an instance that runs a part of the configuration needs its log in Kafka: a log on \
                 this machine is read by this process alone, and would have to keep without end what the \
                 rest has not read; set `log.kafka`, or run everything and hold a sink with `goldwire \
                 sink pause`"
                    .to_owned(),
            );
        }
        Ok(Self {
            only: only.map(|names| names.iter().cloned().collect()),
            ingests,
        })
    }

    /// Whether the sink runs here.
    pub fn runs(&self, sink: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(sink))
    }

    /// Whether sources are read, and webhooks taken.
    pub fn ingests(&self) -> bool {
        self.ingests
    }

    /// Whether some sinks of `config` do not run here.
    pub(super) fn leaves_out(&self, config: &Config) -> bool {
        config.sinks.keys().any(|name| !self.runs(name))
    }
}

fn unknown(config: &Config, name: &str) -> String {
    let known = || config.sinks.keys().map(String::as_str);
    let remedy = nearest(name, known()).map_or_else(
        || format!("there are {}", known().collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    format!("--only: no sink is named `{name}`; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology;

    fn config(log: &str) -> Config {
        let text = format!(
            "tenant: acme\ndata_dir: data\n\
             webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}\n\
             sources: {{ hook: {{ webhook: {{ path: /h, scheme: reltio, secrets: [s] }} }} }}\n\
             sinks:\n  lake: {{ warehouse: {{ url: \"sqlite:a.db\" }} }}\n  \
             events: {{ warehouse: {{ url: \"sqlite:b.db\" }} }}\n{log}"
        );
        topology::parse(&text, &|_| None).unwrap()
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    const KAFKA: &str = "log: { kafka: { bootstrap_servers: \"127.0.0.1:9092\" } }\n";

    #[test]
    fn a_part_of_the_sinks_runs_over_a_log_that_others_read_too() {
        let config = config(KAFKA);
        let role = Role::of(&config, Some(&names(&["lake"])), true).unwrap();
        assert!(role.runs("lake") && !role.runs("events") && role.ingests());
        assert!(role.leaves_out(&config));
        let only_ingest = Role::of(&config, Some(&[]), true).unwrap();
        assert!(!only_ingest.runs("lake") && only_ingest.ingests());
        let only_delivers = Role::of(&config, None, false).unwrap();
        assert!(only_delivers.runs("lake") && !only_delivers.ingests());
        assert!(!only_delivers.leaves_out(&config));
    }

    #[test]
    fn g2_a_part_is_refused_over_a_log_that_nobody_else_reads() {
        let config = config("");
        assert_eq!(Role::of(&config, None, true), Ok(Role::default()));
        for (only, ingests) in [(Some(names(&["lake"])), true), (None, false)] {
            let why = Role::of(&config, only.as_deref(), ingests).unwrap_err();
            assert!(
                why.contains("set `log.kafka`") && why.contains("sink pause"),
                "{why}"
            );
        }
    }

    #[test]
    fn a_name_that_no_sink_has_is_refused_with_the_nearest() {
        for log in ["", KAFKA] {
            let why = Role::of(&config(log), Some(&names(&["laek"])), true).unwrap_err();
            assert!(why.contains("`laek`; did you mean `lake`?"), "{why}");
        }
        let why = Role::of(&config(KAFKA), Some(&names(&["salesforce"])), true).unwrap_err();
        assert!(
            why.ends_with("`salesforce`; there are events, lake"),
            "{why}"
        );
    }
}
