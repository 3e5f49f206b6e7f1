//! Rules of `log.kafka`.

use serde_json::{Value, json};

use super::rules::refused;
use super::{in_kafka, parse, problems};
use goldwire::topology::Topology;

/// The example with this key of `log.kafka`.
fn with(key: &str, value: Value) -> Value {
    let mut tree = in_kafka();
    tree["log"]["kafka"][key] = value;
    tree
}

#[test]
fn a_log_in_kafka_is_valid_and_says_where_it_is() {
    let config = parse(&in_kafka().to_string()).unwrap_or_else(|error| panic!("{error}"));
    let told = Topology::of(&config).describe();
    let expected = "log events (kafka mdm.goldwire.events at one.example.com:9093,\
                    two.example.com:9093, 8 partitions)\n";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn what_only_a_journal_has_is_refused_beside_kafka() {
    for (key, value) in [("quota", json!("10GiB")), ("partitions", json!(8))] {
        let mut tree = in_kafka();
        tree["log"][key] = value;
        refused(&tree, &format!("log.{key}"), "remove it");
    }
}

#[test]
fn a_log_in_kafka_sends_nothing_in_clear_text_to_another_machine_unless_that_is_meant() {
    let mut tree = with("properties", json!({}));
    refused(&tree, "log.kafka.bootstrap_servers", "nothing is encrypted");
    tree["log"]["kafka"]["insecure_plaintext"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn g1_g2_no_property_of_a_log_in_kafka_weakens_what_is_acknowledged_or_committed() {
    let owned = [
        "acks",
        "enable.idempotence",
        "transactional.id",
        "isolation.level",
        "auto.offset.reset",
        "enable.auto.commit",
        "group.id",
        "session.timeout.ms",
    ];
    for key in owned {
        let mut tree = in_kafka();
        tree["log"]["kafka"]["properties"][key] = json!("1");
        let path = if key.contains('.') {
            format!("log.kafka.properties[{key:?}]")
        } else {
            format!("log.kafka.properties.{key}")
        };
        refused(&tree, &path, "goldwire sets this itself");
    }
}

#[test]
fn a_record_of_the_log_has_room_for_the_largest_body_of_a_source() {
    let small = with("max_record", json!("64MiB"));
    refused(
        &small,
        "log.kafka.max_record",
        "larger than the largest `max_body`",
    );
    let large = with("max_record", json!("2GB"));
    refused(&large, "log.kafka.max_record", "at most 1000000000B");
}

#[test]
fn the_session_of_kip_848_is_the_brokers_own() {
    let mut tree = with("group_protocol", json!("consumer"));
    refused(&tree, "log.kafka.session_timeout", "the brokers say so");
    tree["log"]["kafka"]
        .as_object_mut()
        .unwrap()
        .remove("session_timeout");
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn names_that_become_part_of_a_topics_are_those_that_kafka_takes() {
    for key in ["topic_prefix", "instance"] {
        refused(
            &with(key, json!("a b")),
            &format!("log.kafka.{key}"),
            "letters, digits",
        );
    }
}
