//! Reading a changelog, several partitions at the same time, by one consumer that is there only while
//! there is something to restore.
//!
//! Guarantee (G3): only records of committed transactions are read, in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use tokio::time::Instant;

use crate::changelog::{ChangelogError, ChangelogRecord, Page};
use crate::kafka::{Heard, Share, code, complaint, is_lost_position};
use crate::log::ReadLimit;
use crate::log::kafka::KafkaCluster;

/// Bytes that are read ahead, over all partitions.
const AHEAD: u64 = 32 << 20;
/// How long a read waits for the first record.
const PATIENCE: Duration = Duration::from_millis(500);
/// A partition that was not read for so long is given up: its takeover ended.
const ABANDONED: Duration = Duration::from_secs(30);

/// Reads a changelog.
pub(super) struct Restore {
    cluster: Arc<KafkaCluster>,
    topic: String,
    group: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Only while a partition is read.
    consumer: Option<Arc<BaseConsumer<Heard>>>,
    reading: BTreeMap<u16, Reading>,
    /// Where each partition's restore ends.
    until: BTreeMap<u16, u64>,
}

struct Reading {
    queue: Arc<PartitionQueue<Heard>>,
    next: u64,
    used: Instant,
}

impl Restore {
    pub(super) fn new(cluster: &Arc<KafkaCluster>, topic: &str, group: &str) -> Self {
        Self {
            cluster: Arc::clone(cluster),
            topic: topic.to_owned(),
            group: group.to_owned(),
            state: Mutex::default(),
        }
    }

    /// The restore of a partition ends with the record at this offset.
    pub(super) fn until(&self, partition: u16, offset: u64) {
        self.state().until.insert(partition, offset);
    }

    /// Records at and after `from`. Blocks until there are some, or a while.
    pub(super) fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Page, ChangelogError> {
        let queue = self.at(partition, from)?;
        let page = match poll(&queue, from, limit) {
            Ok(page) => page,
            Err(error) => {
                self.state().leave(&self.topic, partition);
                let code = code(&error);
                let topic = &self.topic;
                // It is not there later either; the next takeover looks what the topic holds.
                return Err(if is_lost_position(code) {
                    ChangelogError::Halt(format!(
                        "offset {from} of partition {partition} left the changelog {topic} while \
                         it was restored: it was truncated or made again. Restore the topic if \
                         records are missing, and start goldwire again"
                    ))
                } else {
                    ChangelogError::Retry(format!("topic {topic}: {code:?}"))
                });
            }
        };
        drop(queue);
        let mut state = self.state();
        let done = state
            .until
            .get(&partition)
            .is_some_and(|until| page.next > *until);
        if done {
            state.until.remove(&partition);
            state.leave(&self.topic, partition);
        } else if let Some(reading) = state.reading.get_mut(&partition) {
            reading.next = page.next;
            reading.used = Instant::now();
        }
        Ok(page)
    }

    /// The partition's queue, which stands at `from`.
    fn at(&self, partition: u16, from: u64) -> Result<Arc<PartitionQueue<Heard>>, ChangelogError> {
        let mut state = self.state();
        let consumer = if let Some(consumer) = &state.consumer {
            Arc::clone(consumer)
        } else {
            let made = Arc::new(self.consumer().map_err(ChangelogError::Halt)?);
            state.consumer = Some(Arc::clone(&made));
            made
        };
        // What its clients have to say is of no interest, and would pile up.
        while consumer.poll(Duration::ZERO).is_some() {}
        state.abandon(&self.topic);
        let failed = |error: KafkaError| {
            ChangelogError::Retry(format!("topic {}: {:?}", self.topic, code(&error)))
        };
        if let Some(reading) = state.reading.get(&partition) {
            if reading.next == from {
                return Ok(Arc::clone(&reading.queue));
            }
            state.unassign(&self.topic, partition).map_err(failed)?;
        }
        let queue = consumer.split_partition_queue(&self.topic, i32::from(partition));
        let queue = queue.ok_or_else(|| ChangelogError::Retry("no queue".to_owned()))?;
        let queue = Arc::new(queue);
        let mut list = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, i32::from(partition), offset)
            .map_err(failed)?;
        consumer.incremental_assign(&list).map_err(failed)?;
        let reading = Reading {
            queue: Arc::clone(&queue),
            next: from,
            used: Instant::now(),
        };
        state.reading.insert(partition, reading);
        Ok(queue)
    }

    fn consumer(&self) -> Result<BaseConsumer<Heard>, String> {
        let config = self.cluster.config();
        let mut client = config.consumer(&self.group, self.cluster.largest());
        Share::of(AHEAD, u64::from(config.partitions)).set(&mut client);
        let made = client.create_with_context(Heard::default());
        made.map_err(|error| complaint(&config.properties, &error))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn unassign(&mut self, topic: &str, partition: u16) -> Result<(), KafkaError> {
        self.reading.remove(&partition);
        let Some(consumer) = &self.consumer else {
            return Ok(());
        };
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition(topic, i32::from(partition));
        consumer.incremental_unassign(&list)
    }

    /// Nothing more of the partition is read; nor anything, with the last of them.
    fn leave(&mut self, topic: &str, partition: u16) {
        if let Err(error) = self.unassign(topic, partition) {
            tracing::debug!(topic, partition, code = ?code(&error), "not unassigned");
        }
        if self.reading.is_empty()
            && let Some(consumer) = self.consumer.take()
        {
            super::dispose(consumer);
        }
    }

    fn abandon(&mut self, topic: &str) {
        let old = self
            .reading
            .iter()
            .filter(|(_, of)| of.used.elapsed() > ABANDONED);
        let old: Vec<u16> = old.map(|(partition, _)| *partition).collect();
        for partition in old {
            if let Err(error) = self.unassign(topic, partition) {
                tracing::debug!(topic, partition, code = ?code(&error), "not unassigned");
            }
        }
    }
}

/// What a partition has ready, waiting for the first record.
fn poll(queue: &PartitionQueue<Heard>, from: u64, limit: ReadLimit) -> Result<Page, KafkaError> {
    let deadline = Instant::now() + PATIENCE;
    let mut messages: Vec<BorrowedMessage<'_>> = Vec::new();
    let mut bytes = 0_usize;
    while messages.len() < limit.records && bytes < limit.bytes {
        let patience = if messages.is_empty() {
            deadline.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        };
        match queue.poll(patience) {
            Some(Ok(message)) => {
                if message.offset() >= i64::try_from(from).unwrap_or(i64::MAX) {
                    bytes = bytes.saturating_add(message.key_len() + message.payload_len());
                    messages.push(message);
                }
            }
            Some(Err(_)) if !messages.is_empty() => break,
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    let last = messages.last().map(Message::offset);
    let last = last.and_then(|last| u64::try_from(last).ok());
    Ok(Page {
        records: records(&messages, bytes),
        next: last.map_or(from, |last| last.saturating_add(1)),
    })
}

/// Copied, once, into one piece of memory.
fn records(messages: &[BorrowedMessage<'_>], bytes: usize) -> Vec<ChangelogRecord> {
    let mut packed = BytesMut::with_capacity(bytes);
    for message in messages {
        packed.extend_from_slice(message.key().unwrap_or_default());
        packed.extend_from_slice(message.payload().unwrap_or_default());
    }
    let mut packed: Bytes = packed.freeze();
    let records = messages.iter().map(|message| {
        let key = packed.split_to(message.key_len());
        let value = packed.split_to(message.payload_len());
        ChangelogRecord {
            offset: u64::try_from(message.offset()).unwrap_or_default(),
            key,
            value: message.payload().map(|_| value),
        }
    });
    records.collect()
}
