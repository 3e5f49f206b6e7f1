//! One partition of a changelog: records of transactions and of none, offsets with gaps.

use std::collections::BTreeMap;

use bytes::Bytes;
use goldwire::changelog::{ChangelogRecord, Page};
use goldwire::store::Batch;

use super::Pair;

/// A record, and the transaction that it is of.
#[derive(Debug)]
struct Entry {
    offset: u64,
    key: Bytes,
    value: Option<Bytes>,
    of: Option<u64>,
}

/// One partition.
#[derive(Debug, Default)]
pub(super) struct Topic {
    entries: Vec<Entry>,
    pub(super) next: u64,
}

impl Topic {
    /// Appends records of a transaction, or of none; returns the offset of the last.
    pub(super) fn append(&mut self, changes: &Batch, of: Option<u64>) -> u64 {
        for (key, value) in &changes.changes {
            self.entries.push(Entry {
                offset: self.next,
                key: key.clone().into(),
                value: value.clone().map(Bytes::from),
                of,
            });
            self.next += 1;
        }
        self.next.saturating_sub(1)
    }

    /// A transaction ends: what of it is read from now on, if it was committed.
    pub(super) fn end(&mut self, of: u64, committed: bool) -> Vec<Pair> {
        let mut changes = Vec::new();
        let before = self.entries.len();
        self.entries.retain_mut(|entry| {
            let ends = entry.of == Some(of);
            if ends && committed {
                entry.of = None;
                let value = entry.value.as_ref().map(|value| value.to_vec());
                changes.push((entry.key.to_vec(), value));
            }
            !ends || committed
        });
        // The marker.
        self.next += u64::from(before > self.entries.len() || !changes.is_empty());
        changes
    }

    /// Where the first open transaction begins: nothing of it and beyond is read.
    pub(super) fn stable(&self) -> u64 {
        let first = self.entries.iter().find(|entry| entry.of.is_some());
        first.map_or(self.next, |entry| entry.offset)
    }

    /// So many records at and after `from`.
    pub(super) fn read(&self, from: u64, most: usize) -> Page {
        let stable = self.stable();
        let mut page = Page {
            records: Vec::new(),
            next: from,
        };
        for entry in &self.entries {
            if entry.offset < from || entry.offset >= stable {
                continue;
            }
            if page.records.len() == most {
                return page;
            }
            page.next = entry.offset + 1;
            page.records.push(ChangelogRecord {
                offset: entry.offset,
                key: entry.key.clone(),
                value: entry.value.clone(),
            });
        }
        page.next = page.next.max(stable);
        page
    }

    /// Leaves the newest record of every key, and everything from the first open transaction on.
    pub(super) fn compact(&mut self) {
        let stable = self.stable();
        let mut newest: BTreeMap<Bytes, u64> = BTreeMap::new();
        for entry in self.entries.iter().filter(|it| it.offset < stable) {
            newest.insert(entry.key.clone(), entry.offset);
        }
        let last = self.entries.last().map(|entry| entry.offset);
        self.entries.retain(|entry| {
            entry.offset >= stable
                || Some(entry.offset) == last
                || newest.get(&entry.key) == Some(&entry.offset)
        });
    }

    /// What a store has that has read all of it.
    pub(super) fn all(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut all = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.of.is_none()) {
            match &entry.value {
                Some(value) => drop(all.insert(entry.key.to_vec(), value.to_vec())),
                None => drop(all.remove(entry.key.as_ref())),
            }
        }
        all
    }
}
