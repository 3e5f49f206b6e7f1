//! The ways in which one event can travel.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use goldwire::event::SourceRecord;
use serde_json::{Map, Value, json};

use super::record;
use super::wrap::Wrap;

/// How metadata and body travel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Carrier {
    /// Kafka or HTTP headers: a source keeps both by their lower-case names.
    Headers,
    /// Headers, and `JSON_ZIP_BASE64`.
    Zipped,
    /// Headers of a `CloudEvent` in binary mode.
    CloudEventHeaders,
    /// Headers as Kafka Connect's `JsonConverter` writes them.
    ConnectHeaders,
    /// The metadata in an envelope's attributes.
    In(Wrap),
    /// The same, and the body compressed.
    ZippedIn(Wrap),
    /// An SNS notification in an SQS message.
    SnsInSqs,
    /// No headers, no envelope: everything beside the object.
    Inline,
}

impl Carrier {
    /// Every carrier that can say the metadata.
    pub(super) fn all() -> Vec<Self> {
        let mut all = vec![
            Self::Headers,
            Self::Zipped,
            Self::CloudEventHeaders,
            Self::ConnectHeaders,
            Self::SnsInSqs,
            Self::Inline,
        ];
        let saying = || Wrap::ALL.into_iter().filter(|wrap| wrap.says());
        all.extend(saying().map(Self::In));
        all.extend(saying().map(Self::ZippedIn));
        all
    }

    /// Whether what is in it is the very text that was put in.
    pub(super) fn keeps_the_text(self) -> bool {
        !matches!(self, Self::Inline)
    }

    pub(super) fn carry(self, metadata: &[(&str, &str)], body: &str) -> SourceRecord {
        match self {
            Self::Headers => record(metadata, body),
            Self::Zipped => record(metadata, zip(body.as_bytes())),
            Self::CloudEventHeaders => {
                let mut names: Vec<_> = metadata
                    .iter()
                    .map(|(name, value)| (format!("ce_{}", name.to_lowercase()), *value))
                    .collect();
                for (name, value) in [
                    ("type", "com.example.change"),
                    ("id", "A234"),
                    ("subject", "x"),
                ] {
                    names.push((format!("ce_{name}"), value));
                }
                let headers: Vec<_> = names
                    .iter()
                    .map(|(name, value)| (&**name, *value))
                    .collect();
                record(&headers, body)
            }
            Self::ConnectHeaders => {
                let schema = json!({ "type": "string", "optional": false });
                let values: Vec<_> = metadata
                    .iter()
                    .enumerate()
                    .map(|(number, (name, value))| {
                        let written = json!({ "schema": schema, "payload": value });
                        let value = if number % 2 == 0 {
                            json!(value)
                        } else {
                            written
                        };
                        (*name, value.to_string())
                    })
                    .collect();
                let headers: Vec<_> = values
                    .iter()
                    .map(|(name, value)| (*name, &**value))
                    .collect();
                record(&headers, body)
            }
            Self::In(wrap) => record(&[], wrap.around(metadata, body)),
            Self::ZippedIn(wrap) => record(&[], wrap.around(metadata, &zip(body.as_bytes()))),
            Self::SnsInSqs => {
                let notification = Wrap::Sns.around(metadata, body);
                record(&[], Wrap::Sqs.around(&[], &notification))
            }
            Self::Inline => {
                let mut all: Map<String, Value> = serde_json::from_str(body).unwrap();
                for (name, value) in metadata {
                    all.entry(*name).or_insert(json!(value));
                }
                record(&[], Value::from(all).to_string())
            }
        }
    }
}

/// `JSON_ZIP_BASE64`.
pub(super) fn zip(body: &[u8]) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(body).unwrap();
    STANDARD.encode(gzip.finish().unwrap())
}
