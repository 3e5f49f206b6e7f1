//! The demo's Kafka topic, on the broker that librdkafka carries for tests.
//!
//! That broker keeps about 5 MB a partition and drops the oldest beyond, read or not, so the topic
//! gets as many partitions as the script needs to stay well below.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

/// Bytes that one partition is given, of the 5 MB that it holds.
const ROOM: usize = 3 << 20;
const TOPIC: &str = "reltio.demo.entities.changes";

/// The embedded broker with one topic, and a producer to it. The broker lives on a thread of its
/// own, which ends when this is dropped: librdkafka's handle stays where it was made.
pub(crate) struct Broker {
    servers: String,
    producer: FutureProducer,
    _lives: mpsc::Sender<()>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker whose topic has room for `bytes`.
    pub(crate) fn start(bytes: usize) -> Result<Self, String> {
        let (lives, ended) = mpsc::channel::<()>();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            let made = cluster(bytes);
            let servers = made.as_ref().map(MockCluster::bootstrap_servers);
            // Both ends can only fail when the demo is over.
            ready.send(servers.map_err(ToString::to_string)).ok();
            ended.recv().ok();
        });
        let failed = |why: String| format!("embedded broker: {why}");
        let servers = started.recv().map_err(|error| failed(error.to_string()))?;
        let servers = servers.map_err(failed)?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", &servers)
            .set("linger.ms", "5")
            .create()
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            servers,
            producer,
            _lives: lives,
        })
    }

    pub(crate) fn topic() -> &'static str {
        TOPIC
    }

    pub(crate) fn servers(&self) -> &str {
        &self.servers
    }

    /// Produces one message and waits until the broker has it.
    pub(crate) async fn send(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<(), String> {
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (name, value) in headers {
            let value = Some(value.as_bytes());
            owned = owned.insert(Header { key: name, value });
        }
        let record = FutureRecord::to(TOPIC)
            .key(key)
            .payload(body)
            .headers(owned);
        match self.producer.send(record, Duration::from_secs(10)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(format!("embedded broker: {error}")),
        }
    }
}

fn cluster(bytes: usize) -> KafkaResult<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    let partitions = i32::try_from(bytes / ROOM + 2).unwrap_or(i32::MAX);
    cluster.create_topic(TOPIC, partitions, 1)?;
    Ok(cluster)
}
