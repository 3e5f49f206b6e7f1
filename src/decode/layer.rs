//! One layer of a body: an event, an envelope around one, or text that holds either.
//!
//! Guarantee (G8): no tree is built and nothing large is copied. What is inside is a part of the
//! bytes that came, unless it has to be unescaped or decompressed, once each.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::found::{Found, Place};
use super::metadata::{MAX_TEXT, Metadata, too_long};
use super::{DecodeError, compression, depth};
use crate::event::{Header, json};

/// Those of [`Layer`]'s members that a refusal can name.
const MEMBERS: [&str; 16] = [
    "type",
    "object",
    "uri",
    "URI",
    "uris",
    "deltas",
    "exceededQueueSizeLimit",
    "messageAttributes",
    "MessageId",
    "tenantId",
    "eventType",
    "sourceObjectUri",
    "objectVersion",
    "commitTime",
    "messageId",
    "traceparent",
];

/// The members of an event or an envelope that are read.
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
    #[serde(borrow, alias = "Body", alias = "Message")]
    body: Option<&'a RawValue>,
    #[serde(borrow, rename = "MessageId")]
    carrier_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "tenantId")]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventType")]
    said_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "sourceObjectUri")]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "objectVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "commitTime")]
    commit_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageId")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Attributes<'a> {
    #[serde(borrow, rename = "tenantId")]
    tenant_id: Option<&'a RawValue>,
    #[serde(borrow, rename = "eventType")]
    event_type: Option<&'a RawValue>,
    #[serde(borrow, rename = "sourceObjectUri")]
    source: Option<&'a RawValue>,
    #[serde(borrow, rename = "objectVersion")]
    version: Option<&'a RawValue>,
    #[serde(borrow, rename = "commitTime")]
    commit_time: Option<&'a RawValue>,
    #[serde(borrow, rename = "messageId")]
    message_id: Option<&'a RawValue>,
    #[serde(borrow)]
    traceparent: Option<&'a RawValue>,
}

/// An attribute with a type beside it: SQS's `StringValue`, SNS's `Value`.
#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "Value", alias = "StringValue", alias = "stringValue")]
    #[serde(alias = "value")]
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
    if depth::is_too_deep(text) {
        return Err(DecodeError::TooDeep);
    }
    match text.as_bytes().first() {
        Some(b'{') => open_object(bytes, text, metadata),
        Some(b'"') => unescaped(bytes, text).map(Opened::Wrapped),
        _ => Err(match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => DecodeError::BadMember {
                field: "body",
                found: Found::json(text),
                expected: "an object, or text that holds one",
            },
            Err(error) => refused(&error),
        }),
    }
}

fn open_object<'a>(
    bytes: &'a Bytes,
    text: &'a str,
    metadata: &mut Metadata<'a>,
) -> Result<Opened<'a>, DecodeError> {
    let layer: Layer<'a> = serde_json::from_str(text).map_err(|error| refused(&error))?;
    layer.tell(metadata)?;
    match layer.body {
        Some(body) if layer.event_type.is_none() && layer.object.is_none() => {
            inside(bytes, body.get()).map(Opened::Wrapped)
        }
        _ => Ok(Opened::Event(layer)),
    }
}

/// The bytes of an envelope's body: a part of `bytes` if it is an object.
fn inside(bytes: &Bytes, body: &str) -> Result<Bytes, DecodeError> {
    match body.as_bytes().first() {
        Some(b'{') => Ok(bytes.slice_ref(body.as_bytes())),
        Some(b'"') => unescaped(bytes, body),
        _ => Err(DecodeError::BadEnvelope {
            field: "body",
            found: Found::json(body),
            expected: "an object, or text that holds one",
        }),
    }
}

fn unescaped(bytes: &Bytes, text: &str) -> Result<Bytes, DecodeError> {
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
    fn tell(&self, metadata: &mut Metadata<'a>) -> Result<(), DecodeError> {
        if let Some(attributes) = self.attributes {
            let attributes: Attributes<'a> = object("messageAttributes", attributes)?;
            tell_all(metadata, &attributes.members(), Place::Attributes)?;
        }
        tell_all(metadata, &self.members(), Place::Event)
    }

    fn members(&self) -> [(Header, Option<&'a RawValue>); 9] {
        [
            (Header::EventType, self.event_type),
            (Header::EventType, self.said_type),
            (Header::Tenant, self.tenant_id),
            (Header::Source, self.source),
            (Header::Version, self.version),
            (Header::CommitTime, self.commit_time),
            (Header::MessageId, self.message_id),
            (Header::MessageId, self.carrier_id),
            (Header::Traceparent, self.traceparent),
        ]
    }

    /// Whether the object was left out, or may have been cut, for its size.
    pub(super) fn is_oversize(&self) -> bool {
        self.exceeded
            .is_some_and(|exceeded| exceeded.get() != "false")
    }
}

impl<'a> Attributes<'a> {
    fn members(&self) -> [(Header, Option<&'a RawValue>); 7] {
        [
            (Header::EventType, self.event_type),
            (Header::Tenant, self.tenant_id),
            (Header::Source, self.source),
            (Header::Version, self.version),
            (Header::CommitTime, self.commit_time),
            (Header::MessageId, self.message_id),
            (Header::Traceparent, self.traceparent),
        ]
    }
}

fn tell_all<'a>(
    metadata: &mut Metadata<'a>,
    members: &[(Header, Option<&'a RawValue>)],
    place: Place,
) -> Result<(), DecodeError> {
    for (field, value) in members {
        if let Some(value) = value {
            metadata.take(*field, text(field.name(), value)?, place)?;
        }
    }
    Ok(())
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
    serde_json::from_str(json.get()).map_err(|_| bad(Found::Twice, "one of a name in it"))
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
