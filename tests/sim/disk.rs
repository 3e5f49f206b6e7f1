//! The process's store, which keeps what was flushed when the process is gone, and what its tasks
//! commit to it.

use std::sync::Arc;

use async_trait::async_trait;
use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, TakeoverError, Wanted,
};
use goldwire::sink::Mode;
use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError};

use super::fault::Fault;
use super::host::Host;
use super::kafka;
use super::plan::Kind;

/// A store whose batches may fail, stored or not. What it holds it holds for good.
#[derive(Debug)]
pub(crate) struct DiskStore {
    pub(crate) host: Arc<Host>,
    pub(crate) inner: Arc<MemoryStore>,
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.host.hits(Fault::StoreRead) {
            return Err(StoreError::Io("simulated".to_owned()));
        }
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let failed = || Err(StoreError::Io("simulated".to_owned()));
        // What is left of a life that is over does nothing.
        if self.host.is_gone() {
            return failed();
        }
        if self.host.plan.cluster.is_some() {
            let slot = self.host.slot;
            kafka::store_is_behind(&mut self.host.lock(), slot, &batch);
        }
        if self.host.hits(Fault::DiskFull) || self.host.hits(Fault::StoreLost) {
            return failed();
        }
        self.inner.commit(batch.clone())?;
        self.host.note(|| {
            let keys = batch.changes.iter();
            let keys = keys.filter(|(key, _)| !key.starts_with(b"c/") && !key.starts_with(b"k/"));
            let show = |(key, value): (&Vec<u8>, &Option<Vec<u8>>)| {
                let sign = if value.is_some() { '+' } else { '-' };
                format!("{sign}{}", String::from_utf8_lossy(key).escape_default())
            };
            let all: Vec<_> = keys.map(show).collect();
            format!("store #{} {}", self.host.slot, all.join(" "))
        });
        self.host.stored(self.host.slot, &batch);
        if self.host.hits(Fault::StoreStored) {
            return failed();
        }
        Ok(())
    }

    fn blocks(&self) -> bool {
        false
    }
}

/// Commits of one task, with their time, and the oracle of what may be remembered (G3).
#[derive(Debug)]
pub(crate) struct SlowCommit {
    pub(crate) host: Arc<Host>,
    pub(crate) kind: Kind,
    pub(crate) partition: u16,
    pub(crate) epoch: u64,
    pub(crate) inner: Arc<dyn Checkpoint>,
}

#[async_trait]
impl Checkpoint for SlowCommit {
    async fn take_over(&self) -> Result<(), TakeoverError> {
        // What was delivered and not committed may be delivered once more.
        self.host.reborn(self.kind);
        let restoring = kafka::Restoring::of(&self.host);
        let taken = self.inner.take_over().await;
        restoring.ends();
        taken
    }

    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.host.pause(20).await;
        let known = self.inner.lookup(wanted).await;
        self.host.pause(20).await;
        known
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.inner.note(notes).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.inner.forget(offsets).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.inner.mark_gap(start).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.inner.discard(keys).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.inner.keep(key, value).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        self.host.pause(20).await;
        {
            let mut state = self.host.lock();
            for (subject, register) in batch.registers.iter().filter(|(_, it)| it.applied()) {
                let key = (subject.uri().to_owned(), register.content_time);
                let target = &state.targets[&self.kind];
                if !target.acknowledged.contains(&key) {
                    let refused = target.refused.contains(&key);
                    state.violate(if refused { "G7" } else { "G3" }, || {
                        format!(
                            "{} remembers {key:?}, which the sink never acknowledged",
                            self.kind.name()
                        )
                    });
                }
            }
        }
        let cluster = self.host.plan.cluster.is_some();
        let durable = cluster.then(|| {
            let of = (self.host.life, self.kind, self.partition, self.epoch);
            kafka::hands(&mut self.host.lock(), of, batch.cursor);
            kafka::registers_of(self.kind, self.partition, &batch)
        });
        let stored = self.inner.commit(batch).await;
        if let Some(durable) = durable.filter(|_| stored.is_ok()) {
            kafka::is_durable(&mut self.host.lock(), self.kind, &durable);
        }
        self.host.pause(20).await;
        stored
    }
}

/// What a sink of this kind keeps.
pub(crate) fn mode(kind: Kind) -> Mode {
    match kind {
        Kind::History | Kind::Pieces => Mode::History,
        Kind::Guarded | Kind::Unguarded | Kind::Crm => Mode::Latest,
    }
}
