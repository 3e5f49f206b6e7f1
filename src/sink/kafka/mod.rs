//! The newest golden records in Kafka topics, keyed by subject: what a compacted topic is for.
//!
//! Guarantees: a row is acknowledged when every in-sync replica has it, and by its own delivery
//! report (G3, G7). The producer is idempotent, so what it sends again by itself is there once and in
//! order; records of a subject keep the order in which they were handed in. The topic has no guard of
//! its own: after an ambiguous outcome the newest state is written once more (G4).
//!
//! The key is the subject's URI, the value the object's JSON to the byte, and headers tell id, kind,
//! state, version and times. What is dead has no value (a tombstone), and headers that say why. A
//! topic holds one tenant, since the key does not name it.

mod config;
mod encode;
mod errors;
mod preview;
mod probe;
mod rules;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DefaultProducerContext, Producer as _, ThreadedProducer};
use tokio::sync::Mutex;

pub use config::{KafkaSink, Value};

use self::topics::Topics;
use super::{Ack, Capabilities, Current, Effect, Mode, Sink, SinkError, UNANSWERED, Write};
use crate::event::{Filter, Kind, Subject, SubjectState};
use crate::kafka::{self, Client, MOST_ROWS, Open, Producer, Row, RowResult, queue};
use crate::telemetry::Metrics;

/// How long a record that was given up may still arrive: librdkafka closes a connection whose request
/// has no answer for so long (`socket.timeout.ms`).
const LATE: Duration = Duration::from_mins(1);
/// Rows and bytes of a batch: some of what librdkafka puts into one request for each partition.
const ROWS: usize = 2_000;
const BYTES: usize = 4 << 20;
/// The next batch is queued while the one before is acknowledged.
const BATCHES: usize = 4;

/// The Kafka sink.
#[derive(Debug)]
pub struct Kafka {
    name: String,
    config: KafkaSink,
    topics: Topics,
    filter: Filter,
    client: Client,
    /// Held while a batch is queued, so that batches are queued one after the other, in the order in
    /// which they came.
    turn: Mutex<()>,
    metrics: Arc<Metrics>,
}

impl Kafka {
    /// The sink called `name`, for `tenant`. Connects when there is something to write: brokers that
    /// are away are no error here.
    ///
    /// # Errors
    /// A line for each problem of the configuration.
    pub fn new(
        name: &str,
        config: &KafkaSink,
        tenant: &str,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let problems = config.problems();
        if !problems.is_empty() {
            let line = |problem| format!("sinks.{name}.kafka.{problem}");
            let lines: Vec<String> = problems.iter().map(line).collect();
            return Err(lines.join("\n"));
        }
        Ok(Self {
            name: name.to_owned(),
            config: config.clone(),
            topics: Topics::new(config, tenant),
            filter: config.filter(),
            client: Client::new(config.client(), config.properties.clone()),
            turn: Mutex::new(()),
            metrics,
        })
    }

    /// Queues a row's records. The error of a row that is none.
    async fn queue(
        &self,
        producer: &Producer,
        open: &mut Open<'_>,
        number: usize,
        write: &Write,
    ) -> Result<(), SinkError> {
        let Some(current) = &write.current else {
            open.begin(0);
            return Ok(());
        };
        // Where the type decides nothing, no tree is parsed for it.
        let object_type = if self.topics.differ() {
            object_type(write, current)
        } else {
            ""
        };
        if object_type.is_empty() && current.state.is_alive() && self.topics.differ() {
            open.begin(0);
            return Err(SinkError::Rejected {
                code: "no_type".to_owned(),
                fields: vec!["type".to_owned()],
                action: "produce",
            });
        }
        let topics = self.topics.of(object_type);
        open.begin(topics.len());
        let value = encode::value(write, current, self.config.value);
        let headers = encode::headers(write, current);
        // The last takes them: to copy headers costs as much as to make them.
        let headers = std::iter::repeat_n(headers, topics.len());
        for (topic, headers) in topics.iter().zip(headers) {
            let row = Row {
                number,
                partition: None,
                key: write.subject.uri().as_bytes(),
                value: value.as_deref(),
                headers: Some(headers),
            };
            queue(producer, open, topic, row).await;
        }
        Ok(())
    }

    /// Writes a batch that tags have room for.
    async fn write_some(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        self.metrics.batch(&self.name, batch.len());
        let turn = self.turn.lock().await;
        let producer = match self.client.producer() {
            Ok(producer) => producer,
            Err(why) => return vec![Err(errors::no_client(&why)); batch.len()],
        };
        let mut open = producer.context().open(batch.len());
        let mut refused = BTreeMap::new();
        for (number, write) in batch.iter().enumerate() {
            if let Err(error) = self.queue(&producer, &mut open, number, write).await {
                refused.insert(number, error);
            }
        }
        drop(turn);
        let Some(rows) = open.finish().await else {
            return vec![Err(UNANSWERED); batch.len()];
        };
        let trouble = producer.context().trouble();
        let answer = |(number, row): (usize, RowResult)| match (refused.remove(&number), row) {
            (Some(error), _) => Err(error),
            (None, Ok(_)) => Ok(DELIVERED),
            (None, Err(failure)) if failure.queued => {
                Err(errors::of_report(failure.code, &failure.topic, trouble))
            }
            (None, Err(failure)) => Err(errors::of_send(failure.code, &failure.topic)),
        };
        rows.into_iter().enumerate().map(answer).collect()
    }
}

/// Whether records like this are produced: erasures always.
fn takes(
    filter: &Filter,
    topics: &Topics,
    subject: &Subject,
    object_type: &str,
    kind: Kind,
) -> bool {
    let of_type =
        object_type.is_empty() || topics.take(object_type) && filter.passes_type(object_type);
    kind == Kind::Erased || filter.passes_kind(kind, subject.is_relation()) && of_type
}

/// The type that the write names, else the one in the object's tree.
fn object_type<'a>(write: &'a Write, current: &'a Current) -> &'a str {
    if let SubjectState::Alive(object) = &current.state
        && write.object_type.is_empty()
    {
        return object.object_type().unwrap_or_default();
    }
    &write.object_type
}

const DELIVERED: Ack = Ack {
    effect: Effect::Delivered,
    second_look: false,
    read: None,
};

#[async_trait]
impl Sink for Kafka {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.config.bootstrap_servers.clone()
    }

    fn complaint(&self) -> Option<String> {
        self.client.complaint()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            reassert_after: Some(LATE),
            in_steps: self.topics.differ(),
            rows: ROWS,
            bytes: BYTES,
            batches: BATCHES,
            ..Capabilities::new(Mode::Latest)
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, &self.topics, subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let mut answers = Vec::with_capacity(batch.len());
        for some in batch.chunks(MOST_ROWS) {
            answers.extend(self.write_some(some).await);
        }
        answers
    }

    async fn probe(&self) -> Vec<String> {
        probe::probe(
            &self.config.client(),
            &self.config.properties,
            self.topics.all(),
        )
        .await
    }
}

impl KafkaSink {
    /// Makes a producer that knows no broker, and drops it: whether the properties go together, and
    /// the files that they name can be read.
    ///
    /// # Errors
    /// What librdkafka says, without a property's value.
    pub fn try_out(&self) -> Result<(), String> {
        let mut config: ClientConfig = self.client();
        config.remove("bootstrap.servers");
        let made: Result<ThreadedProducer<DefaultProducerContext>, KafkaError> = config.create();
        made.map(drop)
            .map_err(|error| kafka::complaint(&self.properties, &error))
    }
}
