//! What is told of an event: for machines as it is, for people as text.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::event::{Completeness, EventRecord, Object, State};
use crate::sink::preview::{Preview, PreviewValue};
use crate::time::{Clock as _, Millis, SystemClock};

/// Characters of a value in the text.
const LONGEST: usize = 100;

/// One event.
#[derive(Debug, Serialize)]
pub(super) struct Event {
    /// As which source takes it.
    pub(super) source: String,
    /// What it came in, the outermost first.
    pub(super) carriers: Vec<&'static str>,
    /// Headers that decoding reads.
    pub(super) headers: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter: Option<Letter>,
    pub(super) records: Vec<Record>,
}

/// Why something would be a dead letter.
#[derive(Debug, Serialize)]
pub(super) struct Letter {
    pub(super) reason: String,
    pub(super) code: String,
    pub(super) detail: String,
}

/// What the event says of one subject.
#[derive(Debug, Serialize)]
pub(super) struct Record {
    id: String,
    subject: String,
    kind: &'static str,
    state: &'static str,
    #[serde(rename = "type")]
    object_type: String,
    version: Option<i64>,
    commit_time: Option<String>,
    completeness: String,
    /// From when and until when it is active, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<String>,
    absorbed_by: Option<String>,
    pub(super) ingest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter: Option<Letter>,
    pub(super) sinks: Vec<SinkReport>,
}

/// What a sink would do with it.
#[derive(Debug, Serialize)]
pub(super) struct SinkReport {
    pub(super) sink: String,
    pub(super) kind: &'static str,
    pub(super) target: String,
    /// `accepted`, `filtered`, `dead letter` or `nothing to write`.
    pub(super) decision: &'static str,
    pub(super) rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dead_letter: Option<Letter>,
    pub(super) writes: Vec<Preview>,
}

impl Event {
    /// Whether any of it would be a dead letter.
    pub(super) fn fails(&self) -> bool {
        let mut sinks = self.records.iter().flat_map(|record| &record.sinks);
        self.dead_letter.is_some()
            || self
                .records
                .iter()
                .any(|record| record.dead_letter.is_some())
            || sinks.any(|sink| sink.dead_letter.is_some())
    }
}

impl Record {
    pub(super) fn of(event: &EventRecord) -> Self {
        Self {
            id: event.id.clone(),
            subject: event.subject.clone(),
            kind: event.kind().word(),
            state: state(event.state()),
            object_type: event.object_type.clone(),
            version: event.version,
            commit_time: event.commit_time.map(time),
            completeness: completeness(event),
            active: active(event),
            absorbed_by: event.absorbed_by.clone(),
            ingest: String::new(),
            dead_letter: None,
            sinks: Vec::new(),
        }
    }
}

impl SinkReport {
    pub(super) fn refuse(&mut self, reason: &str, code: &str, detail: &str) {
        self.decision = "dead letter";
        self.dead_letter = Some(Letter {
            reason: reason.to_owned(),
            code: code.to_owned(),
            detail: detail.to_owned(),
        });
    }
}

fn time(millis: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(millis);
    time.map_or_else(|_| millis.to_string(), |time| time.to_string())
}

/// What its dates say, if it has any.
fn active(event: &EventRecord) -> Option<String> {
    let activity = Object::of(event).ok()?.activity();
    let from = activity.from.map(|from| format!("from {}", time(from)));
    let until = activity.until.map(|until| format!("until {}", time(until)));
    let dates: Vec<String> = from.into_iter().chain(until).collect();
    if dates.is_empty() {
        return None;
    }
    let now = SystemClock.now();
    let said = if activity.is_ended(now) {
        "ended"
    } else if activity.is_pending(now) {
        "not active yet"
    } else {
        "active"
    };
    Some(format!("{said}: {}", dates.join(", ")))
}

fn state(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::Alive => "alive",
        State::Absorbed => "absorbed",
        State::Removed => "removed",
        State::Erased => "erased",
        State::Gone => "gone",
    }
}

fn completeness(event: &EventRecord) -> String {
    if event.state() != State::Alive {
        return "without an object".to_owned();
    }
    match event.completeness() {
        Completeness::OvOnly => "ov_only".to_owned(),
        Completeness::Fields => format!("fields {}", event.fields.join(", ")),
        Completeness::Whole => "whole".to_owned(),
    }
}

/// All of it, for people.
pub(super) fn text(events: &[Event]) -> String {
    let mut text = String::new();
    for (number, event) in events.iter().enumerate() {
        if events.len() > 1 {
            line(&mut text, 0, &format!("event {}", number + 1));
        }
        tell_event(&mut text, event);
    }
    text
}

fn tell_event(text: &mut String, event: &Event) {
    let carried = if event.carriers.is_empty() {
        "as it is".to_owned()
    } else {
        format!("in {}", event.carriers.join(" in "))
    };
    let headers = if event.headers.is_empty() {
        "no headers".to_owned()
    } else {
        format!("headers {}", event.headers.join(", "))
    };
    line(
        text,
        0,
        &format!(
            "received by source {}: {carried}, with {headers}",
            event.source
        ),
    );
    if let Some(letter) = &event.dead_letter {
        line(text, 0, &letter.text());
    }
    for record in &event.records {
        tell_record(text, record);
    }
}

fn tell_record(text: &mut String, record: &Record) {
    line(text, 0, &format!("{} {}", record.kind, record.subject));
    let or_missing = |value: Option<String>| value.unwrap_or_else(|| "missing".to_owned());
    let object_type = Some(record.object_type.clone()).filter(|name| !name.is_empty());
    for (name, value) in [
        ("type", or_missing(object_type)),
        ("state", record.state.to_owned()),
        (
            "version",
            or_missing(record.version.map(|it| it.to_string())),
        ),
        ("commit time", or_missing(record.commit_time.clone())),
        ("object", record.completeness.clone()),
        ("id", record.id.clone()),
    ] {
        line(text, 1, &format!("{name:12}{value}"));
    }
    if let Some(active) = &record.active {
        line(text, 1, &format!("{:12}{active}", "activity"));
    }
    if let Some(by) = &record.absorbed_by {
        line(text, 1, &format!("{:12}{by}", "absorbed by"));
    }
    line(text, 1, &format!("{:12}{}", "ingest", record.ingest));
    if let Some(letter) = &record.dead_letter {
        line(text, 1, &letter.text());
    }
    for sink in &record.sinks {
        tell_sink(text, sink);
    }
}

fn tell_sink(text: &mut String, sink: &SinkReport) {
    let SinkReport {
        sink: name,
        kind,
        target,
        decision,
        rule,
        ..
    } = sink;
    line(text, 1, &format!("sink {name} ({kind} {target})"));
    line(text, 2, &format!("{decision}; {rule}"));
    if let Some(letter) = &sink.dead_letter {
        line(text, 2, &letter.text());
    }
    for write in &sink.writes {
        line(text, 2, &format!("{}: {}", write.target, write.action));
        for value in &write.values {
            line(text, 3, &told(value));
        }
    }
}

fn told(value: &PreviewValue) -> String {
    let PreviewValue { field, value, from } = value;
    let shown = match value {
        Value::String(text) => shortened(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            shortened(&value.to_string())
        }
    };
    format!("{field} = {shown}  <- {from}")
}

fn shortened(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}… ({} bytes; --json prints all)", text.len())
}

impl Letter {
    fn text(&self) -> String {
        let Self {
            reason,
            code,
            detail,
        } = self;
        let detail = if detail.is_empty() {
            String::new()
        } else {
            format!(": {detail}")
        };
        format!("dead letter, {reason} {code}{detail}")
    }
}

fn line(text: &mut String, depth: usize, line: &str) {
    // Writing to a string does not fail.
    writeln!(text, "{:indent$}{line}", "", indent = depth * 2).ok();
}
