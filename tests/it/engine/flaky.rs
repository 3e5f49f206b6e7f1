//! A log and a store that fail when they are told to, commits that last, and a clock that is set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, StoreCheckpoint, Wanted,
};
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, MemoryLog, OffsetRange, ReadLimit,
    Retention, Share,
};
use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError};
use goldwire::time::{Clock, Millis, TokioClock};

pub(super) const QUOTA: u64 = 1000;

#[derive(Debug)]
pub(super) struct FlakyLog {
    inner: MemoryLog,
    /// Whether reads hang, from now on.
    pub(super) hanging: AtomicBool,
    /// How many were begun.
    pub(super) reads: AtomicU32,
    /// So many reads will fail.
    pub(super) failing_reads: AtomicU32,
    /// What it says it uses of [`QUOTA`].
    pub(super) used: AtomicU64,
    /// Whether the disk is down to its reserve.
    pub(super) disk_full: AtomicBool,
}

impl FlakyLog {
    pub(super) fn new() -> Self {
        Self {
            inner: MemoryLog::new(1),
            hanging: AtomicBool::new(false),
            reads: AtomicU32::new(0),
            failing_reads: AtomicU32::new(0),
            used: AtomicU64::new(0),
            disk_full: AtomicBool::new(false),
        }
    }
}

#[async_trait]
impl LogAppender for FlakyLog {
    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.admits(share)?;
        self.inner.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.inner.largest_record()
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        if self.disk_full.load(Ordering::Relaxed) {
            let (free, reserve) = (1, 2);
            return Err(LogError::DiskFull { free, reserve });
        }
        let (used, quota) = self.usage();
        if used >= share.of_quota(quota) {
            return Err(LogError::Full { used, quota });
        }
        Ok(())
    }
}

#[async_trait]
impl Retention for FlakyLog {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.trim(floors).await
    }

    async fn evict(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.evict(floors).await
    }

    fn usage(&self) -> (u64, u64) {
        (self.used.load(Ordering::Relaxed), QUOTA)
    }
}

#[async_trait]
impl Log for FlakyLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if self.hanging.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let fails = |left: u32| left.checked_sub(1);
        let (done, not) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.failing_reads.fetch_update(done, not, fails).is_ok() {
            return Err(LogError::Io("too many open files".to_owned()));
        }
        self.inner.read(partition, from, limit).await
    }

    async fn wait(&self, partition: u16, from: u64) {
        self.inner.wait(partition, from).await;
    }

    fn range(&self, partition: u16) -> OffsetRange {
        self.inner.range(partition)
    }
}

#[derive(Debug, Default)]
pub(super) struct FlakyStore {
    inner: MemoryStore,
    /// Whether commits fail.
    pub(super) broken: AtomicBool,
    /// How many failed.
    pub(super) failed: AtomicU32,
    /// So many gets will fail.
    pub(super) failing_gets: AtomicU32,
}

impl Store for FlakyStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let fails = |left: u32| left.checked_sub(1);
        let (done, not) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.failing_gets.fetch_update(done, not, fails).is_ok() {
            return Err(StoreError::Io("input/output error".to_owned()));
        }
        self.inner.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(prefix, after, max)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.broken.load(Ordering::Relaxed) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Io("no space left".to_owned()));
        }
        self.inner.commit(batch)
    }
}

/// Commits and look-ups that wait so many milliseconds before they are made.
#[derive(Debug)]
pub(super) struct SlowCheckpoint {
    pub(super) inner: StoreCheckpoint,
    pub(super) commits: Arc<AtomicU64>,
    pub(super) lookups: Arc<AtomicU64>,
}

async fn waits(millis: &AtomicU64) {
    tokio::time::sleep(Duration::from_millis(millis.load(Ordering::Relaxed))).await;
}

#[async_trait]
impl Checkpoint for SlowCheckpoint {
    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        waits(&self.lookups).await;
        self.inner.lookup(wanted).await
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
        waits(&self.commits).await;
        self.inner.commit(batch).await
    }
}

/// A host's clock, which somebody may set.
#[derive(Debug)]
pub(super) struct HostClock {
    moves: TokioClock,
    pub(super) set_by: AtomicI64,
}

impl HostClock {
    pub(super) fn starting_at(base: Millis) -> Self {
        Self {
            moves: TokioClock::starting_at(base),
            set_by: AtomicI64::new(0),
        }
    }
}

impl Clock for HostClock {
    fn now(&self) -> Millis {
        self.moves.now() + self.set_by.load(Ordering::Relaxed)
    }
}
