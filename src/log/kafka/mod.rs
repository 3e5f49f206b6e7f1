//! A log in Kafka: a topic that goldwire alone writes to.
//!
//! Guarantee (G1): an append returns when every in-sync replica has its records, each told by its own
//! delivery report. Guarantee (G2): the brokers delete nothing by age; goldwire deletes what every
//! configured group has passed, by the offsets that those committed. Guarantee (G8): what waits for
//! the brokers is bounded by bytes.
//!
//! A producer that librdkafka gives up is replaced. What it had not acknowledged is appended again:
//! copies are known by their event id.

mod cluster;
mod config;
mod group;
mod joining;
mod keeper;
mod member;
pub(crate) mod offsets;
mod ranges;
mod rules;
mod split;
mod stopped;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::Producer as _;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::task::AbortOnDropHandle;

pub use cluster::{KafkaCluster, topics};
pub use config::KafkaLogConfig;
pub use group::{GroupOf, KafkaGroup, Member, Owners};
pub(super) use rules::check;
pub use topics::{Kind, Topic};

use self::config::QUEUE;
use self::keeper::{Keeper, Seen};
use self::ranges::Ranges;
use super::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, OffsetRange, ReadLimit, Retention, Share,
};
use crate::kafka::{Client, Failure, MOST_ROWS, Row, queue};

/// What a bound of bytes is counted in.
const UNIT: usize = 1024;
/// At most this of `max_record` is not the value's: a record in a batch of its own has 97 bytes more,
/// and a redrive adds its sink's name and its round.
const OVERHEAD: u64 = 1024;

/// A topic as a log.
#[derive(Debug)]
pub struct KafkaLog {
    identity: LogIdentity,
    topic: String,
    largest: u64,
    client: Client,
    /// Bytes that may still wait for the brokers.
    room: Semaphore,
    /// For each partition, held while an append is queued: its records stand together.
    turns: Vec<Mutex<()>>,
    ranges: Arc<Ranges>,
    keeper: Arc<Keeper>,
    _keeping: AbortOnDropHandle<()>,
}

impl KafkaLog {
    /// The log in a topic that was prepared. Groups that `readers` names have to have passed what is
    /// deleted, and `keep` has to have gone by since.
    ///
    /// # Errors
    /// If librdkafka makes no client of the configuration.
    pub async fn open(
        cluster: &Arc<KafkaCluster>,
        topic: &Topic,
        readers: Vec<String>,
        keep: Duration,
    ) -> Result<Self, LogError> {
        let (config, largest) = (&cluster.config, cluster.largest);
        let ranges = Arc::new(Ranges::new(topic.partitions));
        let seen = Arc::new(Seen::new(cluster, topic, &readers, Arc::clone(&ranges))?);
        // Whoever looks at a log finds what it holds.
        seen.refresh_patiently().await;
        let keeper = Arc::new(Keeper {
            cluster: Arc::clone(cluster),
            seen,
            readers,
            keep,
        });
        Ok(Self {
            identity: LogIdentity {
                id: format!("kafka:{}/{}", cluster.id(), topic.name),
                partitions: topic.partitions,
            },
            topic: topic.name.clone(),
            largest,
            client: Client::new(config.producer(largest), config.properties.clone()),
            room: Semaphore::new(units(usize::try_from(QUEUE).unwrap_or(usize::MAX))),
            turns: (0..topic.partitions).map(|_| Mutex::default()).collect(),
            ranges,
            _keeping: AbortOnDropHandle::new(tokio::spawn(Arc::clone(&keeper).run())),
            keeper,
        })
    }

    /// Joins a group that reads this log.
    ///
    /// # Errors
    /// Why librdkafka makes no consumer of the configuration.
    pub fn join(&self, of: GroupOf) -> Result<KafkaGroup, LogError> {
        let refused = |why| LogError::Refused(format!("log.kafka.{why}"));
        let cluster = &self.keeper.cluster;
        KafkaGroup::join(cluster, &self.ranges, &self.keeper.seen, of).map_err(refused)
    }

    /// Where a group stands in each partition, if it does, whoever its members are.
    ///
    /// # Errors
    /// If the brokers do not tell.
    pub async fn committed(&self, group: &str) -> Result<Vec<Option<u64>>, LogError> {
        self.keeper.committed(group).await
    }

    /// Deletes what every group has passed and what is old enough, which happens by itself once a
    /// minute.
    ///
    /// # Errors
    /// If the brokers do not answer, or refuse.
    pub async fn delete_passed(&self) -> Result<(), LogError> {
        self.keeper.trim().await
    }

    /// Queues the records for one partition, and waits for their reports.
    async fn append_some(&self, partition: u16, records: &[Bytes]) -> Result<u64, LogError> {
        let bytes = records.iter().map(Bytes::len).sum();
        let taken = units(bytes).min(units(usize::try_from(QUEUE).unwrap_or(usize::MAX)));
        let taken = u32::try_from(taken).unwrap_or(u32::MAX);
        let _room = self
            .room
            .acquire_many(taken)
            .await
            .map_err(|_| LogError::Closed)?;
        let turn = self
            .turns
            .get(usize::from(partition))
            .ok_or_else(|| LogError::Refused(format!("the log has no partition {partition}")))?;
        let turn = turn.lock().await;
        let refused = |why| LogError::Refused(format!("log.kafka.{why}"));
        let producer = self.client.producer().map_err(refused)?;
        let mut open = producer.context().open(records.len());
        for (number, record) in records.iter().enumerate() {
            open.begin(1);
            let row = Row {
                number,
                partition: Some(i32::from(partition)),
                key: &[],
                value: Some(record),
                headers: None,
            };
            queue(&producer, &open, &self.topic, row).await;
        }
        drop(turn);
        let ended = || LogError::Io("the producer ended".to_owned());
        let rows = open.finish().await.ok_or_else(ended)?;
        let mut first = None;
        for row in rows {
            let placed = row.map_err(|failure| self.not_appended(&failure))?;
            let end = u64::try_from(placed.last)
                .unwrap_or_default()
                .saturating_add(1);
            self.ranges.reaches(partition, end);
            first = first.or(u64::try_from(placed.first).ok());
        }
        Ok(first.unwrap_or_default())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has over a hundred codes; the others are told by name"
    )]
    fn not_appended(&self, failure: &Failure) -> LogError {
        let (topic, largest) = (&self.topic, self.largest);
        match failure.code {
            Code::MessageSizeTooLarge if !failure.queued => LogError::Refused(format!(
                "a record is larger than the {largest} bytes of log.kafka.max_record; raise it, \
                 and the max.message.bytes of topic {topic}"
            )),
            Code::MessageSizeTooLarge | Code::MessageBatchTooLarge => LogError::Io(format!(
                "topic {topic} takes less at once than the {largest} bytes of \
                 log.kafka.max_record; raise the topic's max.message.bytes"
            )),
            Code::TopicAuthorizationFailed => LogError::Io(format!(
                "no permission to write to topic {topic}: grant Write and Describe on it"
            )),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
                LogError::Io(format!(
                    "topic {topic} is not at the brokers any more: restore it, or start with an \
                     empty data_dir"
                ))
            }
            Code::MessageTimedOut => {
                let trouble = self.client.complaint();
                let trouble = trouble.unwrap_or_else(|| "no answer".to_owned());
                LogError::Io(format!(
                    "the brokers did not take a record in time: {trouble}"
                ))
            }
            code => LogError::Io(format!("the brokers did not take a record: {code:?}")),
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes / UNIT + 1
}

#[async_trait]
impl LogAppender for KafkaLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn append_within(
        &self,
        _: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let mut first = None;
        for some in records.chunks(MOST_ROWS) {
            let at = self.append_some(partition, some).await?;
            first = first.or(Some(at));
        }
        Ok(first.unwrap_or_default())
    }

    fn largest_record(&self) -> usize {
        usize::try_from(self.largest.saturating_sub(OVERHEAD)).unwrap_or(usize::MAX)
    }

    fn admits(&self, _: Share) -> Result<(), LogError> {
        if self.room.available_permits() > 0 {
            return Ok(());
        }
        let trouble = self.client.complaint().unwrap_or_else(|| "slow".to_owned());
        Err(LogError::Io(format!(
            "the brokers have not taken what is queued for them: {trouble}"
        )))
    }
}

#[async_trait]
impl Retention for KafkaLog {
    /// Nothing: positions of other instances count too, and are asked for once a minute.
    async fn trim(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    async fn evict(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    fn usage(&self) -> (u64, u64) {
        (0, u64::MAX)
    }
}

#[async_trait]
impl Log for KafkaLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.keeper.seen.read(partition, from, limit).await
    }

    async fn wait(&self, partition: u16, from: u64) {
        self.ranges.wait(partition, from).await;
    }

    fn range(&self, partition: u16) -> OffsetRange {
        self.ranges.of(partition)
    }
}
