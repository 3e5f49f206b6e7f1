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
        let envelope = envelope(&metadata, body, compressed);
        return (Vec::new(), envelope.to_string().into());
    }
    let text = body.to_string();
    let body = if compressed { zip(&text) } else { text };
    (metadata, body.into())
}

/// The envelope of a carrier. Which one follows from the message's id, so that a script has all of
/// them, and is in everything else what it was with one.
fn envelope(metadata: &[(&'static str, String)], body: &Value, compressed: bool) -> Value {
    let text = body.to_string();
    let text = if compressed { zip(&text) } else { text };
    let said = |value: fn(&String) -> Value| -> Map<String, Value> {
        let pairs = metadata.iter();
        let pairs = pairs.map(|(name, text)| ((*name).to_owned(), value(text)));
        pairs.collect()
    };
    let plain = said(|text| json!(text));
    let id = metadata.iter().find(|(name, _)| *name == "messageId");
    let digit = id.and_then(|(_, id)| id.chars().next()?.to_digit(16));
    match digit.unwrap_or_default() {
        0 | 1 => json!({
            "MessageId": "m", "Body": text,
            "MessageAttributes": said(|text| json!({ "DataType": "String", "StringValue": text })),
        }),
        2 | 3 => json!({
            "Type": "Notification", "MessageId": "m", "Message": text,
            "MessageAttributes": said(|text| json!({ "Type": "String", "Value": text })),
        }),
        4 | 5 => json!({
            "message": { "data": STANDARD.encode(text), "attributes": plain, "messageId": "m" },
            "subscription": "projects/p/subscriptions/s",
        }),
        6 | 7 => cloud_event(metadata, &text, (!compressed).then_some(body)),
        8 | 9 => json!({
            "Body": text, "BrokerProperties": { "MessageId": "m" }, "UserProperties": plain,
        }),
        _ => {
            let body = if compressed {
                json!(text)
            } else {
                body.clone()
            };
            json!({ "messageAttributes": plain, "body": body })
        }
    }
}

/// A structured `CloudEvent`: metadata in extension attributes, whose names have no capitals.
fn cloud_event(metadata: &[(&'static str, String)], text: &str, body: Option<&Value>) -> Value {
    let own = [
        ("specversion", "1.0"),
        ("type", "com.example.reltio.change"),
        ("source", "/reltio"),
        ("id", "m"),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), json!(value)));
    let said = metadata.iter();
    let said = said.map(|(name, value)| (name.to_lowercase(), json!(value)));
    let data = body.map_or_else(
        || ("data_base64".to_owned(), json!(STANDARD.encode(text))),
        |body| ("data".to_owned(), body.clone()),
    );
    own.into_iter().chain(said).chain([data]).collect()
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
