//! Transactions of one sink in this process.
//!
//! Guarantee (G3): a transaction that is told as committed is; one that is told as aborted is not,
//! and never will be. What is not known is told so, and the producer that left it is replaced: the
//! next one of the same name ends what it left open.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use rdkafka::{Offset, TopicPartitionList};
use tokio::time::Instant;

use super::call::{AGAIN, ANSWER, Ended, abort, call, commit};
use super::lost_marker::Marker;
use super::{Asks, ChangelogOf, dispose};
use crate::changelog::{NotCommitted, Part};
use crate::kafka::{self, MOST_ROWS, Producer, Reports, Row, queue};
use crate::log::partition_of_key;
use crate::store::Batch;

/// A step that lasts longer is told, and once more each time that it has lasted so much longer.
const SLOW: Duration = Duration::from_secs(30);

/// A record that is to be sent.
pub(super) struct Sent<'a> {
    partition: u16,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// The records of a batch: keys that are removed have no value.
pub(super) fn rows(partition: u16, changes: &Batch) -> Vec<Sent<'_>> {
    let rows = changes.changes.iter().map(|(key, value)| Sent {
        partition,
        key,
        value: value.as_deref(),
    });
    rows.collect()
}

/// Sends records, and waits for their reports: where each is.
///
/// # Errors
/// Why one is not there, or not known to be.
pub(super) async fn send(
    producer: &Producer,
    topic: &str,
    rows: &[Sent<'_>],
) -> Result<Vec<u64>, Code> {
    let mut offsets = Vec::with_capacity(rows.len());
    for some in rows.chunks(MOST_ROWS) {
        let mut open = producer.context().open(some.len());
        for (number, row) in some.iter().enumerate() {
            open.begin(1);
            let row = Row {
                number,
                partition: Some(i32::from(row.partition)),
                key: row.key,
                value: row.value,
                headers: None,
            };
            queue(producer, &open, topic, row).await;
        }
        let placed = open.finish().await.ok_or(Code::Unknown)?;
        for row in placed {
            let placed = row.map_err(|failure| failure.code)?;
            offsets.push(u64::try_from(placed.last).unwrap_or_default());
        }
    }
    Ok(offsets)
}

/// Makes transactions, one at a time.
pub(super) struct Transactions {
    of: ChangelogOf,
    topic: String,
    events: String,
    letters: String,
    /// The member, if there is one.
    asks: Asks,
    producer: Option<Arc<Producer>>,
}

impl fmt::Debug for Transactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transactions")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Transactions {
    pub(super) fn new(of: ChangelogOf, topic: String, asks: Asks) -> Self {
        Self {
            events: of.cluster.topic("events"),
            letters: of.cluster.topic("dead-letters"),
            of,
            topic,
            asks,
            producer: None,
        }
    }

    pub(super) async fn transact(
        &mut self,
        parts: &[Part],
    ) -> Result<Vec<Option<u64>>, NotCommitted> {
        let producer = match &self.producer {
            Some(producer) => Arc::clone(producer),
            None => self.make().await.map_err(NotCommitted::Aborted)?,
        };
        let ended = match self.with(&producer, parts).await {
            Ok(nexts) => return Ok(nexts),
            Err(ended) => ended,
        };
        match ended {
            Ended::Aborted(why) => Err(NotCommitted::Aborted(why)),
            Ended::Broken(why) => {
                self.replace(producer, &why).await;
                Err(NotCommitted::Aborted(why))
            }
            Ended::InDoubt(why) => {
                self.replace(producer, &why).await;
                Err(NotCommitted::InDoubt(why))
            }
        }
    }

    /// A producer of this process's name, which ends what one before it left open.
    async fn make(&mut self) -> Result<Arc<Producer>, String> {
        let made = named(&self.of, &self.of.instance).await?;
        self.producer = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Ends what a process of this name left open before, as [`end_of`] does for another.
    pub(super) async fn end_own(&mut self, marker: Option<Marker<'_>>) -> Result<(), String> {
        let producer = match &self.producer {
            Some(producer) => Arc::clone(producer),
            None => self.make().await?,
        };
        let Some(marker) = marker else { return Ok(()) };
        let put = marker.put(&producer).await;
        if let Err(why) = &put {
            self.replace(producer, why).await;
        }
        put
    }

    /// Another producer, which ends what this one left open: whoever takes the partitions over
    /// waits for that.
    async fn replace(&mut self, producer: Arc<Producer>, why: &str) {
        let sink = &self.of.sink;
        tracing::warn!(sink, "the producer of transactions is replaced: {why}");
        self.producer = None;
        dispose(producer);
        if let Err(why) = self.make().await {
            tracing::warn!(sink = self.of.sink, "no other one yet: {why}");
        }
    }

    async fn with(
        &self,
        producer: &Arc<Producer>,
        parts: &[Part],
    ) -> Result<Vec<Option<u64>>, Ended> {
        let begun = call(producer, Producer::begin_transaction);
        let begun = self.slow("its beginning", begun).await;
        begun.map_err(|failed| Ended::Broken(failed.why))?;
        // Reports may fail to come as well as answers do, and nothing else of the sink is committed
        // until then.
        let longest = self.of.cluster.config().transaction_timeout.get() + ANSWER;
        let reported = tokio::time::timeout(longest, self.produce(producer, parts));
        let reported = self.slow("the reports of its records", reported).await;
        let nexts = match reported.unwrap_or(Err(Code::OperationTimedOut)) {
            Ok(nexts) => nexts,
            Err(code) => {
                return Err(abort(producer, format!("a record was refused: {code:?}")).await);
            }
        };
        let sent = self.send_offsets(producer, parts);
        if let Err(why) = self.slow("its positions", sent).await {
            return Err(match why {
                Refused::Abort(why) => abort(producer, why).await,
                Refused::Broken(why) => Ended::Broken(why),
            });
        }
        commit(producer).await?;
        Ok(nexts)
    }

    /// Waits for a step, and tells if that takes long.
    async fn slow<T>(&self, step: &str, waited: impl Future<Output = T>) -> T {
        let mut waited = pin!(waited);
        loop {
            match tokio::time::timeout(SLOW, &mut waited).await {
                Ok(done) => return done,
                Err(_) => {
                    tracing::warn!(sink = self.of.sink, "a transaction still waits for {step}");
                }
            }
        }
    }

    /// The records of all parts. Returns for each part the offset after its last.
    async fn produce(&self, producer: &Producer, parts: &[Part]) -> Result<Vec<Option<u64>>, Code> {
        let all = parts.iter();
        let all = all.flat_map(|part| rows(part.partition, &part.changes));
        let all: Vec<Sent<'_>> = all.collect();
        let count = self.of.cluster.config().partitions;
        let closed = parts.iter().flat_map(|part| &part.closed);
        let closed = closed.map(|key| Sent {
            partition: partition_of_key(key, count),
            key,
            value: None,
        });
        let closed: Vec<_> = closed.collect();
        let (placed, tombstones) = tokio::join!(
            send(producer, &self.topic, &all),
            send(producer, &self.letters, &closed)
        );
        tombstones?;
        let mut placed = placed?.into_iter();
        let nexts = parts.iter().map(|part| {
            let of_part = placed.by_ref().take(part.changes.changes.len());
            of_part.max().map(|last| last.saturating_add(1))
        });
        Ok(nexts.collect())
    }

    /// The group's positions, with the member's present generation.
    async fn send_offsets(&self, producer: &Arc<Producer>, parts: &[Part]) -> Result<(), Refused> {
        let mut list = TopicPartitionList::new();
        // The later one of a partition counts.
        let positions = parts.iter();
        let positions = positions.filter_map(|part| Some((part.partition, part.position?)));
        for (partition, position) in positions.collect::<BTreeMap<_, _>>() {
            let offset = Offset::Offset(i64::try_from(position).unwrap_or(i64::MAX));
            let added = list.add_partition_offset(&self.events, i32::from(partition), offset);
            added.map_err(|error| Refused::Abort(error.to_string()))?;
        }
        let deadline = Instant::now() + self.of.cluster.config().transaction_timeout.get();
        loop {
            let metadata = self.generation(parts).await.map_err(Refused::Abort)?;
            if list.count() == 0 {
                return Ok(());
            }
            let offsets = list.clone();
            let sent = call(producer, move |producer| {
                producer.send_offsets_to_transaction(&offsets, &metadata, ANSWER)
            });
            match sent.await {
                Ok(()) => return Ok(()),
                Err(failed) if failed.again && Instant::now() < deadline => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(failed) if failed.fatal => return Err(Refused::Broken(failed.why)),
                Err(failed) => return Err(Refused::Abort(failed.why)),
            }
        }
    }

    /// The member's generation, in which all parts are this process's. In this order: one in which
    /// they are not begins after that was noted.
    async fn generation(&self, parts: &[Part]) -> Result<ConsumerGroupMetadata, String> {
        let ownership = self.of.member.as_ref().map(|(_, ownership)| ownership);
        let asks = self.asks.client();
        let asked = tokio::task::spawn_blocking(move || asks.group_metadata());
        let metadata = asked.await.ok().flatten();
        let metadata = metadata.ok_or_else(|| "the group was left".to_owned())?;
        if self.asks.may_be_given_up() {
            return Err("the group may have given its partitions to others".to_owned());
        }
        let foreign = |part: &&Part| {
            ownership.is_some_and(|ownership| !ownership.owns(part.partition, part.epoch))
        };
        match parts.iter().find(foreign) {
            Some(part) => Err(format!("partition {} was lost", part.partition)),
            None => Ok(metadata),
        }
    }
}

/// A producer of an instance's name. What one before it left open is ended by then, and that one does
/// nothing any more.
async fn named(of: &ChangelogOf, instance: &str) -> Result<Arc<Producer>, String> {
    let config = of.cluster.config();
    let id = format!("{}/{instance}", of.group);
    let client = config.transactional(&id, of.cluster.largest());
    let made: Result<Producer, KafkaError> = client.create_with_context(Reports::default());
    let made = made.map_err(|error| kafka::complaint(&config.properties, &error))?;
    let made = Arc::new(made);
    let ready = call(&made, move |producer| producer.init_transactions(ANSWER)).await;
    match ready {
        Ok(()) => Ok(made),
        Err(failed) => {
            let trouble = made.context().trouble();
            dispose(made);
            Err(trouble.map_or(failed.why, |code| format!("{code:?}")))
        }
    }
}

/// Ends what another instance left open, by taking its name for a moment; with a marker also what the
/// brokers hold for ended. If it lives it makes itself another producer.
pub(super) async fn end_of(
    of: &ChangelogOf,
    instance: &str,
    marker: Option<Marker<'_>>,
) -> Result<(), String> {
    let producer = named(of, instance).await?;
    let put = match marker {
        Some(marker) => marker.put(&producer).await,
        None => Ok(()),
    };
    dispose(producer);
    put
}

/// Why offsets are not in the transaction.
enum Refused {
    Abort(String),
    Broken(String),
}
