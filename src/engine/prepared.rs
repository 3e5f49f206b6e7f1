//! A commit that is known before it is made: what it will change is durable, and nothing of it
//! counts yet.
//!
//! Guarantee (G3, G5): between preparing a commit and making it, its piece lands at the sink. Whoever
//! takes the partition over meanwhile finds the prepared commit, and either makes it or gives it up.

use async_trait::async_trait;
use prost::Message as _;

use super::checkpoint::{Checkpoint, CommitBatch, CommitError, StoreCheckpoint};
use crate::event::proto;
use crate::sink::pieces::Seal;
use crate::store::{Batch, Cursor, Store, StoreError, keys, store_patiently};

/// Bytes of changes in one value: brokers take a megabyte.
const PART: usize = 256 << 10;

/// A piece that a commit waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The piece.
    pub seal: Seal,
    /// Where the group stands until then.
    pub from: u64,
}

/// A commit that waits for its piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The piece.
    pub piece: Sealed,
    /// Where the group will stand.
    pub position: u64,
    /// What will change in the store.
    pub changes: Batch,
}

/// A checkpoint that can keep a prepared commit; one at a time.
#[async_trait]
pub trait Prepares: Checkpoint {
    /// What the commit of `batch` will change.
    fn plan(&self, batch: CommitBatch, piece: Sealed) -> Prepared;

    /// Keeps it, durably. The group stays where it is.
    async fn prepare(&self, prepared: &Prepared) -> Result<(), CommitError>;

    /// What an earlier life of the partition's task prepared and did not end. Where the group was
    /// set to another position since, that stays.
    async fn prepared(&self) -> Result<Option<Prepared>, StoreError>;

    /// Makes the commit: all of it, and that it is prepared no more.
    async fn end(&self, prepared: &Prepared) -> Result<(), CommitError>;

    /// Forgets it, as if it had never been prepared.
    async fn give_up(&self, prepared: &Prepared) -> Result<(), CommitError>;
}

impl StoreCheckpoint {
    /// What [`Prepares::prepare`] changes in the store.
    pub(crate) fn prepare_batch(&self, prepared: &Prepared) -> Batch {
        let mut batch = Batch::default();
        let parts = parts_of(&prepared.changes);
        let head = proto::Prepared {
            seal: prepared.piece.seal.0.clone(),
            from: prepared.piece.from,
            position: prepared.position,
            parts: u32::try_from(parts.len()).unwrap_or(u32::MAX),
        };
        for (number, part) in (0..head.parts).zip(parts) {
            let key = keys::prepared_part(&self.sink, self.partition, number);
            batch.put(key, encoded(part));
        }
        let key = keys::prepared(&self.sink, self.partition);
        batch.put(key, head.encode_to_vec());
        batch
    }

    /// What [`Prepares::give_up`] changes in the store.
    pub(crate) fn give_up_batch(&self, prepared: &Prepared) -> Batch {
        let mut batch = Batch::default();
        batch.remove(keys::prepared(&self.sink, self.partition));
        for (number, _) in (0..).zip(parts_of(&prepared.changes)) {
            batch.remove(keys::prepared_part(&self.sink, self.partition, number));
        }
        batch
    }

    /// What [`Prepares::end`] changes in the store.
    pub(crate) fn end_batch(&self, prepared: &Prepared) -> Batch {
        let mut batch = self.give_up_batch(prepared);
        batch.changes.extend(prepared.changes.changes.clone());
        batch
    }

    /// The prepared commit that is in the store.
    pub(crate) async fn read_prepared(&self) -> Result<Option<Prepared>, StoreError> {
        let of = self.clone();
        store_patiently(&self.store, move |store| of.prepared_in(store)).await
    }

    fn prepared_in(&self, store: &dyn Store) -> Result<Option<Prepared>, StoreError> {
        let key = keys::prepared(&self.sink, self.partition);
        let Some(head) = store.get(&key)? else {
            return Ok(None);
        };
        let head =
            proto::Prepared::decode(head.as_slice()).map_err(|error| self.corrupt(&error))?;
        let mut changes = Batch::default();
        for number in 0..head.parts {
            let key = keys::prepared_part(&self.sink, self.partition, number);
            let part = store.get(&key)?;
            let part =
                part.ok_or_else(|| self.corrupt(&format_args!("part {number} is missing")))?;
            let part = proto::Changes::decode(part.as_slice());
            for change in part.map_err(|error| self.corrupt(&error))?.changes {
                let value = change.value.map(|value| value.to_vec());
                changes.changes.insert(change.key.to_vec(), value);
            }
        }
        let mut prepared = Prepared {
            piece: Sealed {
                seal: Seal(head.seal),
                from: head.from,
            },
            position: head.position,
            changes,
        };
        let cursor = keys::cursor(&self.group, self.partition);
        let at = store.get(&cursor)?.unwrap_or_default();
        let at = Cursor::decode(at.as_slice()).map_err(|error| self.corrupt(&error))?;
        if at.position != prepared.piece.from {
            prepared.stays_at(at.position, &cursor);
        }
        Ok(Some(prepared))
    }

    fn corrupt(&self, why: &dyn std::fmt::Display) -> StoreError {
        StoreError::Corrupt {
            key: format!(
                "the prepared commit of {} in partition {}",
                self.sink, self.partition
            ),
            why: why.to_string(),
        }
    }
}

impl Prepared {
    /// The group was set to `position` after this was prepared, and stays there.
    pub(crate) fn stays_at(&mut self, position: u64, cursor: &[u8]) {
        self.position = position;
        self.changes.changes.remove(cursor);
    }
}

type Change<'a> = (&'a Vec<u8>, &'a Option<Vec<u8>>);

/// The changes in parts that a broker takes.
fn parts_of(changes: &Batch) -> Vec<Vec<Change<'_>>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for (key, value) in &changes.changes {
        let size = key.len() + value.as_ref().map_or(0, Vec::len);
        if bytes > 0 && bytes + size > PART {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push((key, value));
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn encoded(part: Vec<Change<'_>>) -> Vec<u8> {
    let changes = part.into_iter().map(|(key, value)| proto::Change {
        key: key.clone().into(),
        value: value.clone().map(Into::into),
    });
    let changes = changes.collect();
    proto::Changes { changes }.encode_to_vec()
}

#[async_trait]
impl Prepares for StoreCheckpoint {
    fn plan(&self, batch: CommitBatch, piece: Sealed) -> Prepared {
        Prepared {
            piece,
            position: batch.cursor.position,
            changes: self.changes(batch),
        }
    }

    async fn prepare(&self, prepared: &Prepared) -> Result<(), CommitError> {
        Ok(self.store_once(self.prepare_batch(prepared)).await?)
    }

    async fn prepared(&self) -> Result<Option<Prepared>, StoreError> {
        self.read_prepared().await
    }

    async fn end(&self, prepared: &Prepared) -> Result<(), CommitError> {
        Ok(self.store_once(self.end_batch(prepared)).await?)
    }

    async fn give_up(&self, prepared: &Prepared) -> Result<(), CommitError> {
        Ok(self.store_once(self.give_up_batch(prepared)).await?)
    }
}
