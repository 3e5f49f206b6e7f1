//! The Kafka source against librdkafka's own mock cluster: its protocol, on a socket.

mod inbox;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use goldwire::event::{Header, Received};
use goldwire::source::kafka::KafkaSource;
use goldwire::source::kafka::config::KafkaSource as Config;
use goldwire::source::{Room, Source, SourceError, SourceEvent};
use goldwire::store::{MemoryStore, Store};
use goldwire::time::SystemClock;
use rdkafka::ClientConfig;
use rdkafka::message::{Header as KafkaHeader, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// No wait in these tests is longer.
const DEADLINE: Duration = Duration::from_mins(1);
/// Room for one record at a time.
const ONE: Room = Room {
    records: 1,
    bytes: 1,
};
/// Long enough for the reader to have done what it must not do.
const MOMENT: Duration = Duration::from_millis(300);
const DRAIN: Duration = Duration::from_secs(5);
const TOPIC: &str = "reltio.acme.changes";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(partitions: i32) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    if partitions > 0 {
        cluster.create_topic(TOPIC, partitions, 1).unwrap();
    }
    cluster
}

fn config(bootstrap: &str, protocol: &str, group: &str, start: Option<&str>) -> Config {
    let mut config: Value = json!({
        "bootstrap_servers": bootstrap,
        "topic": "reltio.{tenant}.changes",
        "group": group,
        "start": start,
        "properties": {
            "topic.metadata.refresh.interval.ms": "300",
            "group.protocol": protocol
        }
    });
    if protocol == "classic" {
        config["properties"]["session.timeout.ms"] = json!("6000");
        config["properties"]["heartbeat.interval.ms"] = json!("200");
    }
    serde_json::from_value(config).unwrap()
}

/// Under KIP-848's protocol, whose mock answers at once; the classic one makes a new group wait.
fn connect(cluster: &Cluster, group: &str, start: Option<&str>) -> KafkaSource {
    connect_by("consumer", cluster, group, start)
}

fn connect_by(protocol: &str, cluster: &Cluster, group: &str, start: Option<&str>) -> KafkaSource {
    let config = config(&cluster.bootstrap_servers(), protocol, group, start);
    open(&config, &store(), DRAIN).unwrap()
}

fn store() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn open(config: &Config, store: &Arc<dyn Store>, drain: Duration) -> Result<KafkaSource, String> {
    let (clock, store) = (Arc::new(SystemClock), Arc::clone(store));
    KafkaSource::connect("reltio", config, "acme", clock, drain, store)
}

fn produce(cluster: &Cluster, partition: i32, bodies: impl IntoIterator<Item = String>) {
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .create_with_context(DefaultProducerContext)
        .unwrap();
    for body in bodies {
        let headers = OwnedHeaders::new()
            .insert(KafkaHeader {
                key: "tenantId",
                value: Some("acme"),
            })
            .insert(KafkaHeader {
                key: "X-Secret",
                value: Some("not read by decoding"),
            })
            .insert(KafkaHeader {
                key: "objectVersion",
                value: Some("7"),
            });
        let record = BaseRecord::<str, str>::to(TOPIC)
            .partition(partition)
            .payload(&body);
        producer
            .send(record.headers(headers))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(DEADLINE).unwrap();
}

fn numbered(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|number| format!("event {number}"))
}

async fn next(source: &mut KafkaSource) -> SourceEvent {
    tokio::time::timeout(DEADLINE, source.next(ONE))
        .await
        .expect("an event in time")
}

async fn assigned(source: &mut KafkaSource) -> Vec<i32> {
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

async fn record(source: &mut KafkaSource) -> Received {
    let event = next(source).await;
    let SourceEvent::Batch(mut batch) = event else {
        panic!("a record, not {event:?}");
    };
    assert_eq!(batch.records.len(), 1);
    batch.records.pop_front().unwrap()
}

async fn bodies(source: &mut KafkaSource, count: usize) -> Vec<String> {
    let mut bodies = Vec::new();
    for _ in 0..count {
        bodies.push(String::from_utf8(record(source).await.body.to_vec()).unwrap());
    }
    bodies
}

async fn halted(source: &mut KafkaSource) -> String {
    let event = next(source).await;
    let SourceEvent::Halted(sentence) = event else {
        panic!("halted, not {event:?}");
    };
    sentence
}

async fn is_fenced(source: &mut KafkaSource, partition: i32) {
    let foreign = source.commit(&[(partition, 9)]).await;
    assert!(
        matches!(foreign, Err(SourceError::Fenced(_))),
        "{foreign:?}"
    );
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

#[tokio::test]
async fn every_record_is_read_once_in_order_with_the_headers_that_decoding_reads() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..3000));
    let mut source = connect(&cluster, "g", Some("earliest"));
    assert_eq!(source.group(), "g");
    assert_eq!(assigned(&mut source).await, [0]);
    let first = record(&mut source).await;
    let headers: Vec<_> = first.headers.iter().collect();
    assert_eq!(headers, [(Header::Tenant, "acme"), (Header::Version, "7")]);
    let (source_name, topic) = (first.source.as_ref(), first.topic.as_ref());
    assert_eq!((source_name, topic, first.offset), ("reltio", TOPIC, 0));
    assert!(first.received_time > 0);
    assert_eq!(
        bodies(&mut source, 2999).await,
        numbered(1..3000).collect::<Vec<_>>()
    );
    end(source).await;
}

#[tokio::test]
async fn what_is_there_comes_in_batches_of_one_partition_as_far_as_there_is_room() {
    let cluster = cluster(2);
    for partition in 0..2 {
        produce(&cluster, partition, numbered(0..2000));
    }
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    let room = Room {
        records: 300,
        bytes: 1 << 20,
    };
    let (mut read, mut batches) = ([0_u64; 2], 0);
    while read != [2000, 2000] {
        let event = tokio::time::timeout(DEADLINE, source.next(room)).await;
        let SourceEvent::Batch(batch) = event.unwrap() else {
            panic!("a batch");
        };
        assert!((1..=room.records).contains(&batch.records.len()));
        let read = &mut read[usize::try_from(batch.partition).unwrap()];
        for record in batch.records {
            assert_eq!((record.partition, record.offset), (batch.partition, *read));
            assert_eq!(record.body, format!("event {read}"));
            *read += 1;
        }
        batches += 1;
    }
    assert!(batches < 400, "{batches} batches for 4000 records");
    end(source).await;
}

#[tokio::test]
async fn g1_only_what_is_told_is_committed_and_a_restart_goes_on_there() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..10));
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    bodies(&mut source, 10).await;
    assert_eq!(source.lag(), [(0, 10)]);
    source.commit(&[(0, 4)]).await.unwrap();
    assert_eq!(source.lag(), [(0, 6)]);
    end(source).await;

    // All ten were read; four were told. `start` means nothing once there is an offset.
    let mut source = connect(&cluster, "g", Some("latest"));
    assigned(&mut source).await;
    assert_eq!(
        bodies(&mut source, 6).await,
        numbered(4..10).collect::<Vec<_>>()
    );
    end(source).await;
}

#[tokio::test]
async fn a_group_without_offsets_and_without_start_halts_with_a_sentence() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..1));
    let mut source = connect(&cluster, "newcomer", None);
    let sentence = halted(&mut source).await;
    for part in ["`newcomer`", TOPIC, "partition 0", "`start`"] {
        assert!(sentence.contains(part), "{sentence}");
    }
    let after = tokio::time::timeout(MOMENT, source.next(ONE)).await;
    assert!(after.is_err(), "nothing follows, but {after:?}");
    end(source).await;
}

#[tokio::test]
async fn a_committed_offset_outside_the_topic_halts_and_is_not_reset() {
    let first = cluster(1);
    produce(&first, 0, numbered(0..2));
    let mut source = connect(&first, "g", Some("earliest"));
    assigned(&mut source).await;
    // The broker takes any number; the topic ends at 2.
    source.commit(&[(0, 50)]).await.unwrap();
    end(source).await;
    let mut source = connect(&first, "g", Some("earliest"));
    let sentence = halted(&mut source).await;
    assert!(
        sentence.contains("offset 50") && sentence.contains("0 to 2"),
        "{sentence}"
    );
    end(source).await;
}

#[tokio::test]
async fn g2_where_latest_begins_is_chosen_once() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..5));
    let mut source = connect(&cluster, "g", Some("latest"));
    assigned(&mut source).await;
    // Ends before a record came, so that nothing was ever committed by the task.
    end(source).await;
    produce(&cluster, 0, numbered(5..7));
    let mut source = connect(&cluster, "g", Some("latest"));
    assigned(&mut source).await;
    assert_eq!(bodies(&mut source, 2).await, ["event 5", "event 6"]);
    end(source).await;
}

#[tokio::test]
async fn g8_without_room_no_record_is_returned_and_none_is_lost() {
    let cluster = cluster(1);
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    produce(&cluster, 0, numbered(0..5000));
    let without_room = tokio::time::timeout(MOMENT, source.next(Room::NONE)).await;
    assert!(without_room.is_err(), "no record, but {without_room:?}");
    assert_eq!(
        bodies(&mut source, 5000).await,
        numbered(0..5000).collect::<Vec<_>>()
    );
    end(source).await;
}

/// Two members, one after the other; what the first commits is where the second begins.
async fn handover(protocol: &str, leaving: usize) {
    let cluster = cluster(2);
    for partition in 0..2 {
        produce(&cluster, partition, numbered(0..10));
    }
    let mut first = connect_by(protocol, &cluster, "g", Some("earliest"));
    assert_eq!(assigned(&mut first).await, [0, 1]);
    bodies(&mut first, 20).await;
    first.commit(&[(0, 7), (1, 7)]).await.unwrap();

    let mut second = connect_by(protocol, &cluster, "g", Some("earliest"));
    let (left, done) = revoked(&mut first).await;
    assert_eq!(left, leaving);
    nothing_yet(&mut second).await;
    done.send(()).unwrap();

    let theirs = assigned(&mut second).await;
    assert_eq!(theirs.len(), 1);
    assert_eq!(
        bodies(&mut second, 3).await,
        numbered(7..10).collect::<Vec<_>>()
    );
    is_fenced(&mut first, theirs[0]).await;
    tokio::join!(end(first), end(second));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_partition_goes_to_another_member_only_after_it_was_drained() {
    handover("classic", 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_with_kip_848_too_a_partition_goes_to_another_member_only_after_it_was_drained() {
    handover("consumer", 1).await;
}

#[tokio::test]
async fn a_topic_that_is_made_later_is_read() {
    let cluster = cluster(0);
    let mut source = connect_by("classic", &cluster, "g", Some("earliest"));
    let missing = tokio::time::timeout(MOMENT, source.next(ONE)).await;
    assert!(missing.is_err(), "waits, and is not halted: {missing:?}");
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    produce(&cluster, 0, numbered(0..3));
    assert_eq!(assigned(&mut source).await, [0]);
    assert_eq!(
        bodies(&mut source, 3).await,
        numbered(0..3).collect::<Vec<_>>()
    );
    end(source).await;
}

#[tokio::test]
async fn a_broker_that_was_away_is_read_on_when_it_is_back() {
    let cluster = cluster(1);
    produce(&cluster, 0, numbered(0..2));
    let mut source = connect(&cluster, "g", Some("earliest"));
    assigned(&mut source).await;
    bodies(&mut source, 2).await;
    cluster.broker_down(-1).unwrap();
    let away = tokio::time::timeout(MOMENT, source.next(ONE)).await;
    assert!(away.is_err(), "waits, and is not halted: {away:?}");
    cluster.broker_up(-1).unwrap();
    produce(&cluster, 0, numbered(2..4));
    assert_eq!(bodies(&mut source, 2).await, ["event 2", "event 3"]);
    end(source).await;
}

#[tokio::test]
async fn no_broker_at_all_is_no_error_and_no_hang() {
    let config = json!({ "bootstrap_servers": "127.0.0.1:1", "topic": "t", "group": "g" });
    let config: Config = serde_json::from_value(config).unwrap();
    let mut source = open(&config, &store(), DRAIN).unwrap();
    let event = tokio::time::timeout(MOMENT, source.next(ONE)).await;
    assert!(event.is_err(), "waits, and is not halted: {event:?}");
    assert!(matches!(
        source.commit(&[(0, 1)]).await,
        Err(SourceError::Fenced(_))
    ));
    end(source).await;
}

#[tokio::test]
async fn g10_a_refused_property_is_named_without_its_value() {
    let config = json!({
        "bootstrap_servers": "127.0.0.1:1", "topic": "t", "group": "g",
        "properties": { "sasl.pasword": "hush-hush" }
    });
    let config: Config = serde_json::from_value(config).unwrap();
    let refused = open(&config, &store(), DRAIN).unwrap_err();
    assert!(refused.contains("sasl.pasword"), "{refused}");
    assert!(!refused.contains("hush-hush"), "{refused}");
}
