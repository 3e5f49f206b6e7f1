//! Decoding: every payload of Reltio's, by every carrier, in both vocabularies.

mod bad_input;
mod carrier;
mod documented;
mod envelopes;
mod filter;
mod random;
mod stacks;
mod subjects;
mod values;
mod variants;
mod wrap;

use goldwire::decode::{DecodeError, DecodeSettings};
use goldwire::event::CompletenessConfig;
use goldwire::event::{EventRecord, Received, SourceRecord};

use carrier::Carrier;

const RECEIVED: i64 = 1_800_000_000_500;
const COMMITTED: i64 = 1_800_000_000_000;

fn settings() -> DecodeSettings {
    DecodeSettings {
        tenant: "acme".to_owned(),
        completeness: CompletenessConfig::Whole,
        max_bytes: 1 << 20,
    }
}

/// Decodes a record as the inbox keeps it.
fn decode(
    record: &SourceRecord,
    settings: &DecodeSettings,
) -> Result<Vec<EventRecord>, DecodeError> {
    goldwire::decode::decode(&Received::from(record.clone()), settings)
}

/// A record with these headers.
fn record(headers: &[(&str, &str)], body: impl Into<Vec<u8>>) -> SourceRecord {
    let pairs = headers
        .iter()
        .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()));
    SourceRecord {
        source: "stream".to_owned(),
        received_time: RECEIVED,
        headers: pairs.collect(),
        body: body.into().into(),
        ..SourceRecord::default()
    }
}

/// What Kafka headers and a body amount to.
fn decoded(headers: &[(&str, &str)], body: &str) -> Result<Vec<EventRecord>, DecodeError> {
    decode(&Carrier::Headers.carry(headers, body), &settings())
}

/// The same, of an event about one subject.
fn one(headers: &[(&str, &str)], body: &str) -> EventRecord {
    let records = decoded(headers, body).unwrap();
    assert_eq!(records.len(), 1);
    records.into_iter().next().unwrap()
}

fn code(headers: &[(&str, &str)], body: &str) -> &'static str {
    decoded(headers, body).unwrap_err().code()
}
