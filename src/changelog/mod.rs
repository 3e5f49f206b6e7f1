//! The state of a sink in Kafka: a compacted topic of what the stores of its instances hold, and
//! transactions that move it together with the group's offsets.
//!
//! Guarantee (G3): states and position become durable in one transaction. Guarantee (G2): nothing of
//! a partition that was given back or lost is in a later transaction. The store of an instance is
//! never ahead of the changelog, and can be made again from it anywhere.
//!
//! A partition is taken over in this order. The stable offset of the group is fetched, which waits
//! for transactions that are being committed. A marker is put into the changelog's partition, and
//! the changelog is restored until the marker is read back: whatever was committed before lies
//! below it. Then reading begins at that offset. A member that lost the partition meanwhile has its
//! offsets refused, and its changelog records die with their transaction.

mod checkpoint;
mod kafka;
mod ownership;
mod restore;
#[cfg(test)]
mod tests;
mod transactor;

pub use checkpoint::ChangelogCheckpoint;
pub use kafka::{ChangelogOf, KafkaChangelog};
pub use ownership::Ownership;
pub use transactor::Transactor;

use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;

use crate::log::{LogIdentity, OffsetRange, ReadLimit};
use crate::store::Batch;

/// A record of a changelog: a key of the store, and its value or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangelogRecord {
    /// Its place in the partition. Offsets have gaps.
    pub offset: u64,
    /// The key.
    pub key: Bytes,
    /// The value, or nothing: the key was removed.
    pub value: Option<Bytes>,
}

/// What one read of a changelog gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Records of committed transactions, oldest first.
    pub records: Vec<ChangelogRecord>,
    /// From where to read on: beyond the last of them, and beyond what is no record.
    pub next: u64,
}

/// What one partition has in a transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Which.
    pub partition: u16,
    /// Which assignment of it.
    pub epoch: u64,
    /// Keys of the store, and their new values.
    pub changes: Batch,
    /// The keys of the dead letters that are closed with it.
    pub closed: Vec<Vec<u8>>,
    /// The group's position afterwards; nothing if it stays.
    pub position: Option<u64>,
}

/// Why a transaction was not committed, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    /// Nothing of it is or will be there. It may be tried again by whoever has the partitions.
    #[error("the transaction was aborted: {0}")]
    Aborted(String),
    /// It may be there or not; whoever has the partitions finds out by taking them over.
    #[error("whether the transaction was committed is not known: {0}")]
    InDoubt(String),
}

/// Why a changelog does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangelogError {
    /// It may later.
    #[error("{0}")]
    Retry(String),
    /// Not until a person acts: one sentence with the remedy.
    #[error("{0}")]
    Halt(String),
}

/// The changelog of one sink, and the offsets of its group.
#[async_trait]
pub trait Changelog: Debug + Send + Sync {
    /// Which topic this is.
    fn identity(&self) -> &LogIdentity;

    /// What the others know this process by; it stands in the marker of a takeover. Empty where there
    /// are no others.
    fn instance(&self) -> String {
        String::new()
    }

    /// Ends a transaction that is open in a partition which was taken over, if who began it is known
    /// from the changelog at and after `from`. Such a one could not be committed any more; an instance
    /// that died in it cannot abort it either, and its brokers only do after a while. Returns whether
    /// it was this process's, before it was restarted, and had been decided: what is restored then holds
    /// all that is decided of the partition.
    ///
    /// # Errors
    /// As [`Self::committed`]; then it ends by itself, later.
    async fn end_open(&self, _partition: u16, _from: u64) -> Result<bool, ChangelogError> {
        Ok(false)
    }

    /// The group's offset in a partition of the event log, if it has one. Waits for transactions
    /// that are being committed.
    ///
    /// # Errors
    /// If the brokers do not answer, or refuse.
    async fn committed(&self, partition: u16) -> Result<Option<u64>, ChangelogError>;

    /// What the changelog's partition holds.
    ///
    /// # Errors
    /// As [`Self::committed`].
    async fn range(&self, partition: u16) -> Result<OffsetRange, ChangelogError>;

    /// Records at and after `from`, those of committed transactions only, within `limit`. Waits for
    /// some a while; a page without records says that none came.
    ///
    /// # Errors
    /// As [`Self::committed`].
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Page, ChangelogError>;

    /// Puts records outside of any transaction, durably, and returns the offset of the last.
    ///
    /// # Errors
    /// As [`Self::committed`]; then it is not known whether they are there.
    async fn put(&self, partition: u16, changes: Batch) -> Result<u64, ChangelogError>;

    /// One transaction: the changes of all parts, the tombstones of closed letters, the group's
    /// positions with its member's present generation. Returns for each part the offset after its
    /// last changelog record, or nothing for a part without changes. Called once at a time.
    ///
    /// # Errors
    /// If it was not committed, or is not known to be.
    async fn transact(&self, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted>;
}
