//! How a consumer group reads a log: which of its partitions are the group's, from when to when.
//!
//! Guarantee (G2): a partition is given to somebody else after it was given back, or is told as
//! lost; then nothing of it may be committed any more.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::{Log, LogError, LogRecord, OffsetRange, ReadLimit};

/// One partition of a log, for one reader.
#[async_trait]
pub trait PartitionReader: Debug + Send + Sync {
    /// Its number.
    fn partition(&self) -> u16;

    /// Which assignment of the partition this is; another has another. Zero where no one else can
    /// have it.
    fn epoch(&self) -> u64 {
        0
    }

    /// What it holds.
    fn range(&self) -> OffsetRange;

    /// Records at and after `from`, oldest first, within `limit`; offsets may have gaps. Waits for
    /// the first. Cancel safe.
    ///
    /// # Errors
    /// [`LogError::OutOfRange`] if `from` is not in the partition, [`LogError::Io`] if the read may
    /// be tried again.
    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, LogError>;

    /// The crc32c of the record at `offset`, if there is one. Waits for brokers that are away.
    ///
    /// # Errors
    /// As [`Self::read`].
    async fn checksum(&self, offset: u64) -> Result<Option<u32>, LogError>;
}

/// What a group's reader has to say next.
#[derive(Debug)]
pub enum ReaderEvent {
    /// These partitions are the group's from now on.
    Assigned(Vec<Arc<dyn PartitionReader>>),
    /// These go to somebody else: finish, commit, then answer.
    Revoked {
        /// Their numbers.
        partitions: Vec<u16>,
        /// Sent when all of it is committed.
        done: oneshot::Sender<()>,
    },
    /// These are somebody else's already: commit nothing of them.
    Lost {
        /// Their numbers.
        partitions: Vec<u16>,
    },
    /// No partition will come until a person acts: one sentence with the remedy.
    Halted(String),
}

/// One consumer group's reader of a log.
#[async_trait]
pub trait LogReader: Debug + Send {
    /// Waits for the next event. Cancel safe: none is lost.
    async fn next(&mut self) -> ReaderEvent;
}

/// A group that has all partitions of a log, at once and without end: no one else reads the log of
/// this process.
#[derive(Debug)]
pub struct WholeLog {
    log: Arc<dyn Log>,
    assigned: bool,
}

impl WholeLog {
    /// A reader of all of `log`.
    pub fn of(log: &Arc<dyn Log>) -> Self {
        Self {
            log: Arc::clone(log),
            assigned: false,
        }
    }

    /// One partition of `log`.
    pub fn partition(log: &Arc<dyn Log>, partition: u16) -> Arc<dyn PartitionReader> {
        let log = Arc::clone(log);
        Arc::new(OfLog { log, partition })
    }
}

#[async_trait]
impl LogReader for WholeLog {
    async fn next(&mut self) -> ReaderEvent {
        if std::mem::replace(&mut self.assigned, true) {
            return std::future::pending().await;
        }
        let all = 0..self.log.identity().partitions;
        ReaderEvent::Assigned(all.map(|of| Self::partition(&self.log, of)).collect())
    }
}

/// The crc32c of the record at `offset`, if there is one.
pub(super) async fn checksum(
    log: &dyn Log,
    partition: u16,
    offset: u64,
) -> Result<Option<u32>, LogError> {
    if offset >= log.range(partition).end {
        return Ok(None);
    }
    let limit = ReadLimit {
        records: 1,
        bytes: 1,
    };
    let read = log.read(partition, offset, limit).await?;
    let found = read.first().filter(|it| it.offset == offset);
    Ok(found.map(|it| crc32c::crc32c(&it.bytes)))
}

/// A partition of a log of this process.
#[derive(Debug)]
struct OfLog {
    log: Arc<dyn Log>,
    partition: u16,
}

#[async_trait]
impl PartitionReader for OfLog {
    fn partition(&self) -> u16 {
        self.partition
    }

    fn range(&self) -> OffsetRange {
        self.log.range(self.partition)
    }

    async fn read(&self, from: u64, limit: ReadLimit) -> Result<Vec<LogRecord>, LogError> {
        self.log.wait(self.partition, from).await;
        self.log.read(self.partition, from, limit).await
    }

    async fn checksum(&self, offset: u64) -> Result<Option<u32>, LogError> {
        checksum(self.log.as_ref(), self.partition, offset).await
    }
}
