//! A member under KIP-848 whose name the brokers have not released yet.

use std::time::Duration;

use goldwire::source::{Room, Source as _};
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
async fn holds(topic: String, group: String) -> BaseConsumer {
    let joins = move || {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", broker())
            .set("group.id", group)
            .set("group.protocol", "consumer")
            .set("group.instance.id", "one");
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
    let holder = holds(format!("{app}.events"), format!("{app}.crm")).await;
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
    let holder = holds(topic.clone(), topic.clone()).await;
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
