//! The inbox topic as a source, against the mock cluster.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use goldwire::event::{Origin, SourceRecord};
use goldwire::log::LogAppender as _;
use goldwire::log::kafka::{KafkaCluster, KafkaLog, KafkaLogConfig};
use goldwire::source::kafka::KafkaSource;
use goldwire::source::{Source as _, SourceEvent};
use goldwire::time::SystemClock;
use prost::Message as _;
use rdkafka::mocking::MockCluster;
use serde_json::json;

use super::{Cluster, DRAIN, assigned, next};

const GROUP: &str = "app.inbox";

struct Inbox {
    _mock: Cluster,
    cluster: Arc<KafkaCluster>,
    log: KafkaLog,
}

async fn inbox() -> Inbox {
    let mock: Cluster = MockCluster::new(1).unwrap();
    mock.create_topic("app.inbox", 1, 1).unwrap();
    let config = json!({
        "bootstrap_servers": mock.bootstrap_servers(), "partitions": 1, "replication": 1,
        "group_protocol": "consumer"
    });
    let config: KafkaLogConfig = serde_json::from_value(config).unwrap();
    let cluster = KafkaCluster::reach(&config, "app", 1000).await.unwrap();
    let readers = vec![GROUP.to_owned()];
    let topic = cluster.inbox();
    let log = KafkaLog::open(&cluster, &topic, readers, Duration::ZERO).await;
    let log = log.unwrap();
    Inbox {
        _mock: mock,
        cluster,
        log,
    }
}

impl Inbox {
    fn source(&self) -> KafkaSource {
        KafkaSource::inbox(&self.cluster, GROUP, Arc::new(SystemClock), DRAIN).unwrap()
    }
}

fn webhook(body: &'static str) -> Bytes {
    let record = SourceRecord {
        source: "crm".to_owned(),
        received_time: 1234,
        headers: [("tenantid".to_owned(), "acme".to_owned())].into(),
        origin: Some(Origin {
            source: "crm".to_owned(),
            topic: "/reltio-webhook".to_owned(),
            message_id: "msg_1".to_owned(),
            ..Origin::default()
        }),
        round: 2,
        body: Bytes::from_static(body.as_bytes()),
        ..SourceRecord::default()
    };
    record.encode_to_vec().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_what_the_topic_keeps_is_what_came_and_is_committed_by_the_group() {
    let inbox = inbox().await;
    let records = vec![webhook("one"), webhook("two")];
    inbox.log.append(0, records).await.unwrap();
    let mut source = inbox.source();
    assert_eq!(assigned(&mut source).await, [0]);
    for (offset, body) in [(0, "one"), (1, "two")] {
        let event = next(&mut source).await;
        let SourceEvent::Batch(batch) = event else {
            panic!("a record, not {event:?}");
        };
        let record = &batch.records[0];
        assert_eq!((record.partition, record.offset), (0, offset));
        assert_eq!(
            (&*record.source, &record.body[..]),
            ("crm", body.as_bytes())
        );
        // Its own arrival, not this one.
        assert_eq!((record.received_time, record.round), (1234, 2));
        assert_eq!(&*record.topic, "/reltio-webhook");
        assert_eq!(record.message_id, "msg_1");
        assert_eq!(record.header_map()["tenantid"], "acme");
    }
    assert_eq!(inbox.log.committed(GROUP).await.unwrap(), [Some(0)]);
    source.commit(&[(0, 2)]).await.unwrap();
    assert_eq!(inbox.log.committed(GROUP).await.unwrap(), [Some(2)]);
    assert_eq!(source.lag(), [(0, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_a_record_that_cannot_be_read_halts_after_what_comes_before_it() {
    let inbox = inbox().await;
    let broken = Bytes::from_static(b"\xff\xff");
    let records = vec![webhook("one"), broken, webhook("three")];
    inbox.log.append(0, records).await.unwrap();
    let mut source = inbox.source();
    assert_eq!(assigned(&mut source).await, [0]);
    let (mut read, mut sentence) = (Vec::new(), None);
    while sentence.is_none() || read.is_empty() {
        match next(&mut source).await {
            SourceEvent::Batch(batch) => {
                assert_eq!(batch.reached, None);
                read.extend(batch.records.iter().map(|record| record.offset));
            }
            SourceEvent::Halted(why) => sentence = Some(why),
            SourceEvent::Assigned { .. }
            | SourceEvent::Revoked { .. }
            | SourceEvent::Lost { .. } => {}
        }
    }
    assert_eq!(read, [0]);
    let sentence = sentence.unwrap();
    for part in ["`app.inbox`", "offset 1", "run the version that wrote it"] {
        assert!(sentence.contains(part), "{sentence}");
    }
}
