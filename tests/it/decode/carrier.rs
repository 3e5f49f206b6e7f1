//! The ways in which one event can travel.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use goldwire::event::SourceRecord;
use serde_json::{Map, Value, json};

use super::record;

/// How metadata and body travel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Carrier {
    /// Kafka or HTTP headers: a source keeps both by their lower-case names.
    Headers,
    /// Headers, and `JSON_ZIP_BASE64`.
    Zipped,
    /// `messageAttributes` and `body` as an object: Reltio's own sample.
    Envelope,
    /// The same with the body as text.
    TextEnvelope,
    /// The same with the body compressed.
    ZippedEnvelope,
    /// What `ReceiveMessage` of SQS answers.
    Sqs,
    /// An SNS notification, as it is posted and as a queue holds it.
    Sns,
    /// An SNS notification in an SQS message.
    SnsInSqs,
    /// No headers, no envelope: everything beside the object.
    Inline,
}

impl Carrier {
    pub(super) const ALL: [Self; 9] = [
        Self::Headers,
        Self::Zipped,
        Self::Envelope,
        Self::TextEnvelope,
        Self::ZippedEnvelope,
        Self::Sqs,
        Self::Sns,
        Self::SnsInSqs,
        Self::Inline,
    ];

    /// Whether what is in it is the very text that was put in.
    pub(super) fn keeps_the_text(self) -> bool {
        !matches!(self, Self::Inline)
    }

    pub(super) fn carry(self, metadata: &[(&str, &str)], body: &str) -> SourceRecord {
        let plain = |value: &str| json!(value);
        let sqs = |value: &str| json!({ "DataType": "String", "StringValue": value });
        let sns = |value: &str| json!({ "Type": "String", "Value": value });
        let notification = || {
            json!({
                "Type": "Notification",
                "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                "TopicArn": "arn:aws:sns:us-east-1:123456789012:reltio",
                "Message": body,
                "MessageAttributes": attributes(metadata, sns),
            })
        };
        match self {
            Self::Headers => record(metadata, body),
            Self::Zipped => record(metadata, zip(body.as_bytes())),
            Self::Envelope => {
                let attributes = Value::from(attributes(metadata, plain));
                // By hand, so that the body keeps its spelling.
                record(
                    &[],
                    format!(r#"{{"messageAttributes": {attributes}, "body": {body} }}"#),
                )
            }
            Self::TextEnvelope => {
                let attributes = attributes(metadata, plain);
                let envelope = json!({ "messageAttributes": attributes, "body": body });
                record(&[], envelope.to_string())
            }
            Self::ZippedEnvelope => {
                let attributes = attributes(metadata, plain);
                let body = zip(body.as_bytes());
                let envelope = json!({ "messageAttributes": attributes, "body": body });
                record(&[], envelope.to_string())
            }
            Self::Sqs => {
                let attributes = attributes(metadata, sqs);
                let message =
                    json!({ "MessageId": "m-1", "Body": body, "MessageAttributes": attributes });
                record(&[], message.to_string())
            }
            Self::Sns => record(&[], notification().to_string()),
            Self::SnsInSqs => {
                let message = json!({ "MessageId": "m-2", "Body": notification().to_string() });
                record(&[], message.to_string())
            }
            Self::Inline => {
                let mut all: Map<String, Value> = serde_json::from_str(body).unwrap();
                for (name, value) in attributes(metadata, plain) {
                    all.entry(name).or_insert(value);
                }
                record(&[], Value::from(all).to_string())
            }
        }
    }
}

fn attributes(metadata: &[(&str, &str)], value: impl Fn(&str) -> Value) -> Map<String, Value> {
    metadata
        .iter()
        .map(|(name, text)| ((*name).to_owned(), value(text)))
        .collect()
}

/// `JSON_ZIP_BASE64`.
pub(super) fn zip(body: &[u8]) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body).unwrap();
    STANDARD.encode(gzip.finish().unwrap())
}
