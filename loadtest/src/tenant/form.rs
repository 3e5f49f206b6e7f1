//! The forms around a body: metadata in headers or in an envelope, plain or compressed.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// Members of an object that [`Carrier::WebhookFields`](super::Carrier::WebhookFields) sends:
/// what its source must declare.
pub const SELECTED_FIELDS: [&str; 6] = [
    "uri",
    "type",
    "updatedBy",
    "updatedTime",
    "attributes",
    "crosswalks",
];

/// Headers and body of a message.
pub(super) type Written = (Vec<(&'static str, String)>, Bytes);

/// Writes `body` with its metadata.
pub(super) fn write(
    metadata: Vec<(&'static str, String)>,
    body: &Value,
    enveloped: bool,
    compressed: bool,
) -> Written {
    if enveloped {
        let attributes: Map<_, _> = metadata
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        let body = if compressed {
            Value::String(zip(&body.to_string()))
        } else {
            body.clone()
        };
        let envelope = json!({ "messageAttributes": attributes, "body": body });
        return (Vec::new(), envelope.to_string().into());
    }
    let text = body.to_string();
    let body = if compressed { zip(&text) } else { text };
    (metadata, body.into())
}

/// base64 of gzip, Reltio's `JSON_ZIP_BASE64`.
fn zip(text: &str) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let written = encoder.write_all(text.as_bytes());
    let bytes = written.and_then(|()| encoder.finish()).unwrap_or_default();
    STANDARD.encode(bytes)
}

/// A message id: a UUID.
pub(super) fn message_id(rng: &mut ChaCha8Rng) -> String {
    uuid::Builder::from_random_bytes(rng.random())
        .into_uuid()
        .to_string()
}
