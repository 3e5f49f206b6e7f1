//! What an event came in, for people: decoding itself does not look at this.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::layer::{self, Opened};
use super::metadata::Metadata;
use super::{DecodeSettings, MAX_LAYERS, compression};
use crate::event::Received;

/// What is known by a member of its own; the first that is there counts. `envelope` has all of them.
const KNOWN: [(&str, &str); 16] = [
    ("TopicArn", "an SNS notification"),
    ("specversion", "a CloudEvent"),
    ("detail-type", "an EventBridge event"),
    ("dataVersion", "an Event Grid event"),
    ("metadataVersion", "an Event Grid event"),
    ("ContentData", SERVICE_BUS),
    ("messageBody", SERVICE_BUS),
    ("UserProperties", SERVICE_BUS),
    ("ApplicationProperties", SERVICE_BUS),
    ("BrokerProperties", SERVICE_BUS),
    ("subscription", "a Pub/Sub push"),
    ("message", "a Pub/Sub push"),
    ("payload", "a Kafka Connect envelope"),
    ("messageAttributes", SQS),
    ("MessageAttributes", SQS),
    ("MessageId", SQS),
];
const SERVICE_BUS: &str = "a Service Bus message";
const SQS: &str = "an SQS message";

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
    if text.starts_with('[') {
        return "an array of one";
    }
    let members: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    let known = KNOWN
        .iter()
        .find(|(member, _)| members.contains_key(*member));
    known.map_or("an envelope with a body", |(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{CompletenessConfig, SourceRecord};

    #[test]
    fn layers_are_named_from_the_outside_in() {
        let settings = DecodeSettings {
            tenant: "t".to_owned(),
            completeness: CompletenessConfig::Whole,
            max_bytes: 1 << 20,
        };
        let event = r#"{"type":"ENTITY_REMOVED","uri":"entities/e"}"#;
        let of = |body: String| {
            let record = SourceRecord {
                body: body.into(),
                ..SourceRecord::default()
            };
            carriers(&Received::from(record), &settings)
        };
        assert_eq!(of(event.to_owned()), [""; 0]);
        assert_eq!(of("{not json".to_owned()), [""; 0]);
        for (body, layers) in [
            (
                format!(r#"{{"payload":{event}}}"#),
                vec!["a Kafka Connect envelope"],
            ),
            (
                format!(r#"{{"specversion":"1.0","data":{event}}}"#),
                vec!["a CloudEvent"],
            ),
            (
                format!(r#"{{"detail-type":"x","detail":{event}}}"#),
                vec!["an EventBridge event"],
            ),
            (
                format!(r#"{{"ContentData":{event}}}"#),
                vec!["a Service Bus message"],
            ),
            (
                format!(r#"[{{"dataVersion":"1","data":{event}}}]"#),
                vec!["an array of one", "an Event Grid event"],
            ),
            (
                serde_json::json!({ "MessageId": "m", "Body": event }).to_string(),
                vec!["an SQS message"],
            ),
        ] {
            assert_eq!(of(body.clone()), layers, "{body}");
        }
    }
}
