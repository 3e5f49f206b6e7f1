//! A store in memory: the reference that other stores are compared with.
//!
//! Guarantee: as every [`Store`], but only as durable as the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Batch, FORMAT_VERSION, Pair, Store, StoreError, keys};

/// A store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    pairs: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl MemoryStore {
    /// A new store: it holds its format version and nothing else.
    pub fn new() -> Self {
        let format = FORMAT_VERSION.to_string().into_bytes();
        Self {
            pairs: Mutex::new(BTreeMap::from([(keys::FORMAT.to_vec(), format)])),
        }
    }

    fn pairs(&self) -> MutexGuard<'_, BTreeMap<Vec<u8>, Vec<u8>>> {
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.pairs().get(key).cloned())
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let from = super::scan_start(prefix, after);
        let pairs = self.pairs();
        let found = pairs.range::<[u8], _>((from, Bound::Unbounded));
        let found = found
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit);
        Ok(found
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect())
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let from = super::scan_start(prefix, after);
        let pairs = self.pairs();
        let found = pairs.range::<[u8], _>((from, Bound::Unbounded));
        let found = found.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.take(limit).map(|(key, _)| key.clone()).collect())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut pairs = self.pairs();
        for (key, change) in batch.changes {
            match change {
                Some(value) => drop(pairs.insert(key, value)),
                None => drop(pairs.remove(&key)),
            }
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}
