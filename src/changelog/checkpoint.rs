//! The durable knowledge of one task whose log is in Kafka.
//!
//! Guarantee (G3, G4): everything goes through the changelog. What the store of this process says is
//! never more than what was committed, and nothing is looked up in it before it was brought up to
//! what was committed anywhere.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::transactor::Transactor;
use super::{ChangelogError, Part, restore};
use crate::backoff::Backoff;
use crate::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, Prepared, Prepares, Sealed,
    StoreCheckpoint, TakeoverError, Wanted,
};
use crate::event::proto;
use crate::log::LogIdentity;
use crate::mutation::{self, Mutation};
use crate::store::{Batch, StoreError, keys, store_patiently};
use crate::time::Millis;

use prost::Message as _;
use std::time::Duration;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How far the store has a changelog's partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point(proto::ChangelogPoint);

impl Point {
    pub(super) fn new(of: &LogIdentity, next: u64, at: Millis) -> Self {
        Self(proto::ChangelogPoint {
            changelog: format!("{}/{}", of.id, of.partitions),
            next,
            time: at,
        })
    }

    /// The offset to go on from.
    pub(super) fn next(&self) -> u64 {
        self.0.next
    }

    /// When the store had all below it, ms.
    pub(super) fn time(&self) -> Millis {
        self.0.time
    }

    /// Whether it is of the same changelog.
    pub(super) fn is_of(&self, changelog: &LogIdentity) -> bool {
        self.0.changelog == format!("{}/{}", changelog.id, changelog.partitions)
    }

    pub(super) fn put(&self, batch: &mut Batch, sink: &str, partition: u16) {
        let key = keys::changelog_point(sink, partition);
        batch.put(key, self.0.encode_to_vec());
    }

    pub(super) fn read(value: &[u8]) -> Option<Self> {
        proto::ChangelogPoint::decode(value).ok().map(Self)
    }
}

/// One task's checkpoint: the store of this process, kept in step with the changelog.
#[derive(Debug)]
pub struct ChangelogCheckpoint {
    pub(super) local: StoreCheckpoint,
    pub(super) transactor: Arc<Transactor>,
    pub(super) epoch: u64,
    /// The group's offset, once it was fetched.
    pub(super) committed: Mutex<Option<u64>>,
    /// Whether the marker of the partition's last transaction was lost, and written again.
    pub(super) marked: AtomicBool,
}

impl ChangelogCheckpoint {
    /// Of the assignment with this epoch.
    pub fn new(local: StoreCheckpoint, transactor: Arc<Transactor>, epoch: u64) -> Self {
        Self {
            local,
            transactor,
            epoch,
            committed: Mutex::default(),
            marked: AtomicBool::default(),
        }
    }

    pub(super) fn fenced(&self) -> Option<String> {
        self.transactor.fenced(self.local.partition, self.epoch)
    }

    /// Splits the closed letters off, which are in a topic of their own.
    pub(super) fn part(&self, mut changes: Batch, position: Option<u64>) -> Part {
        let mut closed = Vec::new();
        changes.changes.retain(|key, _| {
            let letter = key.starts_with(keys::DEAD_LETTERS);
            if letter {
                closed.push(key.clone());
            }
            !letter && !key.starts_with(keys::DEAD_LETTER_RECORDS)
        });
        Part {
            partition: self.local.partition,
            epoch: self.epoch,
            changes,
            closed,
            position,
        }
    }

    /// The group's offset, as it was fetched.
    pub(super) fn fetched(&self) -> MutexGuard<'_, Option<u64>> {
        self.committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is kept in a transaction that leaves the position as it is.
    async fn transact(&self, changes: Batch) -> Result<(), StoreError> {
        let part = self.part(changes, None);
        match self.transactor.commit(part, self.epoch).await {
            Ok(()) => Ok(()),
            Err(CommitError::Retry(error)) => Err(error),
            Err(CommitError::Fenced(why)) => Err(StoreError::Away(why)),
        }
    }

    /// Puts changes into the changelog and the store, outside of any transaction.
    async fn put(&self, changes: Batch) -> Result<(), StoreError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, &self.local.group);
        let changelog = self.transactor.changelog();
        loop {
            if let Some(why) = self.fenced() {
                return Err(StoreError::Refused(why));
            }
            match changelog.put(self.local.partition, changes.clone()).await {
                Ok(_) => break,
                Err(ChangelogError::Halt(why)) => return Err(StoreError::Refused(why)),
                Err(ChangelogError::Retry(why)) => {
                    tracing::warn!(
                        sink = self.local.sink,
                        "the changelog does not take it: {why}"
                    );
                }
            }
            backoff.wait().await;
        }
        store_patiently(&self.local.store, move |store| {
            store.commit(changes.clone())
        })
        .await
    }
}

#[async_trait]
impl Checkpoint for ChangelogCheckpoint {
    fn prepares(self: Arc<Self>) -> Option<Arc<dyn Prepares>> {
        Some(self)
    }

    async fn take_over(&self) -> Result<(), TakeoverError> {
        let mut committed = None;
        if !mutation::is(Mutation::OffsetAfterRestore) {
            committed = restore::committed(self).await?;
        }
        restore::restore(self).await?;
        if mutation::is(Mutation::OffsetAfterRestore) {
            committed = restore::committed(self).await?;
        }
        *self.fetched() = committed;
        Ok(())
    }

    fn open(&self) -> Result<Opened, StoreError> {
        let mut opened = self.local.open()?;
        let committed = *self.fetched();
        restore::begin_at(&mut opened, committed, &self.local)?;
        Ok(opened)
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.local.lookup(wanted).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        let position = batch.cursor.position;
        let changes = self.local.changes(batch);
        let part = self.part(changes, Some(position));
        self.transactor.commit(part, self.epoch).await
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.put(self.local.notes_batch(notes)).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.put(self.local.forget_batch(offsets)).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.put(self.local.gap_batch(start)).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let mut changes = Batch::default();
        for key in keys {
            changes.remove(key);
        }
        // In order with what puts the same key again.
        self.transact(changes).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        let mut changes = Batch::default();
        changes.put(key, value);
        self.transact(changes).await
    }
}

/// All steps are transactions with the group's offset, so that the brokers refuse them to a member
/// that lost the partition and has not heard of it: its piece would land, and the new owner would
/// not know.
#[async_trait]
impl Prepares for ChangelogCheckpoint {
    fn plan(&self, batch: CommitBatch, piece: Sealed) -> Prepared {
        self.local.plan(batch, piece)
    }

    async fn prepare(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let changes = self.local.prepare_batch(prepared);
        let part = self.part(changes, Some(prepared.piece.from));
        self.transactor.commit(part, self.epoch).await
    }

    async fn prepared(&self) -> Result<Option<Prepared>, StoreError> {
        let found = self.local.read_prepared().await?;
        let committed = *self.fetched();
        Ok(found.map(|mut prepared| {
            // Somebody set the group back, which the store does not know.
            let back = committed.filter(|it| *it < prepared.piece.from.min(prepared.position));
            if let Some(back) = back {
                let cursor = keys::cursor(&self.local.group, self.local.partition);
                prepared.stays_at(back, &cursor);
            }
            prepared
        }))
    }

    async fn end(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let changes = self.local.end_batch(prepared);
        let part = self.part(changes, Some(prepared.position));
        self.transactor.commit(part, self.epoch).await?;
        *self.fetched() = Some(prepared.position);
        Ok(())
    }

    async fn give_up(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let changes = self.local.give_up_batch(prepared);
        let stays = self.fetched().unwrap_or(prepared.piece.from);
        let part = self.part(changes, Some(stays));
        self.transactor.commit(part, self.epoch).await
    }
}
