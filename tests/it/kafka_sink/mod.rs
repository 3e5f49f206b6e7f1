//! The Kafka sink against librdkafka's own mock cluster: its protocol, on a socket.

mod outcomes;
mod records;

use std::sync::Arc;
use std::time::Duration;

use goldwire::event::{EventRecord, Kind, Object, Record, State, Subject, SubjectState};
use goldwire::sink::kafka::{Kafka, KafkaSink};
use goldwire::sink::{Current, Write};
use goldwire::telemetry::Metrics;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};

/// No wait in these tests is longer.
const DEADLINE: Duration = Duration::from_mins(1);
const TOPIC: &str = "mdm.acme.golden";

type Cluster = MockCluster<'static, DefaultProducerContext>;

fn cluster(topics: &[&str]) -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    for topic in topics {
        cluster.create_topic(topic, 2, 1).unwrap();
    }
    cluster
}

fn sink(cluster: &Cluster, more: &Value) -> Kafka {
    let mut config = json!({ "bootstrap_servers": cluster.bootstrap_servers() });
    if more.get("topics").is_none() {
        config["topic"] = json!("mdm.{tenant}.golden");
    }
    let members = config.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let config: KafkaSink = serde_json::from_value(config).unwrap();
    Kafka::new("golden", &config, "acme", Arc::new(Metrics::noop())).unwrap()
}

/// A change of `uri` as the event log has it, and what it says.
fn write(uri: &str, version: i64, object: Option<&str>) -> Write {
    let message = EventRecord {
        id: format!("id of {uri} {version}"),
        tenant: "acme".to_owned(),
        subject: uri.to_owned(),
        kind: Kind::Changed.into(),
        state: State::Alive.into(),
        version: Some(version),
        commit_time: Some(version * 1000),
        received_time: version * 1000 + 5,
        payload: object.unwrap_or_default().to_owned().into(),
        ..EventRecord::default()
    };
    let state = object.map_or(SubjectState::Removed, |text| {
        SubjectState::Alive(Arc::new(Object::parse(text.as_bytes()).unwrap()))
    });
    Write {
        subject: Subject::new("acme", uri),
        object_type: "Individual".into(),
        current: Some(Current {
            state,
            content_time: version * 1000,
            version: Some(version),
            fields: None,
            erased: false,
        }),
        changes: Vec::new(),
        newest: version * 1000,
        targets: Vec::new(),
        hops: 0,
        record: Some(Record::from(message)),
    }
}

/// A record as a reader of the topic gets it.
#[derive(Debug)]
struct Read {
    key: String,
    value: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
}

impl Read {
    fn header(&self, name: &str) -> Option<&str> {
        let name = format!("goldwire.{name}");
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Every record of a topic, partition by partition.
fn read(cluster: &Cluster, topic: &str) -> Vec<Read> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("group.id", "reader")
        .create()
        .unwrap();
    let (mut list, mut left) = (TopicPartitionList::new(), 0);
    for partition in 0..2 {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition, DEADLINE)
            .unwrap();
        left += end;
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut found = Vec::new();
    while left > 0 {
        let message = consumer
            .poll(DEADLINE)
            .expect("a record is missing")
            .unwrap();
        let headers = message.headers().unwrap().iter().map(|header| {
            let value = String::from_utf8(header.value.unwrap().to_vec()).unwrap();
            (header.key.to_owned(), value)
        });
        found.push(Read {
            key: String::from_utf8(message.key().unwrap().to_vec()).unwrap(),
            value: message.payload().map(<[u8]>::to_vec),
            headers: headers.collect(),
        });
        left -= 1;
    }
    found
}
