//! What Kafka Connect's converters and Debezium write, down to the event that decoding finds in it.

use bytes::Bytes;
use goldwire::decode::schema::{Language, Schema};
use goldwire::decode::{DecodeSettings, decode_body};
use goldwire::event::{CompletenessConfig, EventRecord, Kind, Received, SourceRecord, State};
use serde_json::json;

use super::body;

const EVENT: &str = r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/1","type":"configuration/entityTypes/HCP","attributes":{"Net":[{"value":"1.10"}]}}}"#;

/// The object in it.
fn object() -> &'static str {
    let (_, from) = EVENT.split_once(r#""object":"#).unwrap();
    from.strip_suffix('}').unwrap()
}

/// The one event that is in `datum`.
fn event(schema: &Schema, datum: &[u8]) -> EventRecord {
    let body = schema
        .body(&Bytes::copy_from_slice(datum), 1 << 20)
        .unwrap();
    let record = Received::from(SourceRecord {
        body: body.clone(),
        ..SourceRecord::default()
    });
    let settings = DecodeSettings {
        tenant: "acme".to_owned(),
        completeness: CompletenessConfig::Whole,
        max_bytes: 1 << 20,
    };
    let mut events = decode_body(&record, &body, &settings).unwrap();
    assert_eq!(events.len(), 1);
    events.remove(0)
}

/// The object that a record carries.
fn object_of(record: &EventRecord) -> &[u8] {
    let at = record.object_at as usize;
    &record.payload[at..at + record.object_length as usize]
}

fn string(text: &str) -> Vec<u8> {
    bytes(text.as_bytes())
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    // Zigzag of a number below 2^13 takes two bytes at most.
    let length = bytes.len() * 2;
    let mut written = vec![(length & 0x7f) as u8 | 0x80, (length >> 7) as u8];
    written.extend_from_slice(bytes);
    written
}

fn avro(of: &serde_json::Value) -> Schema {
    super::schema(Language::Avro, &of.to_string(), &[]).unwrap()
}

#[test]
fn an_event_as_a_string_or_as_bytes_is_the_body_to_the_byte() {
    for (of, prefix) in [
        (json!("string"), vec![]),
        (json!({"type": "bytes", "connect.name": "x"}), vec![]),
        (json!(["null", "string"]), vec![2]),
        (json!(["null", "bytes"]), vec![2]),
    ] {
        let datum = [prefix, string(EVENT)].concat();
        let record = event(&avro(&of), &datum);
        assert_eq!(record.payload, EVENT, "{of}");
        assert_eq!(
            (record.kind(), record.state()),
            (Kind::Changed, State::Alive)
        );
    }
    let null = avro(&json!(["null", "string"])).body(&Bytes::from_static(&[0]), 10);
    assert_eq!(null.unwrap(), "", "a tombstone by schema is an empty body");
}

#[test]
fn a_structure_with_nullable_members_is_the_event_it_looks_like() {
    let schema = avro(
        &json!({"type": "record", "name": "Change", "namespace": "reltio", "fields": [
        {"name": "eventType", "type": "string"},
        {"name": "sourceObjectUri", "type": ["null", "string"], "default": null},
        {"name": "objectVersion", "type": ["null", "long"], "default": null},
        {"name": "commitTime", "type": ["null", {
            "type": "long", "connect.version": 1,
            "connect.name": "org.apache.kafka.connect.data.Timestamp",
            "logicalType": "timestamp-millis"}]},
        {"name": "object", "type": ["null", "string"]},
    ], "connect.name": "reltio.Change"}),
    );
    let at = [0xec, 0x97, 0xc0, 0xe1, 0x94, 0x64];
    let object = object();
    let datum = [
        string("UPDATE"),
        vec![2],
        string("entities/1"),
        vec![2, 14, 2],
        at.to_vec(),
        vec![2],
        string(object),
    ]
    .concat();
    let record = event(&schema, &datum);
    assert_eq!(record.subject, "entities/1");
    assert_eq!(
        (record.version, record.commit_time),
        (Some(7), Some(1_720_773_510_646))
    );
    assert_eq!(
        object_of(&record),
        object.as_bytes(),
        "an object as text stands for the object"
    );
}

#[test]
fn an_envelope_of_a_structure_and_bytes_is_opened_like_any_other() {
    let schema = avro(&json!({"type": "record", "name": "Message", "fields": [
        {"name": "messageBody", "type": "bytes"},
        {"name": "messageId", "type": "string"},
    ]}));
    let record = event(&schema, &[bytes(EVENT.as_bytes()), string("m1")].concat());
    assert_eq!(record.subject, "entities/1");
}

#[test]
fn debeziums_types_are_what_they_are_called() {
    for (of, datum, expected) in [
        (
            json!({"type":"int","connect.name":"io.debezium.time.Date"}),
            vec![2],
            json!("1970-01-02"),
        ),
        (
            json!({"type":"long","connect.name":"io.debezium.time.Timestamp"}),
            vec![2],
            json!(1),
        ),
        (
            json!({"type":"long","connect.name":"io.debezium.time.MicroTimestamp"}),
            vec![2],
            json!("1970-01-01T00:00:00.000001Z"),
        ),
        (
            json!({"type":"long","connect.name":"io.debezium.time.NanoTime"}),
            vec![2],
            json!("00:00:00.000000001"),
        ),
        (
            json!({"type":"string","connect.name":"io.debezium.data.Json"}),
            b"\x0e{\"a\":1}".to_vec(),
            json!({"a": 1}),
        ),
        (
            json!({"type":"string","connect.name":"io.debezium.data.Json"}),
            b"\x06{no".to_vec(),
            json!("{no"),
        ),
        (
            json!({"type":"string","connect.name":"io.debezium.time.ZonedTimestamp"}),
            b"\x02z".to_vec(),
            json!("z"),
        ),
        (
            json!({"type":"bytes","connect.name":"org.apache.kafka.connect.data.Decimal",
                "connect.parameters":{"scale":"2"}}),
            vec![2, 123],
            serde_json::from_str("1.23").unwrap(),
        ),
        (
            json!({"type":"record","name":"V","connect.name":"io.debezium.data.VariableScaleDecimal",
                "fields":[{"name":"scale","type":"int"},{"name":"value","type":"bytes"}]}),
            vec![2, 2, 123],
            serde_json::from_str("12.3").unwrap(),
        ),
    ] {
        let schema = avro(&json!({"type": "record", "name": "R", "fields": [
            {"name": "x", "type": of.clone()}]}));
        assert_eq!(body(&schema, &datum), Ok(json!({ "x": expected })), "{of}");
    }
}

#[test]
fn json_schema_leaves_every_byte_as_it_is() {
    let schema = super::schema(Language::Json, r#"{"type":"object"}"#, &[]).unwrap();
    let record = event(&schema, EVENT.as_bytes());
    assert_eq!(record.payload, EVENT);
    assert_eq!(object_of(&record), object().as_bytes());
}
