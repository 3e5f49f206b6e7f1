//! Protobuf: random messages are read as protobuf's own mapping to JSON has them.

use goldwire::decode::schema::{Language, Schema};
use proptest::prelude::*;
use protox::prost_reflect::prost::Message as _;
use protox::prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::{Value, json};

use super::{LIMIT, body};

const TEXT: &str = r#"
syntax = "proto3";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/duration.proto";
message Any {
  double double_field = 1;
  float float_field = 2;
  int32 int32_field = 3;
  int64 int64_field = 4;
  uint32 uint32_field = 5;
  uint64 uint64_field = 6;
  sint32 sint32_field = 7;
  sint64 sint64_field = 8;
  fixed32 fixed32_field = 9;
  fixed64 fixed64_field = 10;
  sfixed32 sfixed32_field = 11;
  sfixed64 sfixed64_field = 12;
  bool bool_field = 13;
  string string_field = 14;
  bytes bytes_field = 15;
  Kind enum_field = 16;
  Any message_field = 17;
  repeated int32 packed = 18;
  repeated string texts = 19;
  repeated Any messages = 20;
  map<string, Any> by_name = 21;
  map<int32, Kind> by_number = 22;
  map<bool, bytes> by_truth = 23;
  oneof choice { string one = 24; int64 other = 25; }
  optional int32 perhaps = 26;
  google.protobuf.Struct structure = 27;
  google.protobuf.Int64Value wrapped = 28;
  google.protobuf.Duration took = 29;
  google.protobuf.ListValue list = 30;
  int32 own_name = 31 [json_name = "named_by_itself"];
}
enum Kind { NONE = 0; SOME = 1; }
"#;

/// The schema, read by us and by the compiler alone.
fn schemas() -> (Schema, DescriptorPool) {
    let ours = super::schema(Language::Protobuf, TEXT, &[]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("any.proto");
    std::fs::write(&file, TEXT).unwrap();
    let theirs = protox::compile([&file], [dir.path()]).unwrap();
    (
        ours,
        DescriptorPool::from_file_descriptor_set(theirs).unwrap(),
    )
}

/// A message as protobuf's JSON, which is how a random one is said.
fn messages() -> impl Strategy<Value = Value> {
    let number = || prop_oneof![Just(0), any::<i64>()];
    let leaf = (
        (any::<i32>(), number(), any::<u32>(), any::<u64>()),
        (
            prop::num::f64::NORMAL,
            any::<bool>(),
            ".{0,8}",
            any::<Vec<u8>>(),
        ),
        (
            prop::option::of(".{0,4}"),
            prop::option::of(any::<i32>()),
            0..2,
        ),
    );
    let leaf = leaf.prop_map(|(numbers, others, choices)| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.encode(others.3);
        let mut message = json!({
            "doubleField": others.0, "int32Field": numbers.0, "int64Field": numbers.1,
            "uint32Field": numbers.2, "uint64Field": numbers.3, "sint32Field": numbers.0,
            "sint64Field": numbers.1, "fixed32Field": numbers.2, "fixed64Field": numbers.3,
            "sfixed32Field": numbers.0, "sfixed64Field": numbers.1, "boolField": others.1,
            "stringField": others.2, "bytesField": bytes.clone(),
            "enumField": if choices.2 == 0 { "NONE" } else { "SOME" },
            "packed": [numbers.0, 0, 7], "texts": [others.2.clone(), ""],
            "byNumber": { "7": "SOME", "-1": "NONE" }, "byTruth": { "true": bytes },
            "structure": { "a": [1.5, null, true, { "b": others.2.clone() }] },
            "took": "-1.5s", "list": ["x", 2.0], "named_by_itself": 1,
        });
        if numbers.1 % 2 == 0 {
            message["wrapped"] = json!(numbers.1);
        }
        if let Some(one) = choices.0 {
            message["one"] = json!(one);
        }
        if let Some(perhaps) = choices.1 {
            message["perhaps"] = json!(perhaps);
        }
        message
    });
    leaf.prop_recursive(3, 8, 2, |inner| {
        (
            inner.clone(),
            prop::collection::vec(inner.clone(), 0..3),
            inner,
        )
            .prop_map(|(mut message, several, one)| {
                message["messageField"] = one.clone();
                message["messages"] = json!(several);
                message["byName"] = json!({ "n\"": one });
                message
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_another_encoder_writes_is_read_as_protobufs_own_json(said in messages()) {
        let (ours, theirs) = schemas();
        let of = theirs.get_message_by_name("Any").unwrap();
        let message = DynamicMessage::deserialize(of, said).unwrap();
        let options = SerializeOptions::new().stringify_64_bit_integers(false);
        let expected = message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap();
        let datum = [vec![0], message.encode_to_vec()].concat();
        // Through text, as numbers have more than one form in memory.
        let expected: Value = serde_json::from_str(&expected.to_string()).unwrap();
        prop_assert_eq!(body(&ours, &datum), Ok(expected));
    }

    #[test]
    fn g8_bytes_of_anything_are_read_or_refused_within_the_limit(
        datum in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let (ours, _) = schemas();
        let datum = [vec![0], datum].concat();
        if let Ok(body) = ours.body(&datum.into(), LIMIT) {
            prop_assert!(body.len() <= LIMIT);
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }
}
