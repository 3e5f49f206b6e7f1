//! Dead letters in a compacted topic, which every instance reads into its own store.
//!
//! Guarantee (G2): a letter that was put is durable in the topic. Guarantee (G1): a letter is closed
//! by a tombstone, and whoever closed it is answered when that is durable. What an instance shows
//! and counts is what it has read so far, so that neither costs a question to a broker; a letter
//! that was put elsewhere is here a moment later.
//!
//! A record's key is the letter's key in the store, its value the whole letter. Any instance may
//! redrive or discard any letter. A letter that the topic does not take for its size waits, and
//! says so: a letter without its record could not be tried again.

mod kafka;
mod memory;
mod points;
mod tail;
#[cfg(test)]
mod tests;

pub use kafka::KafkaTopic;
pub use memory::MemoryTopic;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::{DeadLetter, DeadLetters, Filter, LetterName, Page, StoredLetters};
use crate::log::{LogIdentity, OffsetRange};
use crate::mutation::{self, Mutation};
use crate::store::{Store, StoreError, keys};
use crate::time::SharedClock;
use tail::Tail;

/// How long whoever closed letters waits until they are gone from this instance's store as well.
const SEEN: Duration = Duration::from_secs(5);

/// A record of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicRecord {
    /// A letter's key in the store.
    pub key: Bytes,
    /// The letter, or nothing: it is closed.
    pub value: Option<Bytes>,
}

/// What one read gave of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPage {
    /// Which.
    pub partition: u16,
    /// Its records, oldest first.
    pub records: Vec<TopicRecord>,
    /// From where to read on: beyond the last of them, and beyond what is no record.
    pub next: u64,
}

/// Why the topic does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// It may later.
    #[error("{0}")]
    Retry(String),
    /// A position is not in the topic any more.
    #[error("{0}")]
    OutOfRange(String),
}

/// The compacted topic of dead letters.
#[async_trait]
pub trait LetterTopic: Debug + Send + Sync {
    /// Which topic this is, and what each of its partitions holds, as the brokers say now.
    ///
    /// # Errors
    /// If they do not answer.
    async fn ranges(&self) -> Result<(LogIdentity, Vec<OffsetRange>), TopicError>;

    /// Puts records, each into the partition of its key ([`crate::log::partition_of_key`]), in this
    /// order. They are on every in-sync replica when this returns. Partition and offset of each.
    ///
    /// # Errors
    /// If not all of them are known to be there.
    async fn put(&self, records: Vec<TopicRecord>) -> Result<Vec<(u16, u64)>, TopicError>;

    /// Records at and after these positions, one for each partition; those of committed
    /// transactions only. Waits for some a while. Only one reads at a time.
    ///
    /// # Errors
    /// If the brokers do not answer, or a position is not in the topic.
    async fn read(&self, from: &[u64]) -> Result<Vec<TopicPage>, TopicError>;
}

/// Dead letters in a topic.
#[derive(Debug)]
pub struct TopicLetters {
    topic: Arc<dyn LetterTopic>,
    /// What was read of them.
    read: StoredLetters,
    /// By partition, below which offset everything is in the store.
    applied: watch::Receiver<Vec<u64>>,
    _tail: AbortOnDropHandle<()>,
}

impl TopicLetters {
    /// Begins to read the topic into `store`. Ends when dropped.
    pub fn start(topic: Arc<dyn LetterTopic>, store: Arc<dyn Store>, clock: SharedClock) -> Self {
        let (applied, seen) = watch::channel(Vec::new());
        let tail = Tail {
            topic: Arc::clone(&topic),
            store: Arc::clone(&store),
            clock,
            applied,
        };
        Self {
            topic,
            read: StoredLetters::new(store),
            applied: seen,
            _tail: AbortOnDropHandle::new(tokio::spawn(tail.run())),
        }
    }

    /// Returns when the store has everything below these positions.
    async fn reaches(&self, positions: Vec<(u16, u64)>) {
        let has = |applied: &Vec<u64>| {
            positions.iter().all(|(partition, position)| {
                let applied = applied.get(usize::from(*partition));
                applied.is_some_and(|applied| applied >= position)
            })
        };
        // The tail ends with this.
        self.applied.clone().wait_for(has).await.ok();
    }
}

#[async_trait]
impl DeadLetters for TopicLetters {
    async fn put(&self, letters: &[DeadLetter]) -> Result<(), StoreError> {
        let records = letters.iter().map(|letter| TopicRecord {
            key: LetterName::of(letter).key().into(),
            value: Some(letter.encode_to_vec().into()),
        });
        let put = self.topic.put(records.collect()).await;
        put.map(drop).map_err(|error| untaken(&error))
    }

    async fn page(
        &self,
        filter: &Filter,
        after: Option<&LetterName>,
        max: usize,
    ) -> Result<Page, StoreError> {
        self.read.page(filter, after, max).await
    }

    async fn show(&self, name: &LetterName) -> Result<Option<DeadLetter>, StoreError> {
        self.read.show(name).await
    }

    async fn depth(&self) -> Result<BTreeMap<String, u64>, StoreError> {
        self.read.depth().await
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        let asked = self.topic.ranges().await;
        let (_, ranges) = asked.map_err(|error| {
            StoreError::Io(format!(
                "the topic of dead letters does not answer: {error}"
            ))
        })?;
        let ends = ranges.iter().map(|range| range.end);
        self.reaches((0..).zip(ends).collect()).await;
        Ok(())
    }

    /// Waits a moment for the store to have it too, so that who lists them next does not see them
    /// any more.
    async fn close(&self, names: &[LetterName]) -> Result<(), StoreError> {
        let tombstone = |LetterName { sink, id, round }: &LetterName| {
            let other = mutation::is(Mutation::OtherRoundClosed);
            let round = round.saturating_add(u32::from(other));
            TopicRecord {
                key: keys::dead_letter(sink, id, round).into(),
                value: None,
            }
        };
        if names.is_empty() {
            return Ok(());
        }
        let put = self.topic.put(names.iter().map(tombstone).collect()).await;
        let put = put.map_err(|error| untaken(&error))?;
        let behind = put.into_iter().map(|(of, offset)| (of, offset + 1));
        let seen = self.reaches(behind.collect());
        // Durable already: the store has it later.
        tokio::time::timeout(SEEN, seen).await.ok();
        Ok(())
    }
}

fn untaken(error: &TopicError) -> StoreError {
    StoreError::Io(format!("the topic of dead letters takes none: {error}"))
}
