//! Events into a topic, each acknowledged by all replicas.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use tokio::time::Instant;

use super::{Message, headers};
use crate::Failed;
use crate::run::ledger::Ledger;
use crate::run::sample::micros;
use crate::throughput::event::Event;

const ANSWER: Duration = Duration::from_secs(15);
const FLUSH: Duration = Duration::from_mins(2);
/// While the queue is full.
const MOMENT: Duration = Duration::from_millis(1);

/// Tells the ledger what was acknowledged.
struct Acks {
    ledger: Arc<Ledger>,
    start: Instant,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = Box<Event>;

    fn delivery(&self, result: &DeliveryResult<'_>, event: Box<Event>) {
        match result {
            Ok(_) => self.ledger.accepted(*event, micros(self.start.elapsed())),
            Err(_) => self.ledger.refused(),
        }
    }
}

/// A topic that events go to. What was captured with a key has it. Other keys are null and partitions
/// are taken in turn, as Reltio does it: an event's partition has nothing to do with its subject.
pub(crate) struct Topic {
    producer: ThreadedProducer<Acks>,
    name: String,
    partitions: i32,
    next: AtomicI32,
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Topic {
    /// A topic that is there.
    ///
    /// # Errors
    /// If it is not, or the brokers do not answer.
    pub(crate) fn new(
        bootstrap: &str,
        topic: &str,
        ledger: Arc<Ledger>,
        start: Instant,
    ) -> Result<Self, Failed> {
        let producer: ThreadedProducer<Acks> = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // The default of Kafka's own producer since 4.0.
            .set("linger.ms", "5")
            .set("queue.buffering.max.kbytes", "131072")
            .set("queue.buffering.max.messages", "1000000")
            .create_with_context(Acks { ledger, start })?;
        let metadata = producer.client().fetch_metadata(Some(topic), ANSWER);
        let metadata = metadata.map_err(|error| format!("{bootstrap}: {error}"))?;
        let partitions = metadata.topics().first().map(MetadataTopic::partitions);
        let partitions = i32::try_from(partitions.unwrap_or_default().len())?;
        if partitions == 0 {
            return Err(format!("{bootstrap}: there is no topic {topic}; make it first").into());
        }
        Ok(Self {
            producer,
            name: topic.to_owned(),
            partitions,
            next: AtomicI32::new(0),
        })
    }

    /// Sends a message. Waits only while 128 MB are on their way already.
    pub(super) fn send(&self, message: &Message) -> Result<(), Failed> {
        let mut owned = OwnedHeaders::new_with_capacity(message.headers.len());
        for (key, value) in &message.headers {
            let value = Some(value);
            owned = owned.insert(Header { key, value });
        }
        let partition = self
            .next
            .fetch_add(1, Ordering::Relaxed)
            .rem_euclid(self.partitions);
        let mut record: BaseRecord<'_, [u8], [u8], Box<Event>> =
            BaseRecord::with_opaque_to(&self.name, Box::new(message.event))
                .headers(owned)
                .payload(message.body.as_slice());
        record = match &message.key {
            Some(key) => record.key(key.as_bytes()),
            None => record.partition(partition),
        };
        while let Err((error, again)) = self.producer.send(record) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                return Err(error.into());
            };
            std::thread::sleep(MOMENT);
            record = again;
        }
        Ok(())
    }

    /// Sends one event, and waits until it is acknowledged.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn send_one(&self, event: Event) -> Result<(), Failed> {
        let mut body = String::new();
        event.write_body(&mut body, 0);
        let body = body.into_bytes();
        self.send(&Message {
            event,
            body,
            key: None,
            headers: headers(event).into(),
        })?;
        self.flush()
    }

    /// Waits until each message was acknowledged or given up.
    pub(super) fn flush(&self) -> Result<(), Failed> {
        Ok(self.producer.flush(FLUSH)?)
    }
}
