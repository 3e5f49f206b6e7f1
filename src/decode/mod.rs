//! Decoding: from the bytes of Reltio's events to one record for each subject.
//!
//! Guarantee: what cannot be understood is refused with a code, never guessed at: two places that
//! contradict each other, a subject that is not one, bytes that are not JSON. No input panics, and
//! none takes more memory than a small multiple of the source's limit (G8).
//!
//! An event is a hint that a subject changed: a snapshot is taken as it is, everything else
//! (deltas, ids, claim checks, merges) makes a record that says who changed and has to be read.

mod bag;
mod carrier;
mod clock;
mod compression;
mod envelope;
mod error;
mod event;
mod events;
mod found;
mod layer;
mod metadata;
pub mod schema;
mod uris;

pub use carrier::carriers;
pub use error::DecodeError;
pub use events::Events;
pub use found::{Found, Place};

use bytes::Bytes;

use self::event::Event;
use self::layer::Opened;
use self::metadata::Metadata;
use crate::event::{CompletenessConfig, EventRecord, Header, Kind, Received, State};

/// How deeply a body may be nested. Less than the 128 levels at which the parser of a sink that
/// needs the tree gives up, and several times what Reltio's nested attributes need.
pub const MAX_DEPTH: usize = 100;

/// How many subjects one event may name besides its own.
pub const MAX_SUBJECTS: usize = 256;

/// How many layers one event may be in, itself included: an SQS message that holds an SNS
/// notification that holds a compressed event has four, and two may be quoted once more. A push of
/// Pub/Sub has two.
const MAX_LAYERS: usize = 6;

/// How the records of one source are decoded.
#[derive(Debug, Clone)]
pub struct DecodeSettings {
    /// The tenant that is served; events that name another are refused.
    pub tenant: String,
    /// What an absent field of an object means.
    pub completeness: CompletenessConfig,
    /// The largest body in bytes, before and after decompression.
    pub max_bytes: usize,
}

/// Fills `events` with the records, one for each subject, that `record` amounts to. Their payload is
/// a part of its body, untouched, where it could be.
///
/// # Errors
/// [`DecodeError`]: the record is for dead letters, and there are no events.
pub fn decode_into(
    record: &Received,
    settings: &DecodeSettings,
    events: &mut Events,
) -> Result<(), DecodeError> {
    decode_body_into(record, &record.body, settings, events)
}

/// The same, where a [`schema`] says what the record's body is.
///
/// # Errors
/// As [`decode_into`].
pub fn decode_body_into(
    record: &Received,
    body: &Bytes,
    settings: &DecodeSettings,
    events: &mut Events,
) -> Result<(), DecodeError> {
    events.clear();
    let metadata = Metadata::of_headers(&record.headers, &settings.tenant)?;
    unfold(body, MAX_LAYERS, metadata, (record, settings), events)
}

/// The same as [`decode_into`] for one record alone.
///
/// # Errors
/// As [`decode_into`].
pub fn decode(
    record: &Received,
    settings: &DecodeSettings,
) -> Result<Vec<EventRecord>, DecodeError> {
    decode_body(record, &record.body, settings)
}

/// The same as [`decode_body_into`] for one record alone.
///
/// # Errors
/// As [`decode_into`].
pub fn decode_body(
    record: &Received,
    body: &Bytes,
    settings: &DecodeSettings,
) -> Result<Vec<EventRecord>, DecodeError> {
    let mut events = Events::default();
    decode_body_into(record, body, settings, &mut events)?;
    Ok(events.take())
}

/// Opens the layers of `bytes`, so many at most, until there is an event. What the outer ones say
/// of it is in `metadata`.
fn unfold<'a>(
    bytes: &'a Bytes,
    layers: usize,
    mut metadata: Metadata<'a>,
    (record, settings): (&Received, &'a DecodeSettings),
    events: &mut Events,
) -> Result<(), DecodeError> {
    let Some(left) = layers.checked_sub(1) else {
        return Err(DecodeError::TooManyLayers);
    };
    match layer::open(bytes, settings.max_bytes, &mut metadata)? {
        Opened::Event(layer) => {
            Event::read(&layer, metadata)?.records(record, settings, bytes, events)
        }
        Opened::Wrapped(inner) => unfold(&inner, left, metadata, (record, settings), events),
    }
}

/// Whether Reltio has to be read before the record can go to the sinks: it does not say what its
/// subject is, and it moves something.
pub fn needs_hydration(event: &EventRecord) -> bool {
    event.state() == State::Unknown && event.kind() != Kind::Other
}

/// Whether the record says that its subject was absorbed, but not by which entity: worth a read where
/// there is an API.
pub fn lacks_survivor(event: &EventRecord) -> bool {
    event.state() == State::Absorbed && event.absorbed_by.is_none()
}

/// Whether decoding reads the header `name`; sources keep only those.
pub fn reads_header(name: &str) -> bool {
    Header::named(name).is_some()
}
