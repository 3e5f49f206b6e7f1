//! JSON values from an event to every sink: no digit is lost, half of a surrogate pair harms
//! nothing, and every member's name is data.

mod sinks;

use std::sync::Arc;

use goldwire::decode::DecodeSettings;
use goldwire::event::{CompletenessConfig, EventRecord, Object, Received, SourceRecord};
use goldwire::event::{Record, SubjectState};
use goldwire::sink::{Change, Current, Write};
use serde_json::Value;

/// Numbers that no 64-bit float holds.
pub(crate) const NUMBERS: &str = include_str!("numbers.json");
/// Half an emoji in a label and in a value.
pub(crate) const LONE_SURROGATE: &str = include_str!("lone_surrogate.json");
/// A member with the name by which `serde_json` tells text that is to be parsed.
pub(crate) const PRIVATE_RAW_VALUE: &str = include_str!("private_raw_value.json");
/// Further values of the same kinds.
const MORE: &str = r#"{"type":"ENTITY_CREATED","object":{"uri":"entities/o","type":"configuration/entityTypes/Individual","attributes":{"Huge":[{"ov":true,"value":1e400}],"Scale":[{"ov":true,"value":-1.00}],"\ud800":[{"ov":true,"value":"\ude00\u0000\ud83d\ude00"}],"X":[{"ov":true,"value":{"$serde_json::private::Number":"7"}}]},"crosswalks":[]}}"#;

/// The record that a body with both clocks becomes.
pub(crate) fn decoded(body: &str) -> EventRecord {
    let headers = [("objectversion", "1"), ("committime", "1800000000000")];
    let received = Received::from(SourceRecord {
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        body: body.to_owned().into(),
        ..SourceRecord::default()
    });
    let settings = DecodeSettings {
        tenant: "acme".to_owned(),
        completeness: CompletenessConfig::Whole,
        max_bytes: 1 << 24,
    };
    let mut records = goldwire::decode::decode(&received, &settings).unwrap();
    assert_eq!(records.len(), 1);
    records.remove(0)
}

/// The object that reaches the sinks.
pub(crate) fn object(body: &str) -> Arc<Object> {
    match decoded(body).subject_state() {
        Some(SubjectState::Alive(object)) => object,
        state => panic!("{state:?}"),
    }
}

/// The write that a body amounts to.
pub(crate) fn write(body: &str) -> Write {
    let record = decoded(body);
    let state = record.subject_state().unwrap();
    Write {
        subject: record.subject_key(),
        object_type: record.object_type.as_str().into(),
        current: Some(Current {
            state: state.clone(),
            content_time: record.known_time(),
            version: record.version,
            fields: None,
            erased: false,
        }),
        changes: vec![Change {
            id: record.id.as_str().into(),
            kind: record.kind(),
            version: 1,
            commit_time: record.known_time(),
            received_time: record.received_time,
            state,
            observed: false,
        }],
        newest: record.known_time(),
        targets: Vec::new(),
        hops: 0,
        record: Some(Record::from(record)),
    }
}

/// The value of an attribute, as a tree has it.
fn value(body: &str, attribute: &str) -> Value {
    let object = object(body);
    object.json()["attributes"][attribute][0]["value"].clone()
}

#[test]
fn a_tree_keeps_every_digit_of_a_number() {
    for (body, attribute, wanted) in [
        (NUMBERS, "Worth", "1234567890123456.78"),
        (NUMBERS, "Account", "123456789012345678901234567890"),
        (NUMBERS, "Rate", "0.1234567890123456789012345"),
        (MORE, "Huge", "1e400"),
        (MORE, "Scale", "-1.00"),
    ] {
        let number = value(body, attribute);
        assert!(number.is_number(), "{attribute}: {number}");
        // Printed numbers may differ in the sign of an exponent: both are the same number.
        assert_eq!(number.to_string().replace("e+", "e"), wanted, "{attribute}");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_a_mark_in_the_tree_and_stays_in_the_text() {
    assert_eq!(value(LONE_SURROGATE, "Nick"), "cut \u{fffd}");
    assert_eq!(value(MORE, "\u{fffd}"), "\u{fffd}\0\u{1f600}");
    let object = object(LONE_SURROGATE);
    assert_eq!(object.member("label"), Some("cut \u{fffd}"));
    assert_eq!(object.object_type(), Some("Individual"));
    let text = std::str::from_utf8(object.text()).unwrap();
    assert_eq!(text.matches(r#""cut \ud83d""#).count(), 2);
}

#[test]
fn the_private_names_of_a_library_are_data() {
    let raw = value(PRIVATE_RAW_VALUE, "X");
    assert_eq!(raw["$serde_json::private::RawValue"], "[1,2,3]");
    let number = value(MORE, "X");
    assert_eq!(number["$serde_json::private::Number"], "7");
}

/// Text in text in text: a parser that opened each would need a stack without end.
#[test]
fn g8_a_private_name_never_leads_around_the_limit_of_depth() {
    let mut inner = format!("{}{}", "[".repeat(90), "]".repeat(90));
    for _ in 0..12 {
        let text = Value::from(inner).to_string();
        inner = format!(r#"{{"$serde_json::private::RawValue":{text}}}"#);
    }
    let body = PRIVATE_RAW_VALUE.replace(r#""[1,2,3]""#, &Value::from(inner).to_string());
    let found = value(&body, "X");
    assert!(
        found["$serde_json::private::RawValue"].is_string(),
        "a text stays a text"
    );
}
