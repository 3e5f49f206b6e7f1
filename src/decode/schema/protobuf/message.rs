//! A message as JSON: protobuf's own mapping, save that 64-bit numbers are numbers, and that a
//! decimal number, a day and a time of the day are what they stand for.

use bytes::Bytes;
use protox::prost_reflect::{
    DynamicMessage, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value,
};

use super::super::logical::{self, Unit};
use super::super::output::{Json, Place};
use super::Unfit;

/// The body, if the message is nothing but a string or bytes: Connect's wrapper of a value that is
/// no structure.
pub(super) fn alone(message: &DynamicMessage) -> Option<Bytes> {
    let value = message.get_field_by_number(1)?;
    match (message.descriptor().full_name(), value.as_ref()) {
        ("google.protobuf.StringValue", Value::String(text)) => Some(text.clone().into()),
        ("google.protobuf.BytesValue", Value::Bytes(bytes)) => Some(bytes.clone()),
        _ => None,
    }
}

/// Writes `message`.
pub(super) fn write(message: &DynamicMessage, json: &mut Json, stands: Place) -> Result<(), Unfit> {
    let of = message.descriptor();
    let name = of.full_name();
    if let Some(known) = name.strip_prefix("google.protobuf.") {
        if let Some(written) = well_known(known, message, json, stands) {
            return written;
        }
    } else if let Some(written) = typed(name, message, json) {
        return written;
    }
    json.open('{')?;
    for (field, value) in message.fields() {
        let stands = json.member(field.json_name())?;
        self::value(value, &field.kind(), json, stands)
            .map_err(|unfit| unfit.within(field.name()))?;
    }
    json.close('}')
}

fn value(value: &Value, kind: &Kind, json: &mut Json, stands: Place) -> Result<(), Unfit> {
    match value {
        Value::Bool(truth) => json.number(truth),
        Value::I32(number) => json.number(number),
        Value::I64(number) => json.number(number),
        Value::U32(number) => json.number(number),
        Value::U64(number) => json.number(number),
        Value::F32(number) => json.float(*number),
        Value::F64(number) => json.float(*number),
        Value::String(text) => json.text_of(stands, text),
        Value::Bytes(bytes) => json.base64(bytes),
        Value::EnumNumber(number) => {
            let name = kind.as_enum().and_then(|known| known.get_value(*number));
            match name {
                Some(name) => json.string(name.name()),
                None => json.number(number),
            }
        }
        Value::Message(message) => write(message, json, stands),
        Value::List(items) => {
            json.open('[')?;
            for item in items {
                json.next()?;
                self::value(item, kind, json, Place::Anywhere)?;
            }
            json.close(']')
        }
        Value::Map(entries) => {
            let entry = kind.as_message();
            let entry = entry.map(MessageDescriptor::map_entry_value_field);
            let kind = entry.map_or_else(|| kind.clone(), |field| field.kind());
            let mut entries: Vec<_> = entries.iter().map(|(key, of)| (text(key), of)).collect();
            // Copies of one event have to be alike, to the byte.
            entries.sort_unstable_by(|one, other| one.0.cmp(&other.0));
            json.open('{')?;
            for (key, value) in entries {
                let stands = json.member(&key)?;
                self::value(value, &kind, json, stands).map_err(|unfit| unfit.within("{}"))?;
            }
            json.close('}')
        }
    }
}

fn text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(key) => key.to_string(),
        MapKey::I32(key) => key.to_string(),
        MapKey::I64(key) => key.to_string(),
        MapKey::U32(key) => key.to_string(),
        MapKey::U64(key) => key.to_string(),
        MapKey::String(key) => key.clone(),
    }
}

/// Google's types that have a form of their own.
fn well_known(
    name: &str,
    message: &DynamicMessage,
    json: &mut Json,
    stands: Place,
) -> Option<Result<(), Unfit>> {
    Some(match name {
        "Timestamp" => match i32_at(message, 2) {
            nanos @ 0..1_000_000_000 => logical::moment_of(i64_at(message, 1), nanos, json),
            _ => Err(Unfit::because("it is no time")),
        },
        "Duration" => duration(message, json),
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
        | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" | "Struct" | "ListValue" => {
            let field = message.descriptor().get_field(1)?;
            value(&message.get_field(&field), &field.kind(), json, stands)
        }
        "Value" => match message.fields().next() {
            // Null is a number of an enum here.
            None | Some((_, Value::EnumNumber(_))) => json.raw("null"),
            Some((field, of)) => value(of, &field.kind(), json, stands),
        },
        "FieldMask" => {
            let paths = message.get_field_by_number(1)?;
            let paths = paths.as_list()?.iter().filter_map(Value::as_str);
            json.string(&paths.collect::<Vec<_>>().join(","))
        }
        _ => return None,
    })
}

/// Confluent's and Google's types that Connect writes.
fn typed(name: &str, message: &DynamicMessage, json: &mut Json) -> Option<Result<(), Unfit>> {
    let number = |field| i32_at(message, field);
    Some(match name {
        "confluent.type.Decimal" => {
            let unscaled = message.get_field_by_number(1)?;
            logical::decimal(unscaled.as_bytes()?, number(3), json)
        }
        "google.type.Date" if (1..=3).all(|part| number(part) != 0) => {
            logical::day_of(number(1), number(2), number(3), json)
        }
        "google.type.TimeOfDay" => {
            let seconds = i64::from(number(1))
                .saturating_mul(3600)
                .saturating_add(i64::from(number(2)).saturating_mul(60))
                .saturating_add(number(3).into());
            let nanos = seconds.saturating_mul(1_000_000_000);
            logical::clock_time(nanos.saturating_add(number(4).into()), Unit::Nanos, json)
        }
        _ => return None,
    })
}

/// Seconds with none, three, six or nine digits behind the point.
fn duration(message: &DynamicMessage, json: &mut Json) -> Result<(), Unfit> {
    let (seconds, nanos) = (i64_at(message, 1), i32_at(message, 2));
    let agree = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if nanos.unsigned_abs() >= 1_000_000_000 || !agree {
        return Err(Unfit::because("it is no duration"));
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let mut part = format!(".{:09}", nanos.unsigned_abs());
    while let Some(shorter) = part.strip_suffix("000").map(str::len) {
        part.truncate(shorter);
    }
    if part == "." {
        part.clear();
    }
    json.plain(format_args!("{sign}{}{part}s", seconds.unsigned_abs()))
}

fn i64_at(message: &DynamicMessage, field: u32) -> i64 {
    let value = message.get_field_by_number(field);
    value.and_then(|value| value.as_i64()).unwrap_or_default()
}

fn i32_at(message: &DynamicMessage, field: u32) -> i32 {
    let value = message.get_field_by_number(field);
    value.and_then(|value| value.as_i32()).unwrap_or_default()
}
