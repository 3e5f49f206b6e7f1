//! The idempotency store: what each sink has of every subject.
//!
//! Guarantee (G3): an entry is written after the sink acknowledged, in one durable batch with the
//! position that it belongs to. Claimed is not applied.

mod blocking;
mod config;
mod disk;
mod fjall_journal;
mod fjall_store;
mod group;
pub mod ids;
pub mod keys;
mod memory;
mod on_disk;
mod recent;
mod register;
mod sled_store;
mod tally;

pub use crate::event::proto::{Cursor, Register};
pub(crate) use blocking::{patiently, store_blocking, store_patiently};
pub use config::Engine;
pub use disk::BeforeSync;
pub(crate) use disk::made_otherwise;
pub use fjall_store::{FjallStore, Shape};
pub use memory::MemoryStore;
pub use sled_store::SledStore;
pub use tally::Tallied;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Bound;

/// What [`keys::FORMAT`] says of a store that this version writes. It reads those before it:
///
/// | format | what changed |
/// |---|---|
/// | 1 | |
/// | 2 | the record of a dead letter stands under a key of its own |
pub const FORMAT_VERSION: u32 = 2;

/// A key and its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// How many keys there are, by the name that stands in them between a prefix and the next zero byte.
pub type Tally = BTreeMap<String, u64>;

/// One ordered key space with atomic, durable batches. Narrow on purpose: two engines and a
/// memory store pass one contract suite.
pub trait Store: Debug + Send + Sync {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs whose key starts with `prefix`, in key order, after the key `after`.
    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError>;

    /// Up to `limit` keys that start with `prefix`, in order, after the key `after`. An engine does
    /// not load values for it.
    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let pairs = self.scan(prefix, after, limit)?;
        Ok(pairs.into_iter().map(|(key, _)| key).collect())
    }

    /// How many keys start with `prefix`, by their name. Reads all of them; for
    /// [`keys::DEAD_LETTERS`], see [`Tallied`].
    fn tally(&self, prefix: &[u8]) -> Result<Tally, StoreError> {
        tally::count(self, prefix)
    }

    /// Applies a batch: all of it, durably, before this returns; or none of it. Blocks on the
    /// disk, so call it from a blocking thread.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Whether calls wait for a disk. One that does not is called in place.
    fn blocks(&self) -> bool {
        true
    }
}

/// Changes that become durable together. A later change of a key overrides an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Key, and its new value or `None` to remove it.
    pub changes: std::collections::BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.changes.insert(key, Some(value));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.changes.insert(key, None);
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Why the store refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file system or the engine failed; nothing of the batch may be taken as stored.
    #[error("the store failed: {0}")]
    Io(String),
    /// What is kept elsewhere cannot be changed now; nothing was changed, and it may be tried again.
    #[error("{0}")]
    Away(String),
    /// A value is not what this version writes.
    #[error("the store holds a value that this version cannot read at key {key}: {why}")]
    Corrupt {
        /// The key, printable.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// Another process has it open, or its format is newer than this program.
    #[error("{0}")]
    Refused(String),
}

/// Where a scan of `prefix` after the key `after` begins.
fn scan_start<'a>(prefix: &'a [u8], after: Option<&'a [u8]>) -> Bound<&'a [u8]> {
    match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    }
}
