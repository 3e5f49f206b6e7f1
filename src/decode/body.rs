//! What decoding reads of a body: its head, in one pass that skips the rest.

use std::collections::HashMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::DecodeError;
use super::metadata::Metadata;

/// The head of Reltio's event body. Some senders print `URI` where others print `uri`.
#[derive(Debug, Deserialize, Default)]
pub(super) struct Body {
    #[serde(rename = "type")]
    pub(super) event_type: Option<String>,
    uri: Option<String>,
    #[serde(rename = "URI")]
    upper_uri: Option<String>,
    #[serde(rename = "sourceObjectUri")]
    pub(super) source_uri: Option<String>,
    #[serde(default)]
    pub(super) uris: Vec<String>,
    pub(super) object: Option<ObjectHead>,
    pub(super) deltas: Option<DeltasHead>,
    #[serde(rename = "exceededQueueSizeLimit", default)]
    pub(super) oversize: bool,
}

/// The head of a snapshot.
#[derive(Debug, Deserialize, Default)]
pub(super) struct ObjectHead {
    uri: Option<String>,
    #[serde(rename = "URI")]
    upper_uri: Option<String>,
    #[serde(rename = "type")]
    pub(super) object_type: Option<String>,
}

/// The head of a delta.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeltasHead {
    pub(super) entity_type: Option<String>,
    pub(super) relation_type: Option<String>,
}

impl Body {
    pub(super) fn uri(&self) -> Option<&str> {
        self.uri.as_deref().or(self.upper_uri.as_deref())
    }
}

impl ObjectHead {
    pub(super) fn uri(&self) -> Option<&str> {
        self.uri.as_deref().or(self.upper_uri.as_deref())
    }
}

/// The head of `json`.
pub(super) fn parse(json: &Bytes) -> Result<Body, DecodeError> {
    serde_json::from_slice(json).map_err(|error| shape(&error))
}

/// What makes an object an envelope, looked for without keeping anything.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outline {
    #[serde(alias = "MessageAttributes")]
    message_attributes: Option<IgnoredAny>,
    #[serde(alias = "Body")]
    body: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    #[serde(alias = "MessageAttributes")]
    message_attributes: HashMap<String, Attribute>,
    #[serde(alias = "Body", borrow)]
    body: &'a RawValue,
}

/// An attribute's value: plain, or wrapped as the queues of cloud vendors do.
#[derive(Deserialize)]
#[serde(untagged)]
enum Attribute {
    Text(String),
    Number(i64),
    Wrapped {
        #[serde(alias = "StringValue", alias = "stringValue", alias = "Value")]
        value: String,
    },
    Other(IgnoredAny),
}

/// Metadata and inner body, if `json` is an envelope around an event.
pub(super) fn envelope(json: &Bytes) -> Result<Option<(Metadata, Bytes)>, DecodeError> {
    let outline: Outline = serde_json::from_slice(json).map_err(|error| shape(&error))?;
    if outline.message_attributes.is_none() || outline.body.is_none() {
        return Ok(None);
    }
    let envelope: Envelope<'_> = serde_json::from_slice(json).map_err(|error| shape(&error))?;
    let attributes = envelope
        .message_attributes
        .into_iter()
        .filter_map(|(name, value)| {
            let value = match value {
                Attribute::Text(value) | Attribute::Wrapped { value } => value,
                Attribute::Number(value) => value.to_string(),
                Attribute::Other(_) => return None,
            };
            Some((name.to_ascii_lowercase(), value))
        });
    let metadata = super::metadata::of_headers(&attributes.collect())?;
    let raw = envelope.body.get();
    let inner = if raw.starts_with('"') {
        let text: String = serde_json::from_str(raw).map_err(|_| DecodeError::NotJson)?;
        Bytes::from(text)
    } else {
        json.slice_ref(raw.as_bytes())
    };
    Ok(Some((metadata, inner)))
}

fn shape(error: &serde_json::Error) -> DecodeError {
    if error.is_data() {
        DecodeError::NotAnEvent
    } else {
        DecodeError::NotJson
    }
}
