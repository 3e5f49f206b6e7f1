//! A member whose name another one has: under KIP-848 until the brokers release it, under the classic
//! protocol because another joined later.

use std::time::Duration;

use goldwire::source::{Room, Source as _, SourceEvent};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde_json::json;

use super::broker;
use super::group::Instance;
use super::log::{app, cluster, open};
use super::source::{assigned, connect, topic};

const MOMENT: Duration = Duration::from_secs(1);
const ROOM: Room = Room {
    records: 1,
    bytes: 1,
};

/// Another client that is the member `one` of a group.
async fn holds(topic: String, group: String, protocol: &'static str) -> BaseConsumer {
    let joins = move || {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", broker())
            .set("group.id", group)
            .set("group.protocol", protocol)
            .set("group.instance.id", "one");
        if protocol == "classic" {
            client.set("partition.assignment.strategy", "cooperative-sticky");
        }
        let consumer: BaseConsumer = client.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        while consumer.assignment().unwrap().count() == 0 {
            drop(consumer.poll(MOMENT));
        }
        consumer
    };
    tokio::task::spawn_blocking(joins).await.unwrap()
}

async fn leaves(holder: BaseConsumer) {
    let left = tokio::task::spawn_blocking(move || drop(holder));
    left.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_a_reader_of_the_log_whose_name_is_taken_joins_when_it_is_free() {
    let app = app();
    let with = [
        ("group_protocol", json!("consumer")),
        ("instance", json!("one")),
    ];
    let cluster = cluster(&app, &with).await;
    let log = open(&cluster, &app).await;
    let holder = holds(format!("{app}.events"), format!("{app}.crm"), "consumer").await;
    let mut late = Instance::start(&cluster, &log, &app, "one");
    late.nothing_yet().await;
    leaves(holder).await;
    assert_eq!(late.assigned().await.len(), 2);
    late.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_a_source_whose_name_is_taken_joins_when_it_is_free() {
    let topic = topic("name-taken").await;
    let holder = holds(topic.clone(), topic.clone(), "consumer").await;
    let more = json!({ "group_protocol": "consumer", "instance": "one" });
    let mut late = connect(&topic, &more);
    let early = tokio::time::timeout(MOMENT, late.next(ROOM)).await;
    assert!(
        early.is_err(),
        "nothing while the name is taken, but {early:?}"
    );
    leaves(holder).await;
    assert_eq!(assigned(&mut late).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_g2_a_reader_of_the_log_that_was_fenced_has_lost_its_partitions_and_joins_again() {
    let app = app();
    let cluster = cluster(&app, &[("instance", json!("one"))]).await;
    let log = open(&cluster, &app).await;
    let mut first = Instance::start(&cluster, &log, &app, "one");
    assert_eq!(first.assigned().await.len(), 2);
    let fencer = holds(format!("{app}.events"), format!("{app}.crm"), "classic").await;
    assert_eq!(first.lost().await, [0, 1]);
    assert_eq!(first.assigned().await.len(), 2);
    leaves(fencer).await;
    first.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_g2_a_source_that_was_fenced_has_lost_its_partitions_and_joins_again() {
    let topic = topic("fenced").await;
    let mut first = connect(&topic, &json!({ "instance": "one" }));
    assert_eq!(assigned(&mut first).await.len(), 2);
    let fencer = holds(topic.clone(), topic.clone(), "classic").await;
    let lost = async {
        loop {
            match first.next(ROOM).await {
                SourceEvent::Batch(_) => {}
                event @ (SourceEvent::Assigned { .. }
                | SourceEvent::Revoked { .. }
                | SourceEvent::Lost { .. }
                | SourceEvent::Halted(_)) => return event,
            }
        }
    };
    let lost = tokio::time::timeout(Duration::from_mins(1), lost);
    let lost = lost.await.expect("an event in time");
    assert!(
        matches!(&lost, SourceEvent::Lost { partitions } if *partitions == [0, 1]),
        "{lost:?}"
    );
    assert_eq!(assigned(&mut first).await.len(), 2);
    leaves(fencer).await;
}
