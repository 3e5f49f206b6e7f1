//! What would go over the network in clear text is refused unless it is meant.

use serde_json::json;

use super::rules::refused;
use super::{problems, with};

#[test]
fn a_warehouse_sends_nothing_in_clear_text_to_another_machine_unless_that_is_meant() {
    for mode in ["", "?sslmode=disable", "?sslmode=allow", "?sslmode=prefer"] {
        let url = format!("postgres://u:s3cret@h/d{mode}");
        let mut tree = with("/sinks/lake/warehouse/url", url);
        refused(&tree, "sinks.lake.warehouse.url", "sslmode=verify-full");
        assert!(!problems(&tree)[0].contains("s3cret"));
        tree["sinks"]["lake"]["warehouse"]["insecure_plaintext"] = json!(true);
        assert_eq!(problems(&tree), Vec::<String>::new());
    }
    for url in [
        "postgres://u:p@127.0.0.1/d",
        "postgres://u@%2Frun%2Fpostgresql/d",
        "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    ] {
        let tree = with("/sinks/lake/warehouse/url", url);
        assert_eq!(problems(&tree), Vec::<String>::new(), "{url}");
    }
}

#[test]
fn a_kafka_source_takes_nothing_in_clear_text_from_another_machine_unless_that_is_meant() {
    let mut tree = with("/sources/topic/kafka/properties", json!({}));
    refused(
        &tree,
        "sources.topic.kafka.bootstrap_servers",
        "nothing is encrypted",
    );
    tree["sources"]["topic"]["kafka"]["insecure_plaintext"] = json!(true);
    assert_eq!(problems(&tree), Vec::<String>::new());
    let subscribed = "/sources/stream/kafka/subscription/kafkaConfig";
    let tree = with(&format!("{subscribed}/securityProtocol"), "SASL_PLAINTEXT");
    refused(
        &tree,
        "sources.stream.kafka.subscription.kafkaConfig.bootstrapServers",
        "nothing is encrypted",
    );
}
