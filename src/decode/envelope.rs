//! The envelopes of carriers: what holds the event, and what they say of it.
//!
//! Guarantee (G5): nothing of an envelope becomes part of an event; what it says goes to the
//! metadata, and must agree with what is said elsewhere. Guarantee (G8): an envelope is read once
//! more only where there is no event, and base64 is decoded once, to less than it was.
//!
//! | carrier | the event is in | said of it in |
//! |---|---|---|
//! | Reltio's sample, SQS, SNS | `body`, `Body`, `Message` | `messageAttributes` |
//! | Kafka Connect's `JsonConverter` | `payload` | headers |
//! | `CloudEvents` 1.0, JSON format | `data`, `data_base64` | extension attributes, `type`, `subject`, `id` |
//! | Amazon `EventBridge` | `detail` | `detail-type`, `id` |
//! | Google Pub/Sub push | `message.data` | `message.attributes`, `message.messageId` |
//! | Azure Event Grid | `data`, in an array of one | `eventType`, `subject`, `id` |
//! | Azure Service Bus as JSON | `Body`, `ContentData`, `messageBody` | `UserProperties`, `Properties`, `ApplicationProperties`, `BrokerProperties` |

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::bag::Bag;
use super::found::{Found, Place};
use super::layer::{Layer, object, parsed, text, unescaped};
use super::metadata::Metadata;
use super::{DecodeError, compression};
use crate::event::Header;

/// base64 as RFC 4648 has it; some senders leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The members of envelopes that are read, besides those that events have, too.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, alias = "Body", alias = "Message")]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    data_base64: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow, rename = "ContentData", alias = "contentData")]
    content: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageBody")]
    message_body: Option<&'a RawValue>,
    #[serde(borrow, rename = "IsBodyBase64", alias = "isBase64Encoded")]
    encoded: Option<&'a RawValue>,
    #[serde(borrow)]
    attributes: Option<&'a RawValue>,
    #[serde(borrow, rename = "UserProperties", alias = "userProperties")]
    user: Option<&'a RawValue>,
    #[serde(
        borrow,
        rename = "ApplicationProperties",
        alias = "applicationProperties"
    )]
    application: Option<&'a RawValue>,
    #[serde(borrow, rename = "Properties", alias = "properties")]
    properties: Option<&'a RawValue>,
    #[serde(borrow, rename = "BrokerProperties", alias = "brokerProperties")]
    broker: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageProperties")]
    message_properties: Option<&'a RawValue>,
    #[serde(borrow, rename = "detail-type")]
    detail_type: Option<&'a RawValue>,
    #[serde(borrow)]
    subject: Option<&'a RawValue>,
    #[serde(borrow, rename = "MessageId")]
    carrier_id: Option<&'a RawValue>,
    #[serde(borrow)]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// How the event may be written where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An object, or text that holds one.
    Text,
    /// The same, or base64 of it.
    Encoded,
}

/// What holds the event.
struct Held<'a> {
    field: &'static str,
    json: &'a RawValue,
    form: Form,
}

/// What is in the envelope `text`, whose other members `layer` has, if it is one; what it says goes
/// to `metadata`.
pub(super) fn open<'a>(
    bytes: &Bytes,
    text: &'a str,
    layer: &Layer<'a>,
    metadata: &mut Metadata<'a>,
) -> Result<Option<Bytes>, DecodeError> {
    let envelope: Envelope<'a> = parsed(text)?;
    let Some(held) = envelope.held()? else {
        if layer.is_cloud_event() {
            return Err(DecodeError::BadEnvelope {
                field: "data",
                found: Found::Nothing,
                expected: "an event",
            });
        }
        return Ok(None);
    };
    envelope.tell(layer, &held, metadata)?;
    inside(bytes, &held).map(Some)
}

impl<'a> Envelope<'a> {
    /// The one member that may hold an event.
    fn held(&self) -> Result<Option<Held<'a>>, DecodeError> {
        let of_body = match self.encoded {
            Some(encoded) if encoded.get() == "true" => Form::Encoded,
            _ => Form::Text,
        };
        let objects = |json: &&'a RawValue| json.get().starts_with('{');
        let places = [
            ("body", self.body, of_body),
            ("payload", self.payload, Form::Encoded),
            ("detail", self.detail.filter(objects), Form::Text),
            ("data", self.data, Form::Encoded),
            ("data_base64", self.data_base64, Form::Encoded),
            ("message", self.message.filter(objects), Form::Text),
            ("ContentData", self.content, Form::Encoded),
            ("messageBody", self.message_body, Form::Encoded),
        ];
        let mut held: Option<Held<'a>> = None;
        for (field, json, form) in places {
            let Some(json) = json else { continue };
            if let Some(held) = held {
                return Err(DecodeError::BadEnvelope {
                    field,
                    found: Found::Beside(held.field),
                    expected: "one place for the event",
                });
            }
            held = Some(Held { field, json, form });
        }
        Ok(held)
    }

    fn tell(
        &self,
        layer: &Layer<'a>,
        held: &Held<'a>,
        metadata: &mut Metadata<'a>,
    ) -> Result<(), DecodeError> {
        layer.tell_attributes(metadata)?;
        let bags = [
            ("attributes", self.attributes),
            ("UserProperties", self.user),
            ("ApplicationProperties", self.application),
            ("Properties", self.properties),
            ("messageProperties", self.message_properties),
        ];
        for (field, json) in bags {
            if let Some(json) = json {
                Bag::read(field, json)?.tell(metadata)?;
            }
        }
        // `CloudEvents` and Event Grid have a vocabulary of their own for these.
        let theirs = layer.is_cloud_event() || held.field == "data";
        layer.tell_members(metadata, Place::Envelope, theirs)?;
        let broker = self
            .broker
            .map(|json| object::<Broker<'a>>("BrokerProperties", json));
        let broker = broker.transpose()?.and_then(|broker| broker.message_id);
        let said = [
            (Header::Label, self.detail_type),
            (Header::Subject, self.subject),
            (Header::MessageId, self.carrier_id),
            (Header::MessageId, self.message_id),
            (Header::MessageId, broker),
            (Header::MessageId, self.id),
        ];
        for (field, json) in said {
            // None of these has to be there, nor to be what Reltio would say.
            if let Some(Ok(value)) = json.map(|json| text(field.name(), json)) {
                metadata.take(field, value, Place::Envelope)?;
            }
        }
        Ok(())
    }
}

/// What Service Bus says itself.
#[derive(Deserialize)]
struct Broker<'a> {
    #[serde(borrow, rename = "MessageId", alias = "messageId")]
    message_id: Option<&'a RawValue>,
}

/// The bytes of what is held: a part of `bytes` where it could be.
fn inside(bytes: &Bytes, held: &Held<'_>) -> Result<Bytes, DecodeError> {
    let json = held.json.get();
    let bad = |expected| DecodeError::BadEnvelope {
        field: held.field,
        found: Found::json(json),
        expected,
    };
    match json.as_bytes().first() {
        Some(b'{') => Ok(bytes.slice_ref(json.as_bytes())),
        Some(b'"') => {
            let inner = unescaped(bytes, json)?;
            if held.form == Form::Text || is_text(&inner) {
                return Ok(inner);
            }
            let decoded = BASE64.decode(inner.trim_ascii());
            let decoded = decoded.map_err(|_| bad("an object as text, or base64 of it"))?;
            Ok(decoded.into())
        }
        _ => Err(bad("an object, or text that holds one")),
    }
}

/// Whether it is JSON's text, or the compressed form that is opened as text: base64 begins otherwise.
fn is_text(inner: &[u8]) -> bool {
    let inner = inner.trim_ascii_start();
    let json = matches!(inner.first(), Some(b'{' | b'[' | b'"') | None);
    json || str::from_utf8(inner).is_ok_and(compression::is_compressed)
}
