//! A transaction that was left open by an instance that died in it.

use std::sync::Arc;
use std::time::Duration;

use goldwire::changelog::{Changelog, ChangelogOf, KafkaChangelog};
use goldwire::log::kafka::KafkaCluster;
use goldwire::store::{Batch, keys};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::broker;
use super::log::{app, cluster, open};

const ANSWER: Duration = Duration::from_secs(10);

fn changelog(cluster: &Arc<KafkaCluster>, app: &str, instance: &str) -> KafkaChangelog {
    let changelog = KafkaChangelog::new(ChangelogOf {
        cluster: Arc::clone(cluster),
        sink: "crm".to_owned(),
        group: format!("{app}.crm"),
        instance: instance.to_owned(),
        member: None,
    });
    changelog.unwrap()
}

async fn takes_over(of: &KafkaChangelog) -> u64 {
    let mut marker = Batch::default();
    marker.put(keys::TAKEOVER.to_vec(), of.instance().into());
    of.put(0, marker).await.unwrap()
}

/// A transaction with one record, of an instance that does not end it.
fn open_transaction(app: &str, instance: &str) -> BaseProducer {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", broker())
        .set("transactional.id", format!("{app}.crm/{instance}"))
        // Longer than the test may take: no one else ends it.
        .set("transaction.timeout.ms", "600000");
    let producer: BaseProducer = client.create().unwrap();
    producer.init_transactions(ANSWER).unwrap();
    producer.begin_transaction().unwrap();
    let topic = format!("{app}.crm.changelog");
    let record = BaseRecord::to(&topic).partition(0).key("k").payload("v");
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(ANSWER).unwrap();
    producer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a broker: GOLDWIRE_TEST_KAFKA"]
async fn kafka_a_takeover_ends_the_transaction_of_who_had_the_partition_before() {
    let app = app();
    let cluster = cluster(&app, &[]).await;
    drop(open(&cluster, &app).await);
    let dead = changelog(&cluster, &app, "dead");
    let idle = changelog(&cluster, &app, "idle");
    let heir = changelog(&cluster, &app, "heir");
    takes_over(&idle).await;
    takes_over(&dead).await;
    let name = app.clone();
    let open = tokio::task::spawn_blocking(move || open_transaction(&name, "dead"));
    let open = open.await.unwrap();
    // Its marker stands behind the transaction, and cannot be read yet.
    let marker = takes_over(&heir).await;
    assert!(heir.range(0).await.unwrap().end <= marker);

    heir.end_open(0, 0).await.unwrap();

    while heir.range(0).await.unwrap().end <= marker {}
    let late = tokio::task::spawn_blocking(move || {
        let late = open.commit_transaction(ANSWER);
        drop(open);
        late
    });
    late.await.unwrap().expect_err("its name was taken");
    // Nothing is open: no one's name is taken.
    heir.end_open(0, 0).await.unwrap();
}
