//! The demo's Kafka topic, on an embedded broker.
//!
//! It has as many partitions as the script needs to stay well below what the broker keeps of each.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use crate::embedded_broker::EmbeddedBroker;

/// Bytes that one partition is given, of the 5 MB that it holds.
const ROOM: usize = 3 << 20;
const TOPIC: &str = "reltio.demo.entities.changes";

/// The embedded broker with one topic, and a producer to it.
pub(crate) struct Broker {
    embedded: EmbeddedBroker,
    producer: FutureProducer,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker")
            .field("embedded", &self.embedded)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// A broker whose topic has room for `bytes`.
    pub(crate) fn start(bytes: usize) -> Result<Self, String> {
        let partitions = i32::try_from(bytes / ROOM + 2).unwrap_or(i32::MAX);
        let embedded = EmbeddedBroker::start(&[(TOPIC, partitions)])?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", embedded.servers())
            .set("linger.ms", "5")
            .create()
            .map_err(|error| format!("embedded broker: {error}"))?;
        Ok(Self { embedded, producer })
    }

    pub(crate) fn topic() -> &'static str {
        TOPIC
    }

    pub(crate) fn servers(&self) -> &str {
        self.embedded.servers()
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
