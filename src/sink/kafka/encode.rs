//! A write as a record of a topic. Pure.
//!
//! Guarantee: a payload's bytes go through as they came; what is dead has no value, and headers say
//! why.

use std::borrow::Cow;
use std::fmt::Write as _;

use prost::Message as _;
use rdkafka::message::{Header, OwnedHeaders};

use super::config::Value;
use crate::event::{Completeness, Content, EventRecord, Kind, Object, Record, SubjectState};
use crate::sink::{Current, Write};

/// Headers of a record at most.
const MOST_HEADERS: usize = 8;

/// The value of a record; nothing for what is dead.
pub(super) fn value<'a>(
    write: &'a Write,
    current: &'a Current,
    form: Value,
) -> Option<Cow<'a, [u8]>> {
    let SubjectState::Alive(object) = &current.state else {
        return None;
    };
    Some(match form {
        Value::Snapshot => Cow::Borrowed(object.text()),
        Value::Envelope => match write
            .record
            .as_ref()
            .filter(|record| brought(record, current))
        {
            Some(record) => Cow::Borrowed(record.bytes()),
            None => Cow::Owned(envelope(write, current, object)),
        },
    })
}

/// Whether the record's own payload is the content, and not a read of Reltio that answered it.
fn brought(record: &Record, current: &Current) -> bool {
    let content = record.read_time().unwrap_or_else(|| record.known_time());
    record.state() == current.state.tag() && content.max(1) == current.content_time
}

/// A record of what was read, as ingest would have made it.
fn envelope(write: &Write, current: &Current, object: &Object) -> Vec<u8> {
    let record = write.record.as_ref();
    let mut message = EventRecord {
        id: record.map_or("", Record::id).to_owned(),
        tenant: write.subject.tenant().to_owned(),
        subject: write.subject.uri().to_owned(),
        object_type: write.object_type.to_string(),
        version: current.version,
        commit_time: commit_time(write, current),
        received_time: record.map_or(current.content_time, Record::received_time),
        read_time: Some(current.content_time),
        payload: object.text().clone(),
        ..EventRecord::default()
    };
    message.set_kind(record.map_or(Kind::Changed, Record::kind));
    message.set_state(current.state.tag());
    message.set_content(Content::Object);
    if let Some(fields) = &current.fields {
        message.set_completeness(Completeness::Fields);
        message.fields.clone_from(fields);
    }
    message.encode_to_vec()
}

/// The commit time that belongs to the version.
fn commit_time(write: &Write, current: &Current) -> Option<i64> {
    let record = write.record.as_ref();
    record
        .filter(|of| of.version() == current.version)?
        .commit_time()
}

/// What is known of the record besides its value, as text.
pub(super) fn headers(write: &Write, current: &Current) -> OwnedHeaders {
    let mut headers = OwnedHeaders::new_with_capacity(MOST_HEADERS);
    let mut number = String::new();
    if let Some(record) = &write.record {
        headers = with(headers, "goldwire.id", record.id());
        headers = with(headers, "goldwire.kind", record.kind().word());
    }
    headers = with(headers, "goldwire.state", current.state.word());
    let times = [
        ("goldwire.version", current.version),
        ("goldwire.commit_time", commit_time(write, current)),
        ("goldwire.content_time", Some(current.content_time)),
    ];
    for (name, value) in times {
        let Some(value) = value else { continue };
        number.clear();
        // Writing to a string does not fail.
        write!(number, "{value}").ok();
        headers = with(headers, name, &number);
    }
    if let SubjectState::Absorbed { by: Some(by) } = &current.state {
        headers = with(headers, "goldwire.absorbed_by", by);
    }
    if let Some(fields) = &current.fields {
        headers = with(headers, "goldwire.fields", &fields.join(","));
    }
    headers
}

fn with(headers: OwnedHeaders, key: &str, value: &str) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}
