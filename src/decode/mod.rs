//! From received bytes to events: whom each is about, what happened, and at which clocks.
//!
//! Guarantee (G10, bad input): never panics and never builds a tree of the payload; memory is at
//! most a small multiple of the configured body. An error names what is wrong by a code, never by
//! the content. The payload reaches the event untouched.

mod body;
mod depth;
mod metadata;
mod split;
mod unpack;
mod vocabulary;

use crate::config::CompletenessConfig;
use crate::event::{EventRecord, Kind, SourceRecord, State, event_id};

pub use depth::MAX_DEPTH;
pub use metadata::reads_header;
pub use split::MAX_SUBJECTS;
pub use vocabulary::{Family, kinds_called};

/// How the records of one source are decoded.
#[derive(Debug, Clone)]
pub struct DecodeSettings {
    /// The tenant whose events are taken.
    pub tenant: String,
    /// What an absent field of an object means.
    pub completeness: CompletenessConfig,
    /// Longest body in bytes, before and after decompression.
    pub max_bytes: usize,
}

/// Why a record has no event. Holds no content of the record (G10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Nothing was sent.
    #[error("the body is empty")]
    Empty,
    /// More bytes than the source may send, before or after decompression.
    #[error("the body is larger than allowed")]
    TooLarge,
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON, and not compressed JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// JSON nested deeper than [`MAX_DEPTH`].
    #[error("the body is nested too deeply")]
    TooDeep,
    /// Base64, but no gzip in it.
    #[error("the body is base64, but not gzip")]
    BadZip,
    /// JSON, but not of the shape of an event.
    #[error("the body is JSON, but not an event")]
    NotAnEvent,
    /// No event type in metadata or body.
    #[error("no event type is given")]
    NoType,
    /// No subject in metadata or body.
    #[error("no subject is given")]
    NoSubject,
    /// The subject is not `entities/…` or `relations/…`.
    #[error("the subject is not an entity or a relation")]
    BadSubject,
    /// Version or commit time is not a number or a time.
    #[error("a clock is not a number or a time")]
    BadClock,
    /// Metadata and body, or two carriers of metadata, say different things.
    #[error("metadata and body contradict each other")]
    Contradiction,
    /// Another tenant's event.
    #[error("the event is of another tenant")]
    UnknownTenant,
    /// One event about more than [`MAX_SUBJECTS`].
    #[error("the event names too many subjects")]
    TooManySubjects,
}

impl DecodeError {
    /// A stable code, for dead letters and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::TooDeep => "too_deep",
            Self::BadZip => "bad_zip",
            Self::NotAnEvent => "not_an_event",
            Self::NoType => "no_type",
            Self::NoSubject => "no_subject",
            Self::BadSubject => "bad_subject",
            Self::BadClock => "bad_clock",
            Self::Contradiction => "contradiction",
            Self::UnknownTenant => "unknown_tenant",
            Self::TooManySubjects => "too_many_subjects",
        }
    }
}

/// The events of a source's record, one for each subject; at least one.
///
/// # Errors
/// [`DecodeError`] if the record cannot be understood as a whole; no part of it is kept then.
pub fn decode(
    record: &SourceRecord,
    settings: &DecodeSettings,
) -> Result<Vec<EventRecord>, DecodeError> {
    if record.body.len() > settings.max_bytes {
        return Err(DecodeError::TooLarge);
    }
    let from_headers = metadata::of_headers(&record.headers)?;
    let received = unpack::unpack(&record.body, settings.max_bytes)?;
    depth::check(&received)?;
    let (metadata, payload) = match body::envelope(&received)? {
        None => (from_headers, received),
        Some((outer, inner)) => {
            let inner = unpack::unpack(&inner, settings.max_bytes)?;
            depth::check(&inner)?;
            (from_headers.with(outer)?, inner)
        }
    };
    if metadata
        .tenant
        .as_ref()
        .is_some_and(|tenant| *tenant != settings.tenant)
    {
        return Err(DecodeError::UnknownTenant);
    }
    let body = body::parse(&payload)?;
    let mut events = split::events(&metadata, &body)?;
    for event in &mut events {
        event.tenant.clone_from(&settings.tenant);
        event.received_time = record.received_time;
        event.traceparent = metadata.traceparent.clone().unwrap_or_default();
        event.origin.clone_from(&record.origin);
        if let (Some(origin), Some(id)) = (&mut event.origin, &metadata.message_id) {
            origin.message_id.clone_from(id);
        }
        if event.state() == State::Alive {
            event.payload = payload.clone();
            complete(event, &settings.completeness);
        }
        event.id = event_id(event, &record.body).as_str().to_owned();
    }
    Ok(events)
}

fn complete(event: &mut EventRecord, completeness: &CompletenessConfig) {
    use crate::event::Completeness;
    match completeness {
        CompletenessConfig::Whole => event.set_completeness(Completeness::Whole),
        CompletenessConfig::OvOnly => event.set_completeness(Completeness::OvOnly),
        CompletenessConfig::Fields(fields) => {
            event.set_completeness(Completeness::Fields);
            event.fields.clone_from(fields);
        }
    }
}

/// Whether nothing can be done with the event before Reltio is read.
pub fn needs_hydration(event: &EventRecord) -> bool {
    event.state() == State::Unknown && event.kind() != Kind::Other
}

/// Whether the event does not say who survived: worth a read where there is an API.
pub fn lacks_survivor(event: &EventRecord) -> bool {
    event.state() == State::Absorbed && event.absorbed_by.is_none()
}

impl EventRecord {
    /// Whether the event is about a relation.
    pub fn is_relation(&self) -> bool {
        self.subject.starts_with("relations/")
    }
}
