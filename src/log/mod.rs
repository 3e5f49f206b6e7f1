//! The log between sources and sinks: what is acknowledged is durable, and stays until every
//! configured reader has passed it (G1, G8).
//!
//! A log has an identity and a fixed partition count; whatever is derived from its offsets keeps
//! both beside it and refuses another log's.

mod backed;
mod config;
pub mod journal;
pub mod kafka;
mod memory;
mod reader;

pub use backed::BackedLog;
pub(crate) use config::check;
pub use config::{Inbox, LogSettings};
pub use memory::MemoryLog;
pub use reader::{LogReader, PartitionReader, ReaderEvent, WholeLog};

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::event::{EventRecord, Subject};

/// What a log is: stored beside every cursor, register and file name derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// A uuid, made when the log was made.
    pub id: String,
    /// How many partitions it has; that never changes.
    pub partitions: u16,
}

/// How much one read may return. At least one record is returned if there is one.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimit {
    /// Records at most.
    pub records: usize,
    /// Bytes at most, save for the first record.
    pub bytes: usize,
}

/// One record of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// Its place in the partition.
    pub offset: u64,
    /// Its bytes, as appended.
    pub bytes: Bytes,
}

/// The offsets a partition holds: `start` is the first kept, `end` the next to be given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetRange {
    /// First offset still there.
    pub start: u64,
    /// One past the last durable record.
    pub end: u64,
}

/// How much of the log an append may use. A sink that must tell another lane before its record is
/// done could otherwise never move, and the log never be trimmed (G6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// For sources and people: the quota, and nothing of the disk's reserve.
    Intake,
    /// For sinks, so that they can go on: whatever the quota is, and half of the disk's reserve.
    /// What they tell is small, and comes of records that the log holds.
    Sinks,
}

impl Share {
    /// How many bytes of a log with this quota may be filled.
    pub fn of_quota(self, quota: u64) -> u64 {
        match self {
            Self::Intake => quota,
            Self::Sinks => u64::MAX,
        }
    }

    /// How much of the disk must be left free.
    pub fn leaves(self, disk_reserve: u64) -> u64 {
        match self {
            Self::Intake => disk_reserve,
            Self::Sinks => disk_reserve / 2,
        }
    }
}

/// Why a log refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// At its quota. Nothing was stored; try again later.
    #[error(
        "the log is full: {used} of {quota} bytes hold what a reader has not passed yet; mend the \
         reader that is behind, or raise the quota"
    )]
    Full {
        /// Bytes in use.
        used: u64,
        /// Bytes allowed.
        quota: u64,
    },
    /// The disk is full, or down to the reserve. Nothing was stored; try again later.
    #[error(
        "the disk is full: {free} bytes of it are free, and log.disk_reserve keeps {reserve}; \
         free some, or lower the reserve"
    )]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that are to stay free.
        reserve: u64,
    },
    /// The position is not in the log. Offsets are never reset by default.
    #[error(
        "position {asked} of partition {partition} is outside the log, which holds {start} to {end}"
    )]
    OutOfRange {
        /// The partition.
        partition: u16,
        /// What was asked for.
        asked: u64,
        /// First offset kept.
        start: u64,
        /// Next offset.
        end: u64,
    },
    /// Bytes before the tail do not match their checksum: acknowledged records would be lost.
    #[error(
        "{file} is damaged at byte {at}: restore it from a copy; it is not repaired in silence"
    )]
    Damaged {
        /// The segment's file name.
        file: String,
        /// Where.
        at: u64,
    },
    /// The file system or the brokers failed. Whether an append was stored is unknown.
    #[error("the log failed: {0}")]
    Io(String),
    /// The log was made by something else, or another process holds it.
    #[error("{0}")]
    Refused(String),
    /// The log is shut down.
    #[error("the log is closed")]
    Closed,
}

/// Where records are put into a log.
#[async_trait]
pub trait LogAppender: Debug + Send + Sync {
    /// Which log this is.
    fn identity(&self) -> &LogIdentity;

    /// Appends `records` to one partition, in order and together, and returns the offset of the
    /// first. They are durable when this returns (G1). Appends made at the same time share an
    /// fsync. An error other than [`LogError::Io`] means that nothing was stored.
    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError>;

    /// Bytes of the largest record that it takes. A larger one is refused however often it is tried,
    /// so whoever has other work behind it asks before.
    fn largest_record(&self) -> usize;

    /// [`Self::append_within`] the share of intake.
    async fn append(&self, partition: u16, records: Vec<Bytes>) -> Result<u64, LogError> {
        self.append_within(Share::Intake, partition, records).await
    }

    /// Whether a small append would be admitted now, and if not, why: the disk before the quota.
    fn admits(&self, share: Share) -> Result<(), LogError>;

    /// Whether it can still take an append. One that cannot will not by itself: a restart helps.
    fn is_open(&self) -> bool {
        true
    }
}

/// What of a log is deleted, and how much of it there is.
#[async_trait]
pub trait Retention: Debug + Send + Sync {
    /// Deletes what retention no longer wants, never at or above `floors[partition]`, the lowest
    /// position of the configured readers.
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError>;

    /// Makes room at the cost of readers that may miss records: while nine tenths of the quota are
    /// used, deletes the oldest records of all partitions, never at or above `floors[partition]`,
    /// the lowest position of the readers that may not.
    async fn evict(&self, floors: &[u64]) -> Result<(), LogError>;

    /// Bytes in use on disk, and the quota.
    fn usage(&self) -> (u64, u64);
}

/// An append-only, partitioned log of this process, which any offset can be read from.
#[async_trait]
pub trait Log: LogAppender + Retention {
    /// Records from `from` on, oldest first; none at the end of the log. Only durable records are
    /// seen.
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError>;

    /// Returns when the partition holds a record at or after `from`. Cancel safe.
    async fn wait(&self, partition: u16, from: u64);

    /// What the partition holds.
    fn range(&self, partition: u16) -> OffsetRange;
}

/// The partition of a subject: the same for every kind of log.
pub fn partition_of(subject: &Subject, partitions: u16) -> u16 {
    at(crc32c::crc32c(subject.as_bytes()), partitions)
}

/// The partition of a record's subject, found without making its key.
pub fn partition_of_record(record: &EventRecord, partitions: u16) -> u16 {
    let [tenant, uri] = Subject::parts(&record.tenant, &record.subject);
    let hash = crc32c::crc32c(tenant.as_bytes());
    let hash = crc32c::crc32c_append(hash, b"\0");
    at(crc32c::crc32c_append(hash, uri.as_bytes()), partitions)
}

/// The partition of a key that is no subject's.
pub fn partition_of_key(key: &[u8], partitions: u16) -> u16 {
    at(crc32c::crc32c(key), partitions)
}

fn at(hash: u32, partitions: u16) -> u16 {
    u16::try_from(hash % u32::from(partitions.max(1))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_partition_is_its_subjects() {
        for (tenant, uri) in [("acme", "entities/1"), ("a\0b", "relations/x"), ("", "")] {
            let record = EventRecord {
                tenant: tenant.to_owned(),
                subject: uri.to_owned(),
                ..EventRecord::default()
            };
            for partitions in [1, 3, 64] {
                let expected = partition_of(&record.subject_key(), partitions);
                assert_eq!(partition_of_record(&record, partitions), expected);
            }
        }
    }
}
