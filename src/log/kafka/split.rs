//! One partition of the log, as one assignment of it reads it.
//!
//! Guarantee (G2): a read begins exactly where it is asked to. What librdkafka had read ahead before
//! a seek is dropped by librdkafka, and what lies below is skipped here. An assignment that has ended
//! reads nothing of the next, and one that begins never goes on where the one before it stood: it is
//! assigned at the end of the partition. A position that the brokers do not have is never reset: it is
//! told with what they hold now.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset};
use tokio::sync::Notify;

use super::group::Member;
use crate::kafka::{Heard, code, is_lost_position};
use crate::log::{LogError, LogRecord, OffsetRange, PartitionReader, ReadLimit};

/// How long the start of a seek may take.
const SEEK: Duration = Duration::from_secs(2);
/// How long the brokers have to say what a partition holds.
const ANSWER: Duration = Duration::from_secs(5);
/// A partition that is not ready for a seek yet is asked again after this.
const AGAIN: Duration = Duration::from_millis(20);
/// Whoever waits for records looks by himself this often.
const LOOK: Duration = Duration::from_secs(1);

const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: 1,
};

/// The queues of the partitions, each made once: librdkafka has one for each.
#[derive(Default)]
pub(super) struct Splits(Mutex<BTreeMap<u16, Arc<Split>>>);

struct Split {
    queue: PartitionQueue<Heard>,
    grown: Arc<Notify>,
    /// The assignment that reads it.
    epoch: AtomicU64,
    /// The position was lost: no seek until it is assigned once more. Set by who reads.
    stopped: AtomicBool,
    /// Where the queue stands, and by which assignment; held by who reads.
    at: tokio::sync::Mutex<Option<At>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    epoch: u64,
    offset: u64,
}

impl Splits {
    /// Gives a partition a queue of its own.
    pub(super) fn split(&self, consumer: &Arc<BaseConsumer<Heard>>, topic: &str, partition: u16) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(&partition) {
            return;
        }
        let Some(mut queue) = consumer.split_partition_queue(topic, i32::from(partition)) else {
            return;
        };
        let grown = Arc::new(Notify::new());
        let told = Arc::clone(&grown);
        queue.set_nonempty_callback(move || told.notify_one());
        let split = Split {
            queue,
            grown,
            epoch: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            at: tokio::sync::Mutex::new(None),
        };
        all.insert(partition, Arc::new(split));
    }

    /// Forgets the queues of a client that is gone.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// The partitions that lost their position.
    pub(super) fn stopped(&self) -> Vec<u16> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = all
            .iter()
            .filter(|(_, split)| split.stopped.load(Ordering::Acquire));
        stopped.map(|(partition, _)| *partition).collect()
    }

    /// The partition was assigned once more.
    pub(super) fn restarted(&self, partition: u16) {
        if let Some(split) = self.get(partition) {
            split.stopped.store(false, Ordering::Release);
        }
    }

    fn get(&self, partition: u16) -> Option<Arc<Split>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&partition).cloned()
    }
}

/// A partition that was assigned.
pub(super) struct Partition {
    member: Arc<Member>,
    split: Arc<Split>,
    number: u16,
    epoch: u64,
}

impl std::fmt::Debug for Partition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Partition")
            .field("number", &self.number)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Partition {
    /// The reader of an assignment; an earlier one reads no more.
    pub(super) fn of(member: &Arc<Member>, partition: u16, epoch: u64) -> Option<Self> {
        let split = member.splits.get(partition)?;
        split.epoch.store(epoch, Ordering::Release);
        // One that waits for records looks again, and ends.
        split.grown.notify_one();
        Some(Self {
            member: Arc::clone(member),
            split,
            number: partition,
            epoch,
        })
    }

    fn is_current(&self) -> bool {
        self.split.epoch.load(Ordering::Acquire) == self.epoch
    }

    fn is_stopped(&self) -> bool {
        self.split.stopped.load(Ordering::Acquire)
    }

    /// Lets librdkafka begin at `from`.
    async fn seek(&self, from: u64) -> Result<(), LogError> {
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        let (member, partition) = (Arc::clone(&self.member), i32::from(self.number));
        let sought = tokio::task::spawn_blocking(move || {
            member
                .consumer()
                .seek(&member.topic, partition, offset, SEEK)
        });
        match sought.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(LogError::Io(error.to_string())),
            Err(error) => Err(LogError::Io(error.to_string())),
        }
    }

    /// Takes what is there, at and after `from`, within `limit`.
    fn take(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, KafkaError> {
        let mut messages: Vec<BorrowedMessage<'_>> = Vec::new();
        let mut bytes = 0_usize;
        while messages.len() < limit.records && bytes < limit.bytes {
            match self.split.queue.poll(Duration::ZERO) {
                Some(Ok(message)) if offset(&message) >= from => {
                    bytes = bytes.saturating_add(message.payload_len());
                    messages.push(message);
                }
                Some(Ok(_)) => {}
                // What came before it is whole.
                Some(Err(_)) if !messages.is_empty() => break,
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        Ok(records(&messages, bytes))
    }

    /// Why a read failed. Of a position that was lost the brokers are asked what the partition holds:
    /// what was known is from before that, and whether it lies below or beyond decides what is done.
    async fn failed(&self, from: u64, error: &KafkaError) -> LogError {
        let (topic, partition) = (self.member.topic.clone(), self.number);
        let io = |error: &KafkaError| LogError::Io(format!("topic {topic}: {:?}", code(error)));
        if !is_lost_position(code(error)) {
            return io(error);
        }
        self.split.stopped.store(true, Ordering::Release);
        let member = Arc::clone(&self.member);
        let asked =
            tokio::task::spawn_blocking(move || member.ranges(&member.topic, &[partition], ANSWER));
        let held = match asked.await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => return io(&error),
            Err(error) => return LogError::Io(error.to_string()),
        };
        let known = self.range();
        let held = held.first().map(|(_, start, end)| (*start, *end));
        let (start, end) = held.unwrap_or((known.start, known.end));
        self.member.ranges.told(partition, start, end);
        LogError::OutOfRange {
            partition,
            asked: from,
            start,
            end,
        }
    }
}

/// Copied, once, into one piece of memory: what librdkafka read ahead is free again.
fn records(messages: &[BorrowedMessage<'_>], bytes: usize) -> Vec<LogRecord> {
    let mut packed = BytesMut::with_capacity(bytes);
    for message in messages {
        packed.extend_from_slice(message.payload().unwrap_or_default());
    }
    let mut packed: Bytes = packed.freeze();
    let records = messages.iter().map(|message| LogRecord {
        offset: offset(message),
        bytes: packed.split_to(message.payload_len()),
    });
    records.collect()
}

fn offset(message: &BorrowedMessage<'_>) -> u64 {
    u64::try_from(message.offset()).unwrap_or_default()
}

#[async_trait]
impl PartitionReader for Partition {
    fn partition(&self) -> u16 {
        self.number
    }

    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn range(&self) -> OffsetRange {
        self.member.ranges.of(self.number)
    }

    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, LogError> {
        let mut at = self.split.at.lock().await;
        loop {
            if !self.is_current() {
                drop(at);
                return std::future::pending().await;
            }
            let epoch = self.epoch;
            let here = At {
                epoch,
                offset: from,
            };
            if *at != Some(here) {
                // Unknown while it is under way, so that a read that is dropped seeks again.
                *at = None;
                if self.is_stopped() || self.seek(from).await.is_err() {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                *at = Some(here);
            }
            let grown = self.split.grown.notified();
            match self.take(from, limit) {
                Ok(records) => {
                    if let Some(last) = records.last() {
                        let offset = last.offset.saturating_add(1);
                        self.member.ranges.reaches(self.number, offset);
                        *at = Some(At { epoch, offset });
                        return Ok(records);
                    }
                }
                Err(error) => {
                    *at = None;
                    return Err(self.failed(from, &error).await);
                }
            }
            // A queue that was seeked may have told of what is dropped now.
            drop(tokio::time::timeout(LOOK, grown).await);
        }
    }

    async fn checksum(&self, offset: u64) -> Result<Option<u32>, LogError> {
        let OffsetRange { start, end } = self.range();
        if offset < start || offset >= end {
            return Ok(None);
        }
        let read = self.member.seen.read(self.number, offset, ONE).await?;
        let first = read.first();
        let first = first.ok_or_else(|| LogError::Io("the brokers did not answer".to_owned()))?;
        let found = (first.offset == offset).then(|| crc32c::crc32c(&first.bytes));
        Ok(found)
    }
}
