//! Avro: what the format and its logical types come to, and what does not fit.

use bytes::Bytes;
use goldwire::decode::schema::{Language, Schema};
use serde_json::json;

use super::body;

fn avro(of: &serde_json::Value) -> Schema {
    super::schema(Language::Avro, &of.to_string(), &[]).unwrap()
}

fn record(fields: &serde_json::Value) -> Schema {
    avro(&json!({ "type": "record", "name": "R", "fields": fields }))
}

fn field(of: &serde_json::Value) -> Schema {
    record(&json!([{ "name": "x", "type": of }]))
}

/// A long as Avro has it.
fn long(number: i64) -> Vec<u8> {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

#[test]
fn times_are_what_reltio_and_json_write_for_them() {
    let at = 1_720_773_510_454;
    for (of, datum, expected) in [
        (
            json!({"type":"long","logicalType":"timestamp-millis"}),
            long(at),
            json!(at),
        ),
        (
            json!({"type":"long","logicalType":"timestamp-micros"}),
            long(at * 1000 + 321),
            json!("2024-07-12T08:38:30.454321Z"),
        ),
        (
            json!({"type":"long","logicalType":"local-timestamp-millis"}),
            long(at),
            json!("2024-07-12T08:38:30.454"),
        ),
        (
            json!({"type":"int","logicalType":"date"}),
            long(19_916),
            json!("2024-07-12"),
        ),
        (
            json!({"type":"int","logicalType":"time-millis"}),
            long(31_110_454),
            json!("08:38:30.454"),
        ),
        (
            json!({"type":"long","logicalType":"time-micros"}),
            long(31_110_000_000),
            json!("08:38:30"),
        ),
    ] {
        let read = body(&field(&of), &datum);
        assert_eq!(read, Ok(json!({ "x": expected })), "{of}");
    }
}

#[test]
fn every_other_type_is_what_json_has_for_it() {
    for (of, datum, expected) in [
        (
            json!({"type":"fixed","name":"U","size":16,"logicalType":"uuid"}),
            (1..=16).collect(),
            json!("01020304-0506-0708-090a-0b0c0d0e0f10"),
        ),
        (
            json!({"type":"fixed","name":"D","size":12,"logicalType":"duration"}),
            [1_u32, 2, 3004]
                .iter()
                .flat_map(|part| part.to_le_bytes())
                .collect(),
            json!("P1M2DT3.004S"),
        ),
        (json!("bytes"), vec![6, 0, 1, 255], json!("AAH/")),
        (
            json!({"type":"fixed","name":"F","size":2}),
            vec![1, 2],
            json!("AQI="),
        ),
        (
            json!({"type":"enum","name":"E","symbols":["A","B"]}),
            vec![2],
            json!("B"),
        ),
        (
            json!("double"),
            f64::NAN.to_le_bytes().to_vec(),
            json!("NaN"),
        ),
        (
            json!("float"),
            f32::NEG_INFINITY.to_le_bytes().to_vec(),
            json!("-Infinity"),
        ),
        (
            json!({"type": {"type": "string"}}),
            b"\x04hi".to_vec(),
            json!("hi"),
        ),
        // What does not go together is read as the type itself.
        (
            json!({"type":"int","logicalType":"timestamp-micros"}),
            long(5),
            json!(5),
        ),
        (
            json!({"type":"string","logicalType":"uuid"}),
            b"\x02u".to_vec(),
            json!("u"),
        ),
        (
            json!({"type":"long","logicalType":"of the future"}),
            long(7),
            json!(7),
        ),
    ] {
        let read = body(&field(&of), &datum);
        assert_eq!(read, Ok(json!({ "x": expected })), "{of}");
    }
}

#[test]
fn numbers_keep_their_digits() {
    let decimal = json!({"type":"bytes","logicalType":"decimal","precision":30,"scale":3});
    for (of, datum, expected) in [
        (json!("long"), long(i64::MAX), "9223372036854775807"),
        (json!("double"), 0.1_f64.to_le_bytes().to_vec(), "0.1"),
        (json!("float"), 0.1_f32.to_le_bytes().to_vec(), "0.1"),
        (decimal, vec![4, 0x04, 0xce], "1.230"),
    ] {
        let body = field(&of).body(&datum.into(), 100).unwrap();
        assert_eq!(body, format!(r#"{{"x":{expected}}}"#));
    }
}

#[test]
fn names_are_found_across_namespaces_and_references() {
    let address = r#"{"type":"record","name":"Address","namespace":"com.acme","fields":[
        {"name":"city","type":"string"}]}"#;
    let person = r#"{"type":"record","name":"com.acme.Person","fields":[
        {"name":"home","type":"Address"},
        {"name":"work","type":["null","com.acme.Address"]},
        {"name":"boss","type":["null","Person"],"default":null}]}"#;
    let schema = super::schema(Language::Avro, person, &[("com.acme.Address", address)]).unwrap();
    let datum = b"\x02a\x02\x02b\x02\x02c\x00\x00";
    let expected = json!({
        "home": {"city": "a"}, "work": {"city": "b"},
        "boss": {"home": {"city": "c"}, "work": null, "boss": null},
    });
    assert_eq!(body(&schema, datum), Ok(expected));
    let missing = super::schema(Language::Avro, person, &[]).unwrap_err();
    assert!(
        missing.contains("field `home`: there is no type `com.acme.Address`"),
        "{missing}"
    );
}

#[test]
fn arrays_and_maps_may_come_in_blocks_with_their_size() {
    let schema = record(&json!([
        { "name": "a", "type": {"type": "array", "items": "int"} },
        { "name": "m", "type": {"type": "map", "values": "int"} },
    ]));
    // One block of one item, then one of two with its bytes.
    let datum = b"\x02\x02\x03\x04\x04\x06\x00\x02\x02k\x08\x00";
    assert_eq!(
        body(&schema, datum),
        Ok(json!({"a": [1, 2, 3], "m": {"k": 4}}))
    );
}

#[test]
fn what_does_not_fit_names_its_field_and_never_its_value() {
    let schema = record(&json!([
        { "name": "name", "type": "string" },
        { "name": "tags", "type": {"type": "map", "values":
            {"type": "record", "name": "Tag", "fields": [{"name": "on", "type": "boolean"}]}} },
        { "name": "kind", "type": ["null", {"type": "enum", "name": "K", "symbols": ["A"]}] },
    ]));
    for (datum, place, why) in [
        (&b"\x02\xff"[..], "`name`", "a string that is not UTF-8"),
        (b"\x20short", "`name`", "ends within it"),
        (b"\x01", "`name`", "a length below 0"),
        (
            b"\x02n\x02\x0csecret\x07\x00\x00",
            "`tags.{}.on`",
            "neither 0 nor 1",
        ),
        (b"\x02n\x00\x04", "`kind`", "no branch of the union"),
        (b"\x02n\x00\x02\x02", "`kind`", "no symbol of the enum"),
        (
            b"\x02n\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
            "`kind`",
            "more than 64 bits",
        ),
        (b"\x02n\x00\x00\x00", "1 bytes are left behind", ""),
    ] {
        let (code, sentence) = body(&schema, datum).unwrap_err();
        assert_eq!(code, "schema_mismatch");
        assert!(
            sentence.contains(place) && sentence.contains(why),
            "{sentence}"
        );
        assert!(!sentence.contains("secret"), "{sentence}");
    }
}

#[test]
fn g8_what_grows_without_bytes_ends_at_the_limit() {
    let nulls = avro(&json!({"type": "array", "items": "null"}));
    let datum = Bytes::from(long(i64::MAX));
    assert_eq!(nulls.body(&datum, 1000).unwrap_err().code(), "too_large");
    let chain = avro(&json!({"type": "record", "name": "N", "fields": [
        {"name": "next", "type": ["null", "N"]}]}));
    let links = vec![2; 1 << 20];
    assert_eq!(body(&chain, &links).unwrap_err().0, "too_deep");
    let endless = avro(&json!({"type": "record", "name": "N", "fields": [
        {"name": "next", "type": "N"}]}));
    assert_eq!(body(&endless, b"").unwrap_err().0, "too_deep");
}

#[test]
fn what_is_no_schema_says_why() {
    for (bad, why) in [
        ("{", "no JSON"),
        ("7", "where a type stands"),
        (r#"{"name":"x"}"#, "its `type`"),
        (r#""Missing""#, "no type `Missing`"),
        (
            r#"{"type":"record","name":"R"}"#,
            "`R` without its `fields`",
        ),
        (r#"{"type":"enum","name":"R"}"#, "`R` without its `symbols`"),
        (r#"{"type":"fixed","name":"R"}"#, "`R` without its `size`"),
        (r#"{"type":"array"}"#, "`items`"),
        (
            r#"[{"type":"fixed","name":"R","size":1},{"type":"fixed","name":"R","size":2}]"#,
            "two types `R`",
        ),
    ] {
        let said = super::schema(Language::Avro, bad, &[]).unwrap_err();
        assert!(said.contains(why), "{bad}: {said}");
    }
}
