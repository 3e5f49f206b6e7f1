//! What is looked at beside appending: where the partitions end, single records, and what may be
//! deleted.
//!
//! Guarantee (G2): nothing at or above the committed offset of a configured group is deleted, and
//! nothing of a partition in which one of them has none.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::time::{Instant, MissedTickBehavior};

use super::cluster::KafkaCluster;
use super::offsets;
use super::ranges::Ranges;
use super::topics::Topic;
use crate::kafka::{self, Heard, code};
use crate::log::{LogError, LogRecord, ReadLimit};
use crate::time::Clock as _;
use crate::time::{SystemClock, as_millis};

/// How often the ends of the partitions are asked for.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is told that they do not answer.
const TELL: Duration = Duration::from_secs(30);
/// How often what every group has passed is deleted.
const TRIM: Duration = Duration::from_mins(1);
/// Fewer records than this stay: a deletion costs the brokers a write.
const WORTH: u64 = 1_000;
/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// The partitions of a topic, seen by a consumer of no group.
pub(super) struct Seen {
    pub(super) topic: String,
    partitions: u16,
    /// One read at a time: the consumer is at one place.
    reads: Mutex<()>,
    consumer: BaseConsumer<Heard>,
    ranges: Arc<Ranges>,
}

impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Seen {
    pub(super) fn new(
        cluster: &KafkaCluster,
        topic: &Topic,
        readers: &[String],
        ranges: Arc<Ranges>,
    ) -> Result<Self, LogError> {
        // librdkafka assigns nothing to a client without a group; nothing is committed for it.
        let group = readers.first().map_or("goldwire", String::as_str);
        Ok(Self {
            topic: topic.name.clone(),
            partitions: topic.partitions,
            reads: Mutex::default(),
            consumer: consumer(cluster, group)?,
            ranges,
        })
    }

    /// Asks until the brokers answer.
    pub(super) async fn refresh_patiently(self: &Arc<Self>) {
        let mut tell_at = Instant::now();
        while let Err(why) = self.refresh().await {
            if Instant::now() >= tell_at {
                let topic = &self.topic;
                tracing::warn!(
                    topic,
                    "its ends are not known: {why}; asked again until they are"
                );
                tell_at = Instant::now() + TELL;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A client for questions, which does not fetch: an answer on a connection that does waits until
    /// its fetch was answered, half a second where nothing comes in.
    pub(super) fn consumer(&self) -> &BaseConsumer<Heard> {
        &self.consumer
    }

    /// Asks where all partitions begin and end.
    async fn refresh(self: &Arc<Self>) -> Result<(), LogError> {
        let seen = Arc::clone(self);
        blocking(move || {
            let held = offsets::ranges(&seen.consumer, &seen.topic, &seen.all(), ANSWER)?;
            for (partition, start, end) in held {
                seen.ranges.told(partition, start, end);
            }
            Ok(())
        })
        .await
    }

    fn all(&self) -> Vec<u16> {
        (0..self.partitions).collect()
    }

    /// Records at and after `from`; none at the end.
    pub(super) async fn read(
        self: &Arc<Self>,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        let range = self.ranges.of(partition);
        if from < range.start || from > range.end {
            return Err(LogError::OutOfRange {
                partition,
                asked: from,
                start: range.start,
                end: range.end,
            });
        }
        if from == range.end {
            return Ok(Vec::new());
        }
        let seen = Arc::clone(self);
        blocking(move || seen.read_now(partition, from, limit)).await
    }

    fn read_now(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, KafkaError> {
        let _one = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, i32::from(partition), offset)?;
        self.consumer.assign(&list)?;
        let read = self.poll(from, limit);
        self.consumer.unassign()?;
        read
    }

    fn poll(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, KafkaError> {
        let (mut records, mut bytes) = (Vec::<LogRecord>::new(), 0_usize);
        let deadline = Instant::now() + ANSWER;
        while records.len() < limit.records && (records.is_empty() || bytes < limit.bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            let patience = if records.is_empty() {
                left
            } else {
                Duration::ZERO
            };
            match self.consumer.poll(patience) {
                Some(Ok(message)) => {
                    let offset = u64::try_from(message.offset()).unwrap_or_default();
                    let payload = message.payload().unwrap_or_default();
                    let fits = records.is_empty() || bytes + payload.len() <= limit.bytes;
                    if offset >= from && fits {
                        bytes += payload.len();
                        let payload = bytes::Bytes::copy_from_slice(payload);
                        records.push(LogRecord {
                            offset,
                            bytes: payload,
                        });
                    } else if !fits {
                        break;
                    }
                }
                // What befalls a connection is not about this partition.
                Some(Err(KafkaError::MessageConsumption(code)))
                    if kafka::is_lost_position(code) =>
                {
                    return Err(KafkaError::MessageConsumption(code));
                }
                None if !records.is_empty() || left.is_zero() => break,
                Some(Err(_)) | None => {}
            }
        }
        Ok(records)
    }
}

/// Looks after a topic, until it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) cluster: Arc<KafkaCluster>,
    pub(super) seen: Arc<Seen>,
    pub(super) readers: Vec<String>,
    pub(super) keep: Duration,
}

impl Keeper {
    pub(super) async fn run(self: Arc<Self>) {
        let mut rhythm = tokio::time::interval(LOOK);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trimmed = Instant::now();
        loop {
            rhythm.tick().await;
            if let Err(why) = self.seen.refresh().await {
                tracing::debug!(topic = self.seen.topic, "its ends are not known: {why}");
            }
            if trimmed.elapsed() >= TRIM {
                trimmed = Instant::now();
                if let Err(why) = self.trim().await {
                    tracing::warn!(topic = self.seen.topic, "nothing could be deleted: {why}");
                }
            }
        }
    }

    /// Where a group stands in each partition, if it does.
    pub(super) async fn committed(&self, group: &str) -> Result<Vec<Option<u64>>, LogError> {
        let (seen, cluster, group) = (
            Arc::clone(&self.seen),
            Arc::clone(&self.cluster),
            group.to_owned(),
        );
        blocking(move || {
            let client = cluster.config.consumer(&group, cluster.largest);
            let consumer = client.create_with_context(Heard::default())?;
            let committed = offsets::committed(&consumer, &seen.topic, &seen.all(), ANSWER)?;
            Ok(committed.into_iter().map(|(_, offset)| offset).collect())
        })
        .await
    }

    /// Deletes what every group has passed, and what is old enough.
    pub(super) async fn trim(&self) -> Result<(), LogError> {
        let (seen, cluster) = (Arc::clone(&self.seen), Arc::clone(&self.cluster));
        let (readers, keep) = (self.readers.clone(), self.keep);
        let floors = blocking(move || floors(&seen, &cluster, &readers, keep)).await?;
        let mut below = TopicPartitionList::new();
        for (partition, floor) in floors {
            let start = self.seen.ranges.of(partition).start;
            if floor >= start.saturating_add(WORTH) {
                let offset = Offset::Offset(i64::try_from(floor).unwrap_or_default());
                let added =
                    below.add_partition_offset(&self.seen.topic, i32::from(partition), offset);
                added.map_err(|error| io(&error))?;
            }
        }
        if below.count() == 0 {
            return Ok(());
        }
        self.cluster
            .delete_records(&below)
            .await
            .map_err(|error| io(&error))
    }
}

/// Below where each partition may be deleted. Blocks on the brokers.
fn floors(
    seen: &Seen,
    cluster: &KafkaCluster,
    readers: &[String],
    keep: Duration,
) -> Result<Vec<(u16, u64)>, KafkaError> {
    if readers.is_empty() {
        return Ok(Vec::new());
    }
    let (topic, all) = (&seen.topic, seen.all());
    let since = Offset::Offset(SystemClock.now().saturating_sub(as_millis(keep)));
    // Nothing that new: all of it is old enough.
    let mut floors = offsets::at(&seen.consumer, topic, &all, since, ANSWER)?;
    for group in readers {
        let client = cluster.config.consumer(group, cluster.largest);
        let consumer = client.create_with_context(Heard::default())?;
        let committed = offsets::committed(&consumer, topic, &all, ANSWER)?;
        for ((_, floor), (_, committed)) in floors.iter_mut().zip(committed) {
            *floor = (*floor).min(committed.unwrap_or_default());
        }
    }
    Ok(floors)
}

fn consumer(cluster: &KafkaCluster, group: &str) -> Result<BaseConsumer<Heard>, LogError> {
    let client = cluster.config.consumer(group, cluster.largest);
    let made = client.create_with_context(Heard::default());
    made.map_err(|error| {
        let why = kafka::complaint(&cluster.config.properties, &error);
        LogError::Refused(format!("log.kafka.{why}"))
    })
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, LogError> {
    let asked = tokio::task::spawn_blocking(ask).await;
    let asked = asked.map_err(|error| LogError::Io(error.to_string()))?;
    asked.map_err(|error| io(&error))
}

fn io(error: &KafkaError) -> LogError {
    LogError::Io(format!("the brokers say: {:?}", code(error)))
}
