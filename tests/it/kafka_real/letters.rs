//! Dead letters in a topic.

use std::sync::Arc;
use std::time::Duration;

use goldwire::log::kafka::{KafkaCluster, KafkaLog, KafkaLogConfig, topics};
use serde_json::json;

use super::broker;
use crate::kafka_log::letters::between_instances;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_letters_are_seen_redriven_and_closed_by_any_instance() {
    let app = format!("app-{}", uuid::Uuid::new_v4());
    let config = json!({ "bootstrap_servers": broker(), "partitions": 3, "replication": 1 });
    let config: KafkaLogConfig = serde_json::from_value(config).unwrap();
    let cluster = KafkaCluster::reach(&config, &app, 1000).await.unwrap();
    let topics = topics(&cluster, ["crm"], false);
    cluster.prepare(&topics).await.unwrap();
    let readers = vec![format!("{app}.crm")];
    let log = KafkaLog::open(&cluster, &topics[0], readers, Duration::ZERO).await;
    between_instances(&cluster, Arc::new(log.unwrap())).await;
}
