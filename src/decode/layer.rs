//! One layer of a body: an event, an envelope around one, or text that holds either.
//!
//! Guarantee (G8): no tree is built and nothing large is copied. What is inside is a part of the
//! bytes that came, unless it has to be unescaped or decompressed, once each.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::bag::Bag;
use super::found::{Found, Place};
use super::metadata::{MAX_TEXT, Metadata, too_long};
use super::{DecodeError, MAX_DEPTH, compression, envelope};
use crate::event::depth::is_deeper;
use crate::event::{Header, json, members};

/// The members of events and envelopes, so that a refusal can name one that is there twice.
const MEMBERS: [&str; 36] = [
    "type",
    "object",
    "uri",
    "URI",
    "uris",
    "deltas",
    "exceededQueueSizeLimit",
    "messageAttributes",
    "specversion",
    "tenantId",
    "eventType",
    "sourceObjectUri",
    "objectVersion",
    "commitTime",
    "messageId",
    "traceparent",
    "body",
    "payload",
    "detail",
    "data",
    "data_base64",
    "message",
    "ContentData",
    "messageBody",
    "IsBodyBase64",
    "attributes",
    "UserProperties",
    "ApplicationProperties",
    "Properties",
    "BrokerProperties",
    "messageProperties",
    "detail-type",
    "subject",
    "MessageId",
    "message_id",
    "id",
];

/// The members of an event that are read, and of them those that an envelope may have, too.
/// (`CloudEvents` has names in lower case only.)
#[derive(Debug, Deserialize)]
pub(super) struct Layer<'a> {
    #[serde(borrow, rename = "type")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) object: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) uri: Option<&'a RawValue>,
    /// As some samples print it.
    #[serde(borrow, rename = "URI")]
    pub(super) upper_uri: Option<&'a RawValue>,
    #[serde(borrow, alias = "URIs", alias = "URIS")]
    pub(super) uris: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) deltas: Option<&'a RawValue>,
    #[serde(borrow, rename = "exceededQueueSizeLimit")]
    exceeded: Option<&'a RawValue>,
    /// SQS and Reltio's sample; SNS spells the same names in its own way.
    #[serde(borrow, rename = "messageAttributes", alias = "MessageAttributes")]
    attributes: Option<&'a RawValue>,
    /// The mark of a `CloudEvent`.
    #[serde(borrow)]
    specversion: Option<&'a RawValue>,
    #[serde(borrow, rename = "tenantId", alias = "tenantid")]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventType", alias = "eventtype")]
    said_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "sourceObjectUri", alias = "sourceobjecturi")]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "objectVersion", alias = "objectversion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "commitTime", alias = "committime")]
    commit_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageId", alias = "messageid")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
}

/// An attribute with a type beside it: SQS's `StringValue`, SNS's `Value`, Kafka Connect's `payload`.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "Value", alias = "StringValue", alias = "stringValue")]
    #[serde(alias = "value", alias = "payload")]
    value: Option<&'a RawValue>,
}

/// Text that is not copied unless it has to be unescaped.
#[derive(Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// What a body turned out to be.
#[expect(
    clippy::large_enum_variant,
    reason = "taken apart where it is made; a box would be an allocation for each event"
)]
pub(super) enum Opened<'a> {
    /// An event; its metadata has been taken.
    Event(Layer<'a>),
    /// Something around these bytes; its metadata has been taken.
    Wrapped(Bytes),
}

/// Opens one layer of `bytes` and adds what it says to `metadata`.
pub(super) fn open<'a>(
    bytes: &'a Bytes,
    limit: usize,
    metadata: &mut Metadata<'a>,
) -> Result<Opened<'a>, DecodeError> {
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| DecodeError::NotUtf8 {
        from: error.valid_up_to(),
    })?;
    let text = text.trim_ascii_start();
    if text.is_empty() {
        return Err(DecodeError::Empty);
    }
    if compression::is_compressed(text) {
        return compression::decompress(text, limit).map(Opened::Wrapped);
    }
    if is_deeper(text, MAX_DEPTH) {
        return Err(DecodeError::TooDeep);
    }
    match text.as_bytes().first() {
        Some(b'{') => open_object(bytes, text, metadata),
        Some(b'"') => unescaped(bytes, text).map(Opened::Wrapped),
        Some(b'[') => only_one(bytes, text).map(Opened::Wrapped),
        _ => Err(not_an_event(text)),
    }
}

/// The object in an array of one: Azure Event Grid sends each event in one.
fn only_one(bytes: &Bytes, text: &str) -> Result<Bytes, DecodeError> {
    match serde_json::from_str::<[&RawValue; 1]>(text) {
        Ok([one]) if one.get().starts_with('{') => Ok(bytes.slice_ref(one.get().as_bytes())),
        _ => Err(not_an_event(text)),
    }
}

fn not_an_event(text: &str) -> DecodeError {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => DecodeError::BadMember {
            field: "body",
            found: Found::json(text),
            expected: "an object, text that holds one, or an array of one object",
        },
        Err(error) => refused(&error),
    }
}

fn open_object<'a>(
    bytes: &'a Bytes,
    text: &'a str,
    metadata: &mut Metadata<'a>,
) -> Result<Opened<'a>, DecodeError> {
    let layer: Layer<'a> = parsed(text)?;
    if !layer.is_event()
        && let Some(inner) = envelope::open(bytes, text, &layer, metadata)?
    {
        return Ok(Opened::Wrapped(inner));
    }
    layer.tell_attributes(metadata)?;
    layer.tell_members(metadata, Place::Event, false)?;
    Ok(Opened::Event(layer))
}

/// The members of an object.
pub(super) fn parsed<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, DecodeError> {
    members::object(text).map_err(|error| refused(&error))
}

/// What a JSON text stands for: a part of `bytes`, if nothing in it is escaped.
pub(super) fn unescaped(bytes: &Bytes, text: &str) -> Result<Bytes, DecodeError> {
    match serde_json::from_str(text) {
        Ok(Text(Cow::Borrowed(inner))) => Ok(bytes.slice_ref(inner.as_bytes())),
        Ok(Text(Cow::Owned(inner))) => Ok(inner.into()),
        // Half of a surrogate pair is no error in JSON.
        Err(error) => json::text_within(text)
            .map(Bytes::from)
            .map_err(|_| refused(&error)),
    }
}

fn refused(error: &serde_json::Error) -> DecodeError {
    if error.is_data() {
        // The members are taken as they are: all that can be wrong is that one is there twice.
        let said = error.to_string();
        let twice = |member: &&&str| said.contains(&format!("`{member}`"));
        return DecodeError::BadMember {
            field: MEMBERS.iter().find(twice).copied().unwrap_or("body"),
            found: Found::Twice,
            expected: "one of a name",
        };
    }
    DecodeError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

impl<'a> Layer<'a> {
    /// Whether it is an event, whatever an envelope would say: an event has an object or a type. A
    /// `CloudEvent` has a type, too, of its own kind.
    fn is_event(&self) -> bool {
        let typed = self.event_type.is_some() && !self.is_cloud_event();
        typed || self.object.is_some() || self.deltas.is_some()
    }

    /// Whether it is a `CloudEvent` in the JSON format.
    pub(super) fn is_cloud_event(&self) -> bool {
        self.specversion.is_some()
    }

    /// Says what Reltio's, SQS's and SNS's attributes say.
    pub(super) fn tell_attributes(&self, metadata: &mut Metadata<'a>) -> Result<(), DecodeError> {
        match self.attributes {
            Some(json) => Bag::read("messageAttributes", json)?.tell(metadata),
            None => Ok(()),
        }
    }

    /// Says what the members say. `theirs`: the types are of an envelope's own vocabulary.
    pub(super) fn tell_members(
        &self,
        metadata: &mut Metadata<'a>,
        place: Place,
        theirs: bool,
    ) -> Result<(), DecodeError> {
        let named = if theirs {
            Header::Label
        } else {
            Header::EventType
        };
        let members = [
            (named, self.event_type),
            (named, self.said_type),
            (Header::Tenant, self.tenant_id),
            (Header::Source, self.source),
            (Header::Version, self.version),
            (Header::CommitTime, self.commit_time),
            (Header::MessageId, self.message_id),
            (Header::Traceparent, self.traceparent),
        ];
        for (field, value) in members {
            if let Some(value) = value {
                metadata.take(field, text(field.name(), value)?, place)?;
            }
        }
        Ok(())
    }

    /// Whether the object was left out, or may have been cut, for its size.
    pub(super) fn is_oversize(&self) -> bool {
        self.exceeded
            .is_some_and(|exceeded| exceeded.get() != "false")
    }
}

/// The struct that an object's members make up. (An array would be taken for the members in
/// their order.)
pub(super) fn object<'a, T: Deserialize<'a>>(
    field: &'static str,
    json: &'a RawValue,
) -> Result<T, DecodeError> {
    let bad = |found, expected| DecodeError::BadMember {
        field,
        found,
        expected,
    };
    if !json.get().starts_with('{') {
        return Err(bad(Found::json(json.get()), "an object"));
    }
    // What is read of it is taken as it is: all that can be wrong is that a member is there twice.
    members::object(json.get()).map_err(|_| bad(Found::Twice, "one of a name in it"))
}

/// A member that is text, a number, or an attribute with its type beside it.
pub(super) fn text<'a>(
    field: &'static str,
    json: &'a RawValue,
) -> Result<Cow<'a, str>, DecodeError> {
    let bad = |json: &str| DecodeError::BadMember {
        field,
        found: Found::json(json),
        expected: "text or a number",
    };
    let json = match json.get().as_bytes().first() {
        Some(b'{') => match object::<Typed<'a>>(field, json)?.value {
            Some(value) => value.get(),
            None => return Err(bad(json.get())),
        },
        _ => json.get(),
    };
    // An escaped character takes up to six bytes.
    if json.len() > MAX_TEXT * 6 + 2 {
        return Err(too_long(field, json));
    }
    match json.as_bytes().first() {
        Some(b'"') => serde_json::from_str(json)
            .map(|Text(text)| text)
            .map_err(|_| bad(json)),
        Some(b'-' | b'0'..=b'9') => Ok(Cow::Borrowed(json)),
        _ => Err(bad(json)),
    }
}
