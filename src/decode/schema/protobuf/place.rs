//! Where a message could not be decoded: only looked for once it could not.

use bytes::{Buf as _, Bytes};
use protox::prost::DecodeError;
use protox::prost::Message as _;
use protox::prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use protox::prost_reflect::{DynamicMessage, MessageDescriptor};

use super::Unfit;

/// Why `bytes` are not what `message` says, and in which field.
pub(super) fn of_failure(message: &MessageDescriptor, bytes: Bytes, error: &DecodeError) -> Unfit {
    within(message, bytes).unwrap_or_else(|| because(error))
}

fn because(error: &DecodeError) -> Unfit {
    Unfit::because(error.to_string())
}

/// The first field that does not decode by itself.
fn within(message: &MessageDescriptor, mut bytes: Bytes) -> Option<Unfit> {
    while bytes.has_remaining() {
        let mut ahead = bytes.clone();
        let (number, wire_type) = decode_key(&mut ahead).ok()?;
        let content = ahead.clone();
        let skipped = skip_field(wire_type, number, &mut ahead, DecodeContext::default());
        let field = message.get_field(number);
        if skipped.is_err() {
            return field.map(|field| Unfit::cut().within(field.name()));
        }
        let one = bytes.split_to(bytes.len().saturating_sub(ahead.len()));
        let alone = DynamicMessage::new(message.clone()).merge(one);
        if let (Err(error), Some(field)) = (alone, field) {
            let of_message = field.kind().as_message().cloned();
            let inner = of_message.filter(|_| wire_type == WireType::LengthDelimited);
            let inner = inner.and_then(|inner| within(&inner, delimited(content)?));
            let unfit = inner.unwrap_or_else(|| because(&error));
            return Some(unfit.within(field.name()));
        }
    }
    None
}

/// The bytes behind a length.
fn delimited(mut bytes: Bytes) -> Option<Bytes> {
    let length = usize::try_from(decode_varint(&mut bytes).ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}
