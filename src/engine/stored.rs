//! The durable knowledge of one task, in a store.
//!
//! Guarantee (G3): a commit is one batch of the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;

use super::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, Prepares, Reasserts, Waiting, Wanted,
    Witness,
};
use super::subject_letters::split_letter;
use crate::dead_letter;
use crate::event::{Record, Subject};
use crate::store::ids;
use crate::store::{
    Batch, Cursor, Pair, Register, Store, StoreError, keys, store_blocking, store_patiently,
};

/// Pairs read in one go.
const PAGE: usize = 1000;

/// The knowledge of one sink's task in one partition, in a [`Store`].
#[derive(Debug, Clone)]
pub struct StoreCheckpoint {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The sink.
    pub sink: String,
    /// The sink's consumer group.
    pub group: String,
    /// The partition.
    pub partition: u16,
}

impl StoreCheckpoint {
    fn note_key(&self, offset: u64) -> Vec<u8> {
        keys::attempts(&self.sink, self.partition, offset)
    }

    fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        let key = keys::cursor(&self.group, self.partition);
        let Some(value) = self.store.get(&key)? else {
            return Ok(None);
        };
        let cursor = Cursor::decode(value.as_slice());
        cursor.map(Some).map_err(|error| StoreError::Corrupt {
            key: format!("cursor of {} in partition {}", self.group, self.partition),
            why: error.to_string(),
        })
    }

    fn witness(&self) -> Result<Option<Witness>, StoreError> {
        let value = self
            .store
            .get(&keys::witness(&self.group, self.partition))?;
        Ok(value.as_deref().and_then(Witness::decode))
    }

    fn gap(&self) -> Result<Option<u64>, StoreError> {
        let value = self.store.get(&keys::gap(&self.group, self.partition))?;
        let text = value.and_then(|value| String::from_utf8(value).ok());
        Ok(text.map(|text| text.parse().unwrap_or_default()))
    }

    fn notes(&self) -> Result<BTreeMap<u64, u32>, StoreError> {
        let mut notes = BTreeMap::new();
        let prefix = keys::attempts_of(&self.sink, self.partition);
        for (key, value) in self.all(&prefix)? {
            let offset = key.last_chunk().map_or(0, |it| u64::from_be_bytes(*it));
            let text = std::str::from_utf8(&value).unwrap_or_default();
            notes.insert(offset, text.parse().unwrap_or_default());
        }
        Ok(notes)
    }

    fn reassertions(&self) -> Result<Vec<Waiting>, StoreError> {
        let prefix = keys::reassertions_of(&self.sink, self.partition);
        let mut waiting = Vec::new();
        for (key, value) in self.all(&prefix)? {
            let subject = Subject::of_bytes(key.get(prefix.len()..).unwrap_or_default());
            let key = keys::register(&self.sink, self.partition, &subject);
            waiting.push(Waiting {
                register: register(self, self.store.as_ref(), &key)?,
                record: reasserts(value),
                subject,
            });
        }
        Ok(waiting)
    }

    fn all(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        let (mut pairs, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.store.scan(prefix, after.as_deref(), PAGE)?;
            let whole = page.len() == PAGE;
            after = page.last().map(|(key, _)| key.clone());
            pairs.extend(page);
            if !whole {
                return Ok(pairs);
            }
        }
    }

    /// What a commit changes in the store.
    pub(crate) fn changes(&self, batch: CommitBatch) -> Batch {
        let mut changes = Batch::default();
        for (subject, register) in &batch.registers {
            let key = keys::register(&self.sink, self.partition, subject);
            changes.put(key, register.encode_to_vec());
        }
        for (id, noted) in batch.ids {
            ids::put(&mut changes, &self.sink, self.partition, (id, noted));
        }
        for (subject, reassertion) in batch.reassertions {
            let key = keys::reassertion(&self.sink, self.partition, &subject);
            match reassertion {
                Reasserts::ByRead => changes.put(key, Vec::new()),
                Reasserts::By(record) => changes.put(key, record.bytes().to_vec()),
                Reasserts::Settled => changes.remove(key),
            }
        }
        for (subject, time) in batch.dates {
            let key = keys::date(&self.sink, self.partition, time, &subject);
            changes.put(key, Vec::new());
        }
        for offset in batch.forgotten {
            changes.remove(self.note_key(offset));
        }
        for letter in &batch.closed {
            if let Some((id, round, _)) = split_letter(letter) {
                dead_letter::close(&mut changes, &self.sink, id, round);
            }
        }
        let cursor = keys::cursor(&self.group, self.partition);
        changes.put(cursor, batch.cursor.encode_to_vec());
        if let Some(witness) = batch.witness {
            let key = keys::witness(&self.group, self.partition);
            changes.put(key, witness.encode());
        }
        changes
    }
}

impl StoreCheckpoint {
    /// What [`Checkpoint::note`] changes in the store.
    pub(crate) fn notes_batch(&self, notes: Vec<(u64, u32)>) -> Batch {
        let mut batch = Batch::default();
        for (offset, deaths) in notes {
            batch.put(self.note_key(offset), deaths.to_string().into_bytes());
        }
        batch
    }

    /// What [`Checkpoint::forget`] changes in the store.
    pub(crate) fn forget_batch(&self, offsets: Vec<u64>) -> Batch {
        let mut batch = Batch::default();
        for offset in offsets {
            batch.remove(self.note_key(offset));
        }
        batch
    }

    /// What [`Checkpoint::mark_gap`] changes in the store.
    pub(crate) fn gap_batch(&self, start: u64) -> Batch {
        let mut batch = Batch::default();
        let key = keys::gap(&self.group, self.partition);
        batch.put(key, start.to_string().into_bytes());
        batch
    }

    pub(super) async fn store_once(&self, batch: Batch) -> Result<(), StoreError> {
        store_blocking(&self.store, move |store| store.commit(batch)).await
    }

    async fn store_batch(&self, batch: Batch) -> Result<(), StoreError> {
        store_patiently(&self.store, move |store| store.commit(batch.clone())).await
    }
}

/// The record that a pending reassertion keeps, if it keeps one.
fn reasserts(value: Vec<u8>) -> Option<Record> {
    let record = Record::decode(value.into()).ok();
    record.filter(|record| !record.id().is_empty())
}

/// The register at `key`. Blocks on the disk.
fn register(
    of: &StoreCheckpoint,
    store: &dyn Store,
    key: &[u8],
) -> Result<Option<Register>, StoreError> {
    let Some(value) = store.get(key)? else {
        return Ok(None);
    };
    let register = Register::decode(value.as_slice());
    register.map(Some).map_err(|error| StoreError::Corrupt {
        key: format!("a register of {} in partition {}", of.sink, of.partition),
        why: error.to_string(),
    })
}

#[async_trait]
impl Checkpoint for StoreCheckpoint {
    fn prepares(self: Arc<Self>) -> Option<Arc<dyn Prepares>> {
        Some(self)
    }

    fn open(&self) -> Result<Opened, StoreError> {
        Ok(Opened {
            cursor: self.cursor()?,
            witness: self.witness()?,
            gap: self.gap()?,
            notes: self.notes()?,
            reassertions: self.reassertions()?,
        })
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        let of = self.clone();
        let look = move |store: &dyn Store| {
            let mut known = Known::default();
            known.registers.reserve(wanted.subjects.len());
            let mut key = keys::registers_of(&of.sink, of.partition);
            let before = key.len();
            for subject in &wanted.subjects {
                key.truncate(before);
                key.extend_from_slice(subject.as_bytes());
                if let Some(register) = register(&of, store, &key)? {
                    known.registers.insert(subject.clone(), register);
                }
            }
            for id in &wanted.changes {
                if let Some(noted) = ids::get(store, &of.sink, of.partition, id)? {
                    known.changes.insert(*id, noted);
                }
            }
            for subject in &wanted.reasserted {
                let key = keys::reassertion(&of.sink, of.partition, subject);
                if let Some(record) = store.get(&key)?.and_then(reasserts) {
                    known.reasserted.insert(subject.clone(), record);
                }
            }
            Ok(known)
        };
        store_patiently(&self.store, look).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        let of = self.clone();
        let commit = move |store: &dyn Store| store.commit(of.changes(batch));
        Ok(store_blocking(&self.store, commit).await?)
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.store_batch(self.notes_batch(notes)).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.store_batch(self.forget_batch(offsets)).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.store_batch(self.gap_batch(start)).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for key in keys {
            batch.remove(key);
        }
        self.store_once(batch).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(key, value);
        self.store_once(batch).await
    }
}
