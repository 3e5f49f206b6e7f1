//! From an event to a report of what everybody would do with it.

use std::sync::Arc;

use super::input::Input;
use super::report::{Event, Letter, Record as RecordReport, SinkReport};
use crate::cli::CliError;
use crate::decode::{self, DecodeError};
use crate::engine::fence::Freshness;
use crate::engine::{Next, rehearse};
use crate::event::{EventRecord, Kind, Received, Record, SourceRecord, Subject};
use crate::ingest::{Fate, SourceRules};
use crate::runtime::{parts, source_rules};
use crate::sink::registry::SinkKind;
use crate::sink::{SinkConfig, SinkError};
use crate::time::{Clock as _, SystemClock};
use crate::topology::Config;

/// What the events are played before.
pub(super) struct Stage<'a> {
    config: &'a Config,
    source: String,
    rules: SourceRules,
    sinks: Vec<(&'a String, &'a SinkConfig)>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        config: &'a Config,
        source: Option<&str>,
        sink: Option<&str>,
    ) -> Result<Self, CliError> {
        let unknown = |what: &str, name: &str, known: Vec<&String>| {
            let known: Vec<&str> = known.into_iter().map(String::as_str).collect();
            let known = known.join(", ");
            CliError::Usage(format!(
                "--{what} {name:?}: there is none of this name; the configuration has: {known}"
            ))
        };
        let all = source_rules(config);
        let mut all = all.map_err(|error| CliError::Usage(error.to_string()))?;
        let first = config.sources.keys().next().cloned().unwrap_or_default();
        let source = source.map_or(first, str::to_owned);
        let rules = all
            .remove(&source)
            .ok_or_else(|| unknown("source", &source, config.sources.keys().collect()))?;
        let sinks = config.sinks.iter();
        let sinks: Vec<_> = sinks
            .filter(|(name, _)| sink.is_none_or(|wanted| wanted == *name))
            .collect();
        if let (true, Some(name)) = (sinks.is_empty(), sink) {
            return Err(unknown("sink", name, config.sinks.keys().collect()));
        }
        Ok(Self {
            config,
            source,
            rules,
            sinks,
        })
    }

    /// What becomes of one event.
    pub(super) fn play(&self, event: Input) -> Event {
        let received = self.received(event);
        let headers = received.headers.iter().map(|(header, _)| header.name());
        let mut report = Event {
            source: self.source.clone(),
            carriers: decode::carriers(&received, &self.rules.decode),
            headers: headers.collect(),
            dead_letter: None,
            records: Vec::new(),
        };
        match decode::decode(&received, &self.rules.decode) {
            Ok(records) => {
                let records = records.into_iter();
                report.records = records.map(|record| self.record(&record)).collect();
            }
            Err(error) => {
                report.dead_letter = Some(Letter {
                    reason: reason(&error).to_owned(),
                    code: error.code().to_owned(),
                    detail: error.to_string(),
                });
            }
        }
        report
    }

    fn received(&self, event: Input) -> Received {
        let source: Arc<str> = self.source.as_str().into();
        let mut received = Received::from(SourceRecord {
            received_time: SystemClock.now(),
            headers: event.headers.into_iter().collect(),
            body: event.body,
            ..SourceRecord::default()
        });
        received.source = source;
        received
    }

    fn has_api(&self) -> bool {
        self.config.reltio.is_some()
    }

    fn record(&self, event: &EventRecord) -> RecordReport {
        let fate = self.rules.fate(event, self.has_api());
        let mut report = RecordReport::of(event);
        let (ingest, goes_on) = match fate {
            Fate::Kept => ("goes to the event log".to_owned(), true),
            Fate::Filtered => (self.filtered(event), false),
            Fate::Read if self.has_api() => {
                let why = "Reltio is read first, since the event does not say what its subject is \
                           now; the sinks get the answer";
                (why.to_owned(), true)
            }
            Fate::Read => {
                report.dead_letter = Some(Letter {
                    reason: "needs_hydration".to_owned(),
                    code: "no_reltio_api".to_owned(),
                    detail: "the event does not say what its subject is now; add the section \
                             `reltio`, where it is read"
                        .to_owned(),
                });
                ("dead letter".to_owned(), false)
            }
        };
        report.ingest = ingest;
        if goes_on {
            let sinks = self.sinks.iter();
            let sinks = sinks.filter_map(|(name, sink)| {
                let (kind, config) = sink.kind()?;
                Some(self.sink((name, kind), config, event, fate))
            });
            report.sinks = sinks.collect();
        }
        report
    }

    /// Which rule of the source leaves the event out.
    fn filtered(&self, event: &EventRecord) -> String {
        let (kind, source) = (event.kind(), &self.source);
        let passes = |relation| self.rules.filter.passes_kind(kind, relation);
        let rule = if passes(event.is_relation()) {
            format!("entity_types, which leaves {} out", event.object_type)
        } else if event.is_relation() && passes(false) {
            "include_relationships or event_types".to_owned()
        } else {
            format!("event_types, which leaves `{}` out", kind.word())
        };
        format!("filtered by sources.{source}: {rule}")
    }

    fn sink(
        &self,
        (name, kind): (&str, &'static str),
        config: &dyn SinkKind,
        event: &EventRecord,
        fate: Fate,
    ) -> SinkReport {
        let described = config.described();
        let mut report = SinkReport {
            sink: name.to_owned(),
            kind,
            target: described.target.replace("{tenant}", &self.config.tenant),
            decision: "accepted",
            rule: String::new(),
            dead_letter: None,
            writes: Vec::new(),
        };
        let subject = Subject::new(&event.tenant, &event.subject);
        if event.kind() == Kind::Other {
            report.decision = "filtered";
            report.rule = String::from("events of this type move nothing");
            return report;
        }
        if !config.accepts(&subject, &event.object_type, event.kind()) {
            report.decision = "filtered";
            report.rule = left_out(config, &subject, event);
            return report;
        }
        if fate == Fate::Read {
            report.rule = String::from("what is written is what Reltio answers");
            return report;
        }
        let mode = (described.mode, described.dedupe.is_some());
        let clocks = parts::clock_rules(self.config);
        let record = Record::from(event.clone());
        let rehearsal = rehearse(record.clone(), clocks, mode, self.has_api());
        report.rule = String::from(fenced(rehearsal.fence));
        let mut next = rehearsal.next;
        if matches!(next, Next::Ask) {
            report
                .rule
                .push_str("; Reltio is asked, and if it answers what the event says:");
            next = rehearse(record, clocks, mode, false).next;
        }
        match next {
            Next::Write(write) => match config.preview(&self.config.tenant, &write) {
                Ok(writes) => report.writes = writes,
                Err(error) => report.refuse("rejected", error.code(), &detail(&error)),
            },
            Next::Ask => {}
            Next::Refuse(reason, code) => report.refuse(reason, code, ""),
            Next::Nothing(outcome) => {
                report.decision = "nothing to write";
                report.rule = format!("outcome {}", outcome.name());
            }
        }
        report
    }
}

/// Why decoding refuses, as dead letters have it.
fn reason(error: &DecodeError) -> &'static str {
    if *error == DecodeError::UnknownTenant {
        "unknown_tenant"
    } else {
        "undecodable"
    }
}

fn detail(error: &SinkError) -> String {
    match error {
        SinkError::Rejected { fields, action, .. } if !fields.is_empty() => {
            format!("while doing {action}, about {}", fields.join(", "))
        }
        SinkError::Rejected { action, .. } => format!("while doing {action}"),
        other @ (SinkError::Retryable { .. }
        | SinkError::Throttled { .. }
        | SinkError::Systemic { .. }) => other.to_string(),
    }
}

/// What the fence says where nothing is known of the subject.
fn fenced(fence: Freshness) -> &'static str {
    match fence {
        Freshness::Apply => "applied: nothing is known of the subject yet",
        Freshness::Ask => "in doubt: its version or its commit time is missing",
        Freshness::Duplicate => "a duplicate",
        Freshness::Stale | Freshness::StaleInPart => "stale",
    }
}

/// Which rule of a sink leaves a record out: found by asking for others.
fn left_out(config: &dyn SinkKind, subject: &Subject, event: &EventRecord) -> String {
    const KINDS: [Kind; 5] = [
        Kind::Created,
        Kind::Changed,
        Kind::Removed,
        Kind::Merged,
        Kind::Split,
    ];
    let of_kind = |kind| config.accepts(subject, "", kind);
    if of_kind(event.kind()) {
        format!(
            "its type {} is not one that the sink takes",
            event.object_type
        )
    } else if KINDS.into_iter().any(of_kind) {
        format!("event_types leaves `{}` out", event.kind().word())
    } else if subject.is_relation() {
        "the sink takes no relations".to_owned()
    } else {
        "event_types leaves all of its kind out".to_owned()
    }
}
