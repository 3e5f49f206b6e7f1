//! That a group had an offset in a partition, kept where the broker cannot lose it.
//!
//! Guarantee (G2): a group whose offset vanished is told from a new one. Without this an offset
//! that expired would be chosen again as `start` says, and `latest` would skip what was not read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::positions::Begin;
use crate::store::{Batch, Store, StoreError, keys};

/// Where the group began when it was last assigned, by partition: that it had an offset there.
pub(super) type Known = BTreeMap<i32, i64>;

/// The marks of one source.
#[derive(Debug)]
pub(super) struct Marks {
    store: Arc<dyn Store>,
    prefix: Vec<u8>,
}

impl Marks {
    pub(super) fn new(store: Arc<dyn Store>, source: &str, group: &str, topic: &str) -> Self {
        let prefix = keys::offset_marks_of(source, group, topic);
        Self { store, prefix }
    }

    /// What is known of the topic.
    pub(super) fn known(&self) -> Result<Known, StoreError> {
        let pairs = self.store.scan(&self.prefix, None, usize::MAX)?;
        let marks = pairs.iter().map(|(key, value)| self.read(key, value));
        marks.collect()
    }

    fn read(&self, key: &[u8], value: &[u8]) -> Result<(i32, i64), StoreError> {
        let partition = key.get(self.prefix.len()..).unwrap_or_default();
        let partition = <[u8; 4]>::try_from(partition).map(i32::from_be_bytes).ok();
        let offset = str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        partition.zip(offset).ok_or_else(|| StoreError::Corrupt {
            key: String::from_utf8_lossy(key).into_owned(),
            why: "not the mark of an offset".to_owned(),
        })
    }

    /// Notes that the group has an offset in each of `begins`, before any is read.
    pub(super) fn note(&self, begins: &[Begin]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for begin in begins {
            let key = [self.prefix.as_slice(), &begin.partition.to_be_bytes()].concat();
            batch.put(key, begin.offset.to_string().into_bytes());
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.store.commit(batch)
    }
}
