//! Protobuf: the place of a message, its types, what Connect imports, and what does not fit.

use bytes::Bytes;
use goldwire::decode::schema::{Language, Schema};
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::{DynamicMessage, Value as Proto};
use serde_json::json;

use super::body;

fn proto(text: &str) -> Schema {
    schema(text, &[]).unwrap()
}

fn schema(text: &str, references: &[(&str, &str)]) -> Result<Schema, String> {
    super::schema(Language::Protobuf, text, references)
}

/// A field of bytes, with its number and its length before it.
fn delimited(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

const NESTED: &str = r#"
syntax = "proto3";
message Outer {
  map<string, string> tags = 1;
  message First { string a = 1; }
  message Second {
    string b = 1;
    message Third { string c = 1; }
  }
}
message Other { string d = 1; }
"#;

#[test]
fn the_list_of_indexes_says_which_message_it_is() {
    let schema = proto(NESTED);
    let text = delimited(1, b"x");
    for (indexes, expected) in [
        (&[2, 2][..], json!({"d": "x"})),
        (&[4, 0, 0], json!({"a": "x"})),
        (&[4, 0, 2], json!({"b": "x"})),
        (&[6, 0, 2, 0], json!({"c": "x"})),
    ] {
        let datum = [indexes, &text].concat();
        assert_eq!(body(&schema, &datum), Ok(expected), "{indexes:?}");
    }
    // A zero alone is the first message, as is a list of one zero.
    for indexes in [&[0][..], &[2, 0]] {
        assert_eq!(body(&schema, indexes), Ok(json!({})), "{indexes:?}");
    }
    for bad in [
        &[][..],
        &[2],
        &[2, 4],
        &[4, 0, 4],
        &[1],
        &[2, 1],
        &[0xff; 11],
        &[0xfe, 1, 0],
    ] {
        let (code, said) = body(&schema, bad).unwrap_err();
        assert_eq!(code, "schema_mismatch");
        assert!(said.contains("list of message indexes"), "{bad:?}: {said}");
    }
}

#[test]
fn connects_types_are_what_they_stand_for() {
    let schema = proto(
        r#"
        syntax = "proto3";
        package p;
        import "confluent/meta.proto";
        import "confluent/type/decimal.proto";
        import "google/type/date.proto";
        import "google/type/timeofday.proto";
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/duration.proto";
        option (confluent.file_meta).doc = "of Connect";
        message R {
          confluent.type.Decimal net = 1 [(confluent.field_meta) = {
            params: [{ key: "precision", value: "5" }, { key: "scale", value: "2" }]
          }];
          google.type.Date day = 2;
          google.type.TimeOfDay at = 3;
          google.protobuf.Timestamp commit_time = 4;
          google.protobuf.Duration took = 5;
          optional int64 object_version = 6;
          optional string gone = 7;
        }"#,
    );
    let datum = [
        vec![0],
        delimited(1, &[delimited(1, &[0x04, 0xd2]), vec![0x18, 2]].concat()),
        delimited(2, &[0x08, 0xe8, 0x0f, 0x10, 7, 0x18, 12]),
        delimited(3, &[0x08, 8, 0x10, 38, 0x18, 30]),
        delimited(
            4,
            &[
                0x08, 0x86, 0xd7, 0xc3, 0xb4, 0x6, 0x10, 0x80, 0xc2, 0xd7, 0x2f,
            ],
        ),
        delimited(5, &[0x08, 3, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]),
        vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ]
    .concat();
    let read = schema.body(&datum.into(), 1000).unwrap();
    let read = String::from_utf8(read.to_vec()).unwrap();
    let expected = r#"{"net":12.34,"day":"2024-07-12","at":"08:38:30","commitTime":"2024-07-12T08:38:30.1Z","took":"3.500s","objectVersion":9223372036854775807}"#;
    assert_eq!(read, expected);
}

#[test]
fn an_import_is_found_among_the_references() {
    let text = r#"syntax = "proto3"; import "acme/b.proto"; message R { acme.B b = 1; }"#;
    let acme = r#"syntax = "proto3"; package acme; import "acme/c.proto"; message B { C c = 1; }"#;
    let inner = r#"syntax = "proto3"; package acme; message C { string d = 1; }"#;
    let all = [("acme/c.proto", inner), ("acme/b.proto", acme)];
    let schema = schema(text, &all).unwrap();
    let datum = [vec![0], delimited(1, &delimited(1, &delimited(1, b"x")))].concat();
    assert_eq!(body(&schema, &datum), Ok(json!({"b": {"c": {"d": "x"}}})));
    let missing = self::schema(text, &all[..1]).unwrap_err();
    assert!(missing.contains("acme/b.proto"), "{missing}");
    assert!(self::schema("no proto", &[]).is_err());
}

#[test]
fn a_file_may_be_described_in_base64_as_some_serializers_register_it() {
    // What confluent-kafka's serializer registered at Apicurio 3.0.9, and Apicurio gave back.
    let text = "CgxjaGFuZ2UucHJvdG8SBGFjbWUiEQoESGVhZBIJCgF4GAEgASgJInQKBkNoYW5nZRISCgpldmVudF90eXB\
                lGAEgASgJEhkKEXNvdXJjZV9vYmplY3RfdXJpGAIgASgJEhYKDm9iamVjdF92ZXJzaW9uGAMgASgDEhMKC2\
                NvbW1pdF90aW1lGAQgASgDEg4KBm9iamVjdBgFIAEoCWIGcHJvdG8z";
    let datum = [vec![2, 2], delimited(1, b"x")].concat();
    assert_eq!(body(&proto(text), &datum), Ok(json!({"eventType": "x"})));
}

#[test]
fn a_wrapped_string_or_bytes_is_the_body() {
    for (of, field) in [("StringValue", "text"), ("BytesValue", "bytes")] {
        let pool = protox::prost_reflect::DescriptorPool::global();
        let name = format!("google.protobuf.{of}");
        let mut value = DynamicMessage::new(pool.get_message_by_name(&name).unwrap());
        let inner = if field == "text" {
            Proto::String("{}".to_owned())
        } else {
            Proto::Bytes(Bytes::from_static(b"{}"))
        };
        value.set_field_by_number(1, inner);
        let schema = proto(&format!(
            r#"syntax = "proto3"; package google.protobuf; message {of} {{ {} value = 1; }}"#,
            if field == "text" { "string" } else { "bytes" },
        ));
        let datum = [vec![0], value.encode_to_vec()].concat();
        assert_eq!(schema.body(&datum.into(), 10).unwrap(), "{}");
    }
}

#[test]
fn an_object_as_text_stands_for_the_object() {
    let schema = proto(r#"syntax = "proto3"; message R { string object = 1; R r = 2; }"#);
    let object = delimited(1, br#"{"a":1.10}"#);
    let datum = [vec![0], object.clone(), delimited(2, &object)].concat();
    let read = schema.body(&datum.into(), 1000).unwrap();
    assert_eq!(
        read,
        r#"{"object":{"a":1.10},"r":{"object":"{\"a\":1.10}"}}"#
    );
}

#[test]
fn what_does_not_fit_names_its_field_and_never_its_value() {
    let schema = proto(
        r#"syntax = "proto3";
        message R { string name = 1; Address home = 2; }
        message Address { string city = 1; int32 zip = 2; }"#,
    );
    for (message, place) in [
        (delimited(1, b"secret\xff"), "`name`"),
        (delimited(2, &delimited(1, b"secret\xff")), "`home.city`"),
        (delimited(2, &delimited(2, b"secret")), "`home.zip`"),
        (vec![0x0a, 0x20, b's'], "`name`"),
        (vec![0x08, 0x01], "`name`"),
    ] {
        let (code, said) = body(&schema, &[vec![0], message].concat()).unwrap_err();
        assert_eq!(code, "schema_mismatch");
        assert!(said.contains(place) && !said.contains("secret"), "{said}");
    }
    let (_, said) = body(&schema, &[0, 0xff]).unwrap_err();
    assert!(!said.is_empty());
}

#[test]
fn g8_what_would_make_too_large_or_too_deep_a_tree_is_refused() {
    let schema = proto(r#"syntax = "proto3"; message R { R r = 1; repeated bool b = 2; }"#);
    let mut deep = Vec::new();
    for _ in 0..60 {
        deep = delimited(1, &deep);
    }
    assert!(body(&schema, &[vec![0], deep].concat()).is_ok());
    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut length = Vec::new();
        prost::encoding::encode_varint(deep.len() as u64, &mut length);
        deep = [&[0x0a][..], &length, &deep].concat();
    }
    assert!(body(&schema, &[vec![0], deep].concat()).is_err());
    let large = vec![0; (8 << 20) + 1];
    let (_, said) = body(&schema, &large).unwrap_err();
    assert!(said.contains("more than"), "{said}");
}
