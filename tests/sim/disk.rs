//! The process's disk: logs and a store that keep what was flushed when the process is gone.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, StoreCheckpoint, Wanted,
};
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, OffsetRange, ReadLimit, Retention, Share,
};
use goldwire::sink::Mode;
use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError};
use tokio::sync::Notify;

use super::fault::Fault;
use super::plan::Kind;
use super::world::{Dropped, World};

#[derive(Debug, Default)]
struct Partition {
    start: u64,
    records: Vec<Bytes>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.start + u64::try_from(self.records.len()).unwrap()
    }
}

/// A log whose appends take their time, fail, and may be stored all the same.
#[derive(Debug)]
pub(crate) struct DiskLog {
    world: Arc<World>,
    identity: LogIdentity,
    partitions: Mutex<Vec<Partition>>,
    grown: Notify,
    inbox: bool,
}

impl DiskLog {
    pub(crate) fn new(world: &Arc<World>, partitions: u16, inbox: bool) -> Self {
        Self {
            world: Arc::clone(world),
            identity: LogIdentity {
                id: if inbox { "inbox" } else { "events" }.to_owned(),
                partitions,
            },
            partitions: Mutex::new((0..partitions).map(|_| Partition::default()).collect()),
            grown: Notify::new(),
            inbox,
        }
    }

    pub(crate) fn store(&self, partition: u16, records: &[Bytes]) -> u64 {
        let first = {
            let mut partitions = self.partitions.lock().unwrap();
            let held = &mut partitions[usize::from(partition)];
            let first = held.end();
            held.records.extend_from_slice(records);
            first
        };
        for record in records {
            if self.inbox {
                self.world.received(record);
            } else {
                self.world.logged(partition, record);
            }
        }
        self.grown.notify_waiters();
        first
    }
}

/// An append between its write and its flush: when the process dies, nobody knows.
struct Unflushed<'a> {
    log: &'a DiskLog,
    partition: u16,
    records: Vec<Bytes>,
    over: bool,
}

impl Drop for Unflushed<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.log.world.lock().dropped.push(Dropped::Append {
                inbox: self.log.inbox,
                partition: self.partition,
                records: std::mem::take(&mut self.records),
            });
        }
    }
}

#[async_trait]
impl LogAppender for DiskLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.world.pause(10).await;
        self.admits(share)?;
        if self.world.hits(Fault::DiskFull) {
            return Err(LogError::Io("no space left on device".to_owned()));
        }
        if self.world.hits(Fault::AppendLost) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        let mut unflushed = Unflushed {
            log: self,
            partition,
            records,
            over: false,
        };
        self.world.pause(10).await;
        unflushed.over = true;
        let first = self.store(partition, &unflushed.records);
        self.world.pause(10).await;
        if self.world.hits(Fault::AppendStored) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        Ok(first)
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        let (used, quota) = self.usage();
        if used >= share.of_quota(quota) {
            return Err(LogError::Full { used, quota });
        }
        Ok(())
    }
}

#[async_trait]
impl Retention for DiskLog {
    async fn evict(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        let mut partitions = self.partitions.lock().unwrap();
        for (held, floor) in partitions.iter_mut().zip(floors) {
            let floor = (*floor).min(held.end());
            let drop = usize::try_from(floor.saturating_sub(held.start)).unwrap();
            held.records.drain(..drop);
            held.start = held.start.max(floor);
        }
        Ok(())
    }

    fn usage(&self) -> (u64, u64) {
        let partitions = self.partitions.lock().unwrap();
        let used: usize = partitions
            .iter()
            .flat_map(|held| &held.records)
            .map(Bytes::len)
            .sum();
        let quota = if self.inbox {
            1 << 30
        } else {
            self.world.plan.quota
        };
        (u64::try_from(used).unwrap(), quota)
    }
}

#[async_trait]
impl Log for DiskLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.world.pause(3).await;
        if self.world.hits(Fault::LogRead) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        let partitions = self.partitions.lock().unwrap();
        let held = &partitions[usize::from(partition)];
        let (start, end) = (held.start, held.end());
        if from < start || from > end {
            let asked = from;
            return Err(LogError::OutOfRange {
                partition,
                asked,
                start,
                end,
            });
        }
        let skip = usize::try_from(from - start).unwrap();
        let records = held
            .records
            .iter()
            .skip(skip)
            .zip(from..)
            .take(limit.records);
        Ok(records
            .map(|(bytes, offset)| LogRecord {
                offset,
                bytes: bytes.clone(),
            })
            .collect())
    }

    async fn wait(&self, partition: u16, from: u64) {
        loop {
            let grown = self.grown.notified();
            if self.range(partition).end > from {
                return;
            }
            grown.await;
        }
    }

    fn range(&self, partition: u16) -> OffsetRange {
        let partitions = self.partitions.lock().unwrap();
        let held = &partitions[usize::from(partition)];
        OffsetRange {
            start: held.start,
            end: held.end(),
        }
    }
}

/// A store whose batches may fail, stored or not. What it holds it holds for good.
#[derive(Debug)]
pub(crate) struct DiskStore {
    pub(crate) world: Arc<World>,
    pub(crate) inner: MemoryStore,
}

impl Store for DiskStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        if self.world.hits(Fault::StoreRead) {
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
        if self.world.hits(Fault::DiskFull) || self.world.hits(Fault::StoreLost) {
            return failed();
        }
        self.inner.commit(batch.clone())?;
        self.world.stored(&batch);
        if self.world.hits(Fault::StoreStored) {
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
    pub(crate) world: Arc<World>,
    pub(crate) kind: Kind,
    pub(crate) inner: StoreCheckpoint,
}

#[async_trait]
impl Checkpoint for SlowCommit {
    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.world.pause(20).await;
        let known = self.inner.lookup(wanted).await;
        self.world.pause(20).await;
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

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        self.world.pause(20).await;
        {
            let mut state = self.world.lock();
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
        let stored = self.inner.commit(batch).await;
        self.world.pause(20).await;
        stored
    }
}

/// What a sink of this kind keeps.
pub(crate) fn mode(kind: Kind) -> Mode {
    match kind {
        Kind::History => Mode::History,
        Kind::Guarded | Kind::Unguarded | Kind::Crm => Mode::Latest,
    }
}
