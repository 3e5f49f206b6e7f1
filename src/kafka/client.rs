//! The producer: made when it is first needed, and again when it is of no use any more.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::reports::{Open, Reports};
use super::{Properties, complaint};

/// Idempotent, so that what librdkafka sends again is there once and in order.
pub(crate) type Producer = ThreadedProducer<Reports>;

/// Makes producers.
pub(crate) struct Client {
    config: ClientConfig,
    properties: Properties,
    live: Mutex<Option<Arc<Producer>>>,
}

impl fmt::Debug for Client {
    /// Without the properties: they hold passwords (G10).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to nothing yet.
    pub(crate) fn new(config: ClientConfig, properties: Properties) -> Self {
        Self {
            config,
            properties,
            live: Mutex::new(None),
        }
    }

    /// What the producer complained of since a record was acknowledged: librdkafka's code.
    pub(crate) fn complaint(&self) -> Option<String> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = live.as_ref()?.context().trouble()?;
        Some(format!("{trouble:?}"))
    }

    /// The producer; another one after a fatal error.
    ///
    /// # Errors
    /// Why librdkafka makes none of the configuration, with the property's name.
    pub(crate) fn producer(&self) -> Result<Arc<Producer>, String> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = live.as_ref().filter(|of| !of.context().is_fatal()) {
            return Ok(Arc::clone(producer));
        }
        if let Some(old) = live.take() {
            tracing::warn!("the Kafka producer ended with a fatal error; another one is made");
            // Its last reports are waited for when it is dropped.
            drop(tokio::task::spawn_blocking(move || drop(old)));
        }
        let made: Result<Producer, KafkaError> =
            self.config.create_with_context(Reports::default());
        let made = made.map(Arc::new);
        let made = made.map_err(|error| complaint(&self.properties, &error))?;
        *live = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// What a row's records have in common.
pub(crate) struct Row<'a> {
    pub(crate) number: usize,
    /// Chosen by the key, unless it is given.
    pub(crate) partition: Option<i32>,
    pub(crate) key: &'a [u8],
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: Option<OwnedHeaders>,
}

/// Queues the record of a row for one topic, and waits only for room.
pub(crate) async fn queue(producer: &Producer, open: &Open<'_>, topic: &str, row: Row<'_>) {
    let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, open.tag(row.number));
    record.partition = row.partition;
    record.key = (!row.key.is_empty()).then_some(row.key);
    record.headers = row.headers;
    record.payload = row.value;
    loop {
        // Asked before it is tried: a report between the two is not missed.
        let room = producer.context().room().notified();
        let Err((error, again)) = producer.send(record) else {
            return;
        };
        let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
        drop(error);
        if code != Code::QueueFull {
            producer.context().note(code);
            open.not_queued(row.number, code, topic);
            return;
        }
        record = again;
        room.await;
    }
}
