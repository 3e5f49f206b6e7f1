//! Dead letters in a topic, between instances that share nothing else.

use std::sync::Arc;
use std::time::Duration;

use goldwire::dead_letter::topic::{KafkaTopic, TopicLetters};
use goldwire::dead_letter::{DeadLetter, DeadLetters, LetterName, Redrive, Report, Work};
use goldwire::event::EventRecord;
use goldwire::log::kafka::{KafkaCluster, KafkaLog, KafkaLogConfig};
use goldwire::log::{Log, LogAppender, LogRecord, MemoryLog, ReadLimit};
use goldwire::store::{MemoryStore, Store, Tallied, keys};
use goldwire::time::SystemClock;
use prost::Message as _;
use rdkafka::mocking::MockCluster;
use serde_json::json;

use super::Cluster;

/// One instance's letters, with a store of its own.
async fn instance(cluster: &KafkaCluster) -> Arc<dyn DeadLetters> {
    let store = Tallied::over(MemoryStore::new(), keys::DEAD_LETTERS).unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let topic = KafkaTopic::open(cluster, &cluster.letters()).unwrap();
    let letters = TopicLetters::start(Arc::new(topic), store, Arc::new(SystemClock));
    letters.catch_up().await.unwrap();
    Arc::new(letters)
}

fn letter(number: u32) -> DeadLetter {
    let record = EventRecord {
        id: format!("id-{number}"),
        tenant: "acme".to_owned(),
        subject: format!("entities/{number}"),
        payload: vec![b'x'; 500].into(),
        ..EventRecord::default()
    };
    DeadLetter {
        id: record.id.clone(),
        sink: "crm".to_owned(),
        subject: record.subject.clone(),
        reason: "rejected".to_owned(),
        original: record.encode_to_vec().into(),
        ..DeadLetter::default()
    }
}

async fn depth(of: &Arc<dyn DeadLetters>) -> u64 {
    of.catch_up().await.unwrap();
    of.depth().await.unwrap().values().sum()
}

/// The letters of an application whose topics are there: put on one instance, seen, redriven and
/// closed by another, and gone for a third that comes later.
pub(crate) async fn between_instances(cluster: &Arc<KafkaCluster>, events: Arc<dyn Log>) {
    let (one, two) = tokio::join!(instance(cluster), instance(cluster));
    let letters: Vec<_> = (0..30).map(letter).collect();
    one.put(&letters).await.unwrap();
    assert_eq!((depth(&one).await, depth(&two).await), (30, 30));
    let seen = two.show(&LetterName::of(&letters[7])).await.unwrap();
    assert_eq!(seen.unwrap().original, letters[7].original);

    let log: Arc<dyn LogAppender> = Arc::<dyn Log>::clone(&events);
    let redrive = Redrive {
        letters: Arc::clone(&two),
        inbox: Arc::new(MemoryLog::new(1)),
        log,
        sinks: ["crm".to_owned()].into(),
        clock: Arc::new(SystemClock),
    };
    let some = Work {
        max: Some(10),
        ..Work::default()
    };
    let Report { done, .. } = redrive.run(&some, &|_| ()).await.unwrap();
    // G1: what is closed is durable in the log again.
    let mut appended = 0;
    for partition in 0..events.identity().partitions {
        appended += read(events.as_ref(), partition).await.len();
    }
    assert_eq!((done, appended), (10, 10));
    assert_eq!((depth(&two).await, depth(&one).await), (20, 20));
    let Report { done, .. } = redrive.discard(&some, &|_| ()).await.unwrap();
    assert_eq!((done, depth(&one).await), (10, 10));
    assert_eq!(depth(&instance(cluster).await).await, 10);
}

async fn read(log: &dyn Log, partition: u16) -> Vec<LogRecord> {
    let limit = ReadLimit {
        records: 1000,
        bytes: 1 << 20,
    };
    let (mut found, end) = (Vec::<LogRecord>::new(), log.range(partition).end);
    while let from = found.last().map_or(0, |last| last.offset + 1)
        && from < end
    {
        found.extend(log.read(partition, from, limit).await.unwrap());
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g2_letters_are_seen_redriven_and_closed_by_any_instance() {
    let mock: Cluster = MockCluster::new(1).unwrap();
    for topic in ["app.events", "app.dead-letters"] {
        mock.create_topic(topic, 3, 1).unwrap();
    }
    let config = json!({
        "bootstrap_servers": mock.bootstrap_servers(), "partitions": 3, "replication": 1
    });
    let config: KafkaLogConfig = serde_json::from_value(config).unwrap();
    let cluster = KafkaCluster::reach(&config, "app", 1000).await.unwrap();
    let events = goldwire::log::kafka::topics(&cluster, ["crm"], false);
    let readers = vec!["app.crm".to_owned()];
    let log = KafkaLog::open(&cluster, &events[0], readers, Duration::ZERO).await;
    between_instances(&cluster, Arc::new(log.unwrap())).await;
}
