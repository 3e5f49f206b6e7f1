//! What an event came in, for people: decoding itself does not look at this.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::layer::{self, Opened};
use super::metadata::Metadata;
use super::{DecodeSettings, MAX_LAYERS, compression};
use crate::event::Received;

/// What is known by a member of its own.
const KNOWN: [(&str, &str); 14] = [
    ("TopicArn", "an SNS notification"),
    ("specversion", "a CloudEvent"),
    ("detail-type", "an EventBridge event"),
    ("dataVersion", "an Event Grid event"),
    ("subscription", "a Pub/Sub push"),
    ("UserProperties", "a Service Bus message"),
    ("applicationProperties", "a Service Bus message"),
    ("ContentData", "a Service Bus message"),
    ("messageBody", "a Service Bus message"),
    ("schema", "a Kafka Connect envelope"),
    ("messageAttributes", "an SQS message"),
    ("MessageAttributes", "an SQS message"),
    ("MessageId", "an SQS message"),
    ("attributes", "a message with attributes"),
];

/// The layers around the event of `record`, the outermost first; empty if it came as it is.
pub fn carriers(record: &Received, settings: &DecodeSettings) -> Vec<&'static str> {
    let mut carriers = Vec::new();
    let mut bytes = record.body.clone();
    while carriers.len() < MAX_LAYERS {
        let Ok(mut metadata) = Metadata::of_headers(&record.headers, &settings.tenant) else {
            break;
        };
        let name = name(&bytes);
        let inner = match layer::open(&bytes, settings.max_bytes, &mut metadata) {
            Ok(Opened::Wrapped(inner)) => inner,
            Ok(Opened::Event(_)) | Err(_) => break,
        };
        carriers.push(name);
        bytes = inner;
    }
    carriers
}

fn name(bytes: &[u8]) -> &'static str {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let text = text.trim_ascii_start();
    if compression::is_compressed(text) {
        return "gzip in base64";
    }
    if text.starts_with('"') {
        return "JSON as a JSON text";
    }
    if text.starts_with('[') {
        return "an array of one";
    }
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let known = KNOWN
        .iter()
        .find(|(member, _)| members.contains_key(*member));
    known.map_or("an envelope with a body", |(_, name)| *name)
}
