//! Metadata beside the body: Kafka headers, HTTP headers, or the attributes of an envelope.

use std::collections::HashMap;

use super::DecodeError;
use crate::time::Millis;

/// What may stand beside a body.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) tenant: Option<String>,
    pub(super) event_type: Option<String>,
    pub(super) source_uri: Option<String>,
    pub(super) version: Option<i64>,
    pub(super) commit_time: Option<Millis>,
    pub(super) message_id: Option<String>,
    pub(super) traceparent: Option<String>,
}

const READ: [&str; 7] = [
    "tenantid",
    "eventtype",
    "sourceobjecturi",
    "objectversion",
    "committime",
    "messageid",
    "traceparent",
];

/// Whether decoding reads the header with this name, in lower case. Sources keep no others.
pub fn reads_header(name: &str) -> bool {
    READ.contains(&name)
}

/// The metadata of headers with lower-case names.
pub(super) fn of_headers(headers: &HashMap<String, String>) -> Result<Metadata, DecodeError> {
    let text = |name: &str| {
        let value = headers.get(name).map(|value| value.trim());
        value
            .filter(|value| !value.is_empty())
            .map(ToOwned::to_owned)
    };
    Ok(Metadata {
        tenant: text("tenantid"),
        event_type: text("eventtype"),
        source_uri: text("sourceobjecturi"),
        version: text("objectversion").as_deref().map(version).transpose()?,
        commit_time: text("committime").as_deref().map(commit_time).transpose()?,
        message_id: text("messageid"),
        traceparent: text("traceparent"),
    })
}

impl Metadata {
    /// Both carriers together. What both carry must be the same.
    pub(super) fn with(self, inner: Self) -> Result<Self, DecodeError> {
        Ok(Self {
            tenant: same(self.tenant, inner.tenant)?,
            event_type: same(self.event_type, inner.event_type)?,
            source_uri: same(self.source_uri, inner.source_uri)?,
            version: same(self.version, inner.version)?,
            commit_time: same(self.commit_time, inner.commit_time)?,
            message_id: inner.message_id.or(self.message_id),
            traceparent: self.traceparent.or(inner.traceparent),
        })
    }
}

fn same<T: PartialEq>(outer: Option<T>, inner: Option<T>) -> Result<Option<T>, DecodeError> {
    match (outer, inner) {
        (Some(outer), Some(inner)) if outer != inner => Err(DecodeError::Contradiction),
        (outer, inner) => Ok(outer.or(inner)),
    }
}

fn version(text: &str) -> Result<i64, DecodeError> {
    let version: i64 = text.parse().map_err(|_| DecodeError::BadClock)?;
    (version >= 0)
        .then_some(version)
        .ok_or(DecodeError::BadClock)
}

/// Milliseconds since 1970, or a time as ISO-8601 writes it.
fn commit_time(text: &str) -> Result<Millis, DecodeError> {
    let millis = match text.parse::<Millis>() {
        Ok(millis) => millis,
        Err(_) => text
            .parse::<jiff::Timestamp>()
            .map_err(|_| DecodeError::BadClock)?
            .as_millisecond(),
    };
    (millis > 0).then_some(millis).ok_or(DecodeError::BadClock)
}
