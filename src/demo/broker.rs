//! The demo's Kafka topic, on the broker that librdkafka carries for tests.
//!
//! That broker keeps about 5 MB a partition and drops the oldest beyond, read or not, so the topic
//! gets as many partitions as the script needs to stay well below.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord};

/// Bytes that one partition is given, of the 5 MB that it holds.
const ROOM: usize = 3 << 20;
const TOPIC: &str = "reltio.demo.entities.changes";

/// The embedded broker with one topic, and a producer to it.
pub(super) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: FutureProducer,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("servers", &self.servers())
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker whose topic has room for `bytes`.
    pub(super) fn start(bytes: usize) -> Result<Self, String> {
        let cluster = MockCluster::new(1).map_err(|error| format!("embedded broker: {error}"))?;
        let partitions = i32::try_from(bytes / ROOM + 2).unwrap_or(i32::MAX);
        cluster
            .create_topic(TOPIC, partitions, 1)
            .map_err(|error| format!("embedded broker: {error}"))?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("linger.ms", "5")
            .create()
            .map_err(|error| format!("embedded broker: {error}"))?;
        Ok(Self { cluster, producer })
    }

    pub(super) fn topic() -> &'static str {
        TOPIC
    }

    pub(super) fn servers(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Produces one message and waits until the broker has it.
    pub(super) async fn send(
        &self,
        key: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> Result<(), String> {
        let mut owned = OwnedHeaders::new_with_capacity(headers.len());
        for (name, value) in headers {
            let value = Some(value.as_bytes());
            owned = owned.insert(Header {
                key: *name,
                value,
            });
        }
        let record = FutureRecord::to(TOPIC).key(key).payload(body).headers(owned);
        match self.producer.send(record, Duration::from_secs(10)).await {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(format!("embedded broker: {error}")),
        }
    }
}
