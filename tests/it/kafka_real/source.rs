//! The Kafka source.

use std::sync::Arc;
use std::time::Duration;

use goldwire::source::kafka::KafkaSource;
use goldwire::source::kafka::config::KafkaSource as Config;
use goldwire::source::{Room, Source, SourceError, SourceEvent};
use goldwire::store::MemoryStore;
use goldwire::time::SystemClock;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::json;
use tokio::sync::oneshot;

use super::broker;

const DEADLINE: Duration = Duration::from_mins(1);
const MOMENT: Duration = Duration::from_secs(1);
/// Room for one record at a time.
const ONE: Room = Room {
    records: 1,
    bytes: 1,
};
const DRAIN: Duration = Duration::from_secs(5);

/// A topic with two partitions of ten records each.
pub(super) async fn topic(name: &str) -> String {
    let topic = format!("{name}-{}", uuid::Uuid::new_v4());
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", broker());
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let new = NewTopic::new(&topic, 2, TopicReplication::Fixed(1));
    for made in admin
        .create_topics([&new], &AdminOptions::new())
        .await
        .unwrap()
    {
        made.unwrap();
    }
    let producer: ThreadedProducer<DefaultProducerContext> = client.create().unwrap();
    for number in 0..20_u8 {
        let body = [number];
        let record = BaseRecord::<[u8], [u8]>::to(&topic).partition(i32::from(number % 2));
        producer
            .send(record.payload(&body))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
    topic
}

/// A member of the topic's group; `more` are further keys of the source.
pub(super) fn connect(topic: &str, more: &serde_json::Value) -> KafkaSource {
    let mut config = json!({
        "bootstrap_servers": broker(), "topic": topic, "group": topic, "start": "earliest"
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let config: Config = serde_json::from_value(config).unwrap();
    open(&config)
}

fn open(config: &Config) -> KafkaSource {
    let (clock, store) = (Arc::new(SystemClock), Arc::new(MemoryStore::new()));
    KafkaSource::connect("reltio", config, "acme", clock, DRAIN, store).unwrap()
}

pub(super) async fn next(source: &mut KafkaSource) -> SourceEvent {
    tokio::time::timeout(DEADLINE, source.next(ONE))
        .await
        .expect("an event in time")
}

pub(super) async fn assigned(source: &mut KafkaSource) -> Vec<i32> {
    let event = next(source).await;
    let SourceEvent::Assigned { mut partitions } = event else {
        panic!("assigned, not {event:?}");
    };
    partitions.sort_unstable();
    partitions
}

async fn revoked(source: &mut KafkaSource) -> (usize, oneshot::Sender<()>) {
    let event = next(source).await;
    let SourceEvent::Revoked { partitions, done } = event else {
        panic!("revoked, not {event:?}");
    };
    (partitions.len(), done)
}

async fn offsets(source: &mut KafkaSource, count: usize) -> Vec<u64> {
    let mut offsets = Vec::new();
    for _ in 0..count {
        let event = next(source).await;
        let SourceEvent::Batch(batch) = event else {
            panic!("a record, not {event:?}");
        };
        offsets.extend(batch.records.iter().map(|record| record.offset));
    }
    offsets
}

async fn nothing_yet(source: &mut KafkaSource) {
    let early = tokio::time::timeout(MOMENT, source.next(ONE)).await;
    assert!(early.is_err(), "nothing before the drain, but {early:?}");
}

async fn end(source: KafkaSource) {
    tokio::task::spawn_blocking(move || drop(source))
        .await
        .unwrap();
}

async fn handover(more: serde_json::Value) {
    let topic = topic("handover").await;
    let mut first = connect(&topic, &more);
    assert_eq!(assigned(&mut first).await, [0, 1]);
    offsets(&mut first, 20).await;

    let mut second = connect(&topic, &more);
    let (_, done) = revoked(&mut first).await;
    nothing_yet(&mut second).await;
    // A commit during the drain is taken by the broker, and is where the other member begins.
    first.commit(&[(0, 7), (1, 7)]).await.unwrap();
    done.send(()).unwrap();

    let theirs = assigned(&mut second).await;
    assert_eq!(theirs.len(), 1);
    assert_eq!(offsets(&mut second, 3).await, [7, 8, 9]);
    tokio::join!(end(first), end(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_hands_a_partition_over_with_the_eager_classic_protocol() {
    let strategy = "range";
    let properties = json!({
        "heartbeat.interval.ms": "500", "partition.assignment.strategy": strategy
    });
    handover(json!({ "properties": properties })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_hands_a_partition_over_with_the_cooperative_classic_protocol() {
    handover(json!({ "properties": { "heartbeat.interval.ms": "500" } })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_hands_a_partition_over_with_the_protocol_of_kip_848() {
    handover(json!({ "group_protocol": "consumer" })).await;
}

/// A static member that comes back within its session finds its partition where it was, and the
/// other one hears nothing of it.
async fn comes_back(more: &[serde_json::Value; 2]) {
    let topic = topic("static").await;
    let mut first = connect(&topic, &more[0]);
    assert_eq!(assigned(&mut first).await, [0, 1]);
    offsets(&mut first, 20).await;
    let mut second = connect(&topic, &more[1]);
    let (_, done) = revoked(&mut first).await;
    first.commit(&[(0, 7), (1, 7)]).await.unwrap();
    done.send(()).unwrap();
    let theirs = assigned(&mut second).await;
    assert_eq!(offsets(&mut second, 3).await, [7, 8, 9]);
    end(first).await;
    nothing_yet(&mut second).await;
    let mut first = connect(&topic, &more[0]);
    assert_eq!(assigned(&mut first).await, [1 - theirs[0]]);
    assert_eq!(offsets(&mut first, 3).await, [7, 8, 9]);
    nothing_yet(&mut second).await;
    tokio::join!(end(first), end(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_keeps_the_partitions_of_a_static_member_with_the_classic_protocol() {
    let properties = json!({ "heartbeat.interval.ms": "500" });
    comes_back(&["a", "b"].map(|name| json!({ "instance": name, "properties": properties }))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_keeps_the_partitions_of_a_static_member_with_the_protocol_of_kip_848() {
    let member = |name: &str| json!({ "instance": name, "group_protocol": "consumer" });
    comes_back(&["a", "b"].map(member)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_begins_at_a_time_and_keeps_that_choice() {
    let topic = topic("time").await;
    let config = json!({
        "bootstrap_servers": broker(), "topic": topic, "group": topic,
        "start": "2100-01-01T00:00:00Z"
    });
    let config: Config = serde_json::from_value(config).unwrap();
    let mut source = open(&config);
    assigned(&mut source).await;
    // Nothing is as new as that: the end it is, which is committed already.
    assert_eq!(source.lag(), [(0, 0), (1, 0)]);
    end(source).await;
    let mut source = connect(&topic, &json!({}));
    assigned(&mut source).await;
    assert_eq!(source.lag(), [(0, 0), (1, 0)]);
    end(source).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_keeps_a_member_that_has_no_room_for_longer_than_its_poll_interval() {
    let topic = topic("room").await;
    // Six seconds are the least that the broker and librdkafka take.
    let properties = json!({ "session.timeout.ms": "6000", "max.poll.interval.ms": "6000" });
    let mut source = connect(&topic, &json!({ "properties": properties }));
    assigned(&mut source).await;
    let longer = Duration::from_secs(8);
    let quiet = tokio::time::timeout(longer, source.next(Room::NONE)).await;
    assert!(quiet.is_err(), "neither lost nor revoked, but {quiet:?}");
    let committed: Result<(), SourceError> = source.commit(&[(0, 1)]).await;
    committed.unwrap();
    end(source).await;
}
