//! A producer that counts what the broker acknowledged, for programs with one thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};

use crate::Failed;

const MOMENT: Duration = Duration::from_millis(5);
const FLUSH: Duration = Duration::from_mins(2);
/// Sent between two polls for acknowledgements.
const EVERY: u64 = 512;

/// Acknowledgements.
#[derive(Debug, Default)]
struct Acks {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counted = match result {
            Ok(_) => &self.delivered,
            Err(_) => &self.failed,
        };
        counted.fetch_add(1, Ordering::Relaxed);
    }
}

/// An idempotent producer with `acks=all` whose queue is bounded by bytes.
pub(super) struct Producer {
    inner: BaseProducer<Acks>,
    sent: u64,
}

impl Producer {
    /// Produces to the broker at `bootstrap`.
    pub(super) fn new(bootstrap: &str) -> Result<Self, Failed> {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", bootstrap)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "20")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("queue.buffering.max.messages", "1000000");
        Ok(Self {
            inner: config.create_with_context(Acks::default())?,
            sent: 0,
        })
    }

    /// Sends a record, and waits only while the queue is full.
    pub(super) fn send(&mut self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), Failed> {
        while let Err((error, again)) = self.inner.send(record) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                return Err(error.into());
            };
            self.inner.poll(MOMENT);
            record = again;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(EVERY) {
            self.inner.poll(Duration::ZERO);
        }
        Ok(())
    }

    /// Waits for every acknowledgement: how many records the broker has.
    pub(super) fn finish(self) -> Result<u64, Failed> {
        self.inner.flush(FLUSH)?;
        let acks = self.inner.context();
        let (failed, delivered) = (
            acks.failed.load(Ordering::Relaxed),
            acks.delivered.load(Ordering::Relaxed),
        );
        if failed > 0 || delivered != self.sent {
            let sent = self.sent;
            return Err(format!("{delivered} of {sent} records were acknowledged").into());
        }
        Ok(delivered)
    }
}
