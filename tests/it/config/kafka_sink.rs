//! Rules of `kafka` sinks.

use serde_json::json;

use super::rules::refused;
use super::{full, problems, with};

#[test]
fn a_kafka_sink_has_either_one_topic_or_topics_by_type() {
    let both = with("/sinks/golden/kafka/topics", json!({ "Individual": "p" }));
    refused(&both, "sinks.golden.kafka.topics", "keep one of the two");
    let other = with("/sinks/golden/kafka/topic", "mdm.{env}");
    refused(&other, "sinks.golden.kafka.topic", "{tenant}");
    let twice = json!({ "Individual": "p", "com.example.Individual": "q" });
    refused(
        &with("/sinks/by_type/kafka/topics", twice),
        "sinks.by_type.kafka.topics[\"com.example.Individual\"]",
        "the same type",
    );
}

#[test]
fn a_kafka_sink_does_not_write_to_a_topic_that_a_source_reads() {
    let mut tree = with("/sinks/golden/kafka/topic", "t");
    tree["sources"]["topic"]["kafka"]["topic"] = json!("t");
    let brokers = tree["sources"]["topic"]["kafka"]["bootstrap_servers"].clone();
    tree["sinks"]["golden"]["kafka"]["bootstrap_servers"] = brokers;
    refused(
        &tree,
        "sinks.golden.kafka.topic",
        "sources.topic reads this topic",
    );
}

#[test]
fn a_kafka_sink_sends_nothing_in_clear_text_to_another_machine_unless_that_is_meant() {
    let mut tree = with("/sinks/by_type/kafka/bootstrap_servers", "127.0.0.1:1,b:2");
    refused(
        &tree,
        "sinks.by_type.kafka.bootstrap_servers",
        "nothing is encrypted",
    );
    tree["sinks"]["by_type"]["kafka"]["insecure_plaintext"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
}

#[test]
fn g3_no_property_of_a_kafka_sink_weakens_its_acknowledgements() {
    let owned = [
        "acks",
        "enable.idempotence",
        "delivery.timeout.ms",
        "transactional.id",
    ];
    for key in owned {
        let mut tree = full();
        tree["sinks"]["golden"]["kafka"]["properties"][key] = json!("1");
        let path = if key.contains('.') {
            format!("sinks.golden.kafka.properties[{key:?}]")
        } else {
            format!("sinks.golden.kafka.properties.{key}")
        };
        refused(&tree, &path, "goldwire sets this itself");
    }
}
