//! The log in Kafka against librdkafka's own mock cluster.

mod group;
pub(crate) mod letters;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goldwire::log::kafka::{KafkaCluster, KafkaLog, KafkaLogConfig, Kind, Topic};
use goldwire::log::{Log, LogAppender, LogError, LogRecord, OffsetRange, ReadLimit, Share};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr as Response};
use serde_json::json;

type Cluster = MockCluster<'static, DefaultProducerContext>;

const LIMIT: ReadLimit = ReadLimit {
    records: 100,
    bytes: 1 << 20,
};

fn mock() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    for topic in ["app.events", "app.crm.changelog", "app.dead-letters"] {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    cluster
}

async fn reach(cluster: &Cluster) -> Arc<KafkaCluster> {
    let config = json!({
        "bootstrap_servers": cluster.bootstrap_servers(), "partitions": 2, "replication": 1,
        "max_record": "2KiB", "session_timeout": "6s", "transaction_timeout": "5s",
        "properties": { "retry.backoff.ms": "10" }
    });
    let config: KafkaLogConfig = serde_json::from_value(config).unwrap();
    KafkaCluster::reach(&config, "app", 1000).await.unwrap()
}

async fn open(cluster: &Cluster) -> KafkaLog {
    open_at(&reach(cluster).await).await
}

async fn open_at(cluster: &Arc<KafkaCluster>) -> KafkaLog {
    let topic = Topic {
        name: cluster.topic("events"),
        partitions: 2,
        kind: Kind::Events { expires: false },
    };
    let readers = vec!["app.crm".to_owned()];
    KafkaLog::open(cluster, &topic, readers, Duration::ZERO)
        .await
        .unwrap()
}

fn numbered(numbers: std::ops::Range<u32>) -> Vec<Bytes> {
    numbers.map(|of| of.to_be_bytes().to_vec().into()).collect()
}

#[tokio::test]
async fn g1_what_was_appended_is_read_back_in_order_from_any_offset() {
    let cluster = mock();
    let log = open(&cluster).await;
    assert_eq!(log.append(1, numbered(0..50)).await.unwrap(), 0);
    assert_eq!(log.append(1, numbered(50..60)).await.unwrap(), 50);
    assert_eq!(log.range(1), OffsetRange { start: 0, end: 60 });
    assert_eq!(log.range(0), OffsetRange { start: 0, end: 0 });
    let expected = (45..60).zip(numbered(45..60));
    let expected: Vec<_> = expected
        .map(|(offset, bytes)| LogRecord { offset, bytes })
        .collect();
    let mut read = Vec::new();
    while read.len() < expected.len() {
        let from = read.last().map_or(45, |last: &LogRecord| last.offset + 1);
        read.extend(log.read(1, from, LIMIT).await.unwrap());
    }
    assert_eq!(read, expected);
    assert_eq!(log.read(1, 60, LIMIT).await.unwrap(), []);
    let outside = log.read(1, 61, LIMIT).await.unwrap_err();
    assert!(
        matches!(outside, LogError::OutOfRange { end: 60, .. }),
        "{outside}"
    );
    // Another instance finds the same.
    let other = open(&cluster).await;
    assert_eq!(other.range(1), OffsetRange { start: 0, end: 60 });
    assert_eq!(other.identity(), log.identity());
    assert_eq!(other.identity().partitions, 2);
}

#[tokio::test]
async fn a_record_that_is_too_large_is_refused_with_the_key_to_raise() {
    let cluster = mock();
    let log = open(&cluster).await;
    let large = vec![Bytes::from(vec![7; 4096])];
    let refused = log.append(0, large).await.unwrap_err();
    assert!(matches!(&refused, LogError::Refused(why) if why.contains("log.kafka.max_record")));
    assert_eq!(log.admits(Share::Intake).ok(), Some(()));
    assert_eq!(log.append(0, numbered(0..1)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_record_of_the_largest_size_that_the_log_names_is_taken() {
    let cluster = mock();
    let log = open(&cluster).await;
    let largest = log.largest_record();
    assert_eq!(largest, 1024);
    let records = vec![Bytes::from(vec![7; largest]); 3];
    assert_eq!(log.append(0, records).await.unwrap(), 0);
}

#[tokio::test]
async fn g1_a_producer_that_is_fenced_off_is_replaced_and_what_it_had_is_told_as_unknown() {
    let cluster = mock();
    let log = open(&cluster).await;
    log.append(0, numbered(0..1)).await.unwrap();
    let fatal = Response::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    cluster.request_errors(RDKafkaApiKey::Produce, &[fatal]);
    let unknown = log.append(0, numbered(1..2)).await;
    assert!(
        matches!(unknown, Ok(_) | Err(LogError::Io(_))),
        "{unknown:?}"
    );
    let first = log.append(0, numbered(1..2)).await.unwrap();
    assert!(first >= 1);
}
