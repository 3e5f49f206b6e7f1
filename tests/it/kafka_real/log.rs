//! The log in Kafka: its topics, and what is deleted.

use std::sync::Arc;
use std::time::Duration;

use goldwire::log::kafka::{KafkaCluster, KafkaLog, KafkaLogConfig, Kind, Topic, topics};
use goldwire::log::{Log, LogAppender, LogError, OffsetRange, ReadLimit};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::broker;

const LIMIT: ReadLimit = ReadLimit {
    records: 5,
    bytes: 1 << 20,
};

/// An application of its own for each test.
pub(super) fn app() -> String {
    format!("app-{}", uuid::Uuid::new_v4())
}

fn config(with: &[(&str, Value)]) -> KafkaLogConfig {
    let mut config = json!({ "bootstrap_servers": broker(), "partitions": 2, "replication": 1 });
    for (key, value) in with {
        config[key] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

pub(super) async fn cluster(app: &str, with: &[(&str, Value)]) -> Arc<KafkaCluster> {
    KafkaCluster::reach(&config(with), app, 1000).await.unwrap()
}

/// The log of an application with one sink.
pub(super) async fn open(cluster: &Arc<KafkaCluster>, app: &str) -> KafkaLog {
    let topics = topics(cluster, ["crm"], false);
    cluster.prepare(&topics).await.unwrap();
    let readers = vec![format!("{app}.crm")];
    KafkaLog::open(cluster, &topics[0], readers, Duration::ZERO)
        .await
        .unwrap()
}

fn refused(result: Result<(), LogError>) -> String {
    match result {
        Err(LogError::Refused(why)) => why,
        other => panic!("refused, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_topics_are_made_and_are_found_fit_by_the_next_start() {
    let app = app();
    let all = topics(&*cluster(&app, &[]).await, ["crm", "lake"], false);
    for _ in 0..2 {
        cluster(&app, &[]).await.prepare(&all).await.unwrap();
    }
    let fewer = cluster(&app, &[("partitions", json!(4))]).await;
    let why = refused(fewer.prepare(&topics(&fewer, ["crm"], false)).await);
    assert!(
        why.contains("log.kafka.partitions says 4: set it to 2"),
        "{why}"
    );
    let larger = cluster(&app, &[("max_record", json!("100MiB"))]).await;
    let why = refused(larger.prepare(&all).await);
    assert!(why.contains("raise the topic's max.message.bytes"), "{why}");
    let many = cluster(&app, &[("replication", json!(3))]).await;
    let inbox = Topic {
        name: many.topic("another-inbox"),
        partitions: 1,
        kind: Kind::Inbox,
    };
    let why = refused(many.prepare(&[inbox]).await);
    assert!(why.contains("fewer brokers than the 3"), "{why}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn g2_kafka_deletes_what_every_group_has_committed_and_nothing_beyond() {
    let app = app();
    let cluster = cluster(&app, &[]).await;
    let log = open(&cluster, &app).await;
    for partition in [0, 1] {
        let records = (0..3000_u32).map(|number| number.to_be_bytes().to_vec().into());
        assert_eq!(log.append(partition, records.collect()).await.unwrap(), 0);
    }
    let read = log.read(1, 2998, LIMIT).await.unwrap();
    let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [2998, 2999]);
    assert_eq!(read[0].bytes[..], 2998_u32.to_be_bytes());

    log.delete_passed().await.unwrap();
    assert_eq!(
        log.range(0),
        OffsetRange {
            start: 0,
            end: 3000
        }
    );

    let group = format!("{app}.crm");
    let topic = cluster.topic("events");
    tokio::task::spawn_blocking(move || commit(&group, &topic, 0, 2000))
        .await
        .unwrap();
    log.delete_passed().await.unwrap();
    let again = open(&cluster, &app).await;
    assert_eq!(
        again.range(0),
        OffsetRange {
            start: 2000,
            end: 3000
        }
    );
    assert_eq!(
        again.range(1),
        OffsetRange {
            start: 0,
            end: 3000
        }
    );
    assert_eq!(again.identity(), log.identity());
    let outside = again.read(0, 1999, LIMIT).await.unwrap_err();
    assert!(matches!(outside, LogError::OutOfRange { start: 2000, .. }));
}

fn commit(group: &str, topic: &str, partition: i32, offset: i64) {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", broker())
        .set("group.id", group);
    let consumer: BaseConsumer = client.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))
        .unwrap();
    consumer.commit(&list, CommitMode::Sync).unwrap();
}
