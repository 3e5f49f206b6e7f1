//! Three instances: what each has of the group, and what they share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::{FIRST, Refreshing};
use crate::engine::TaskStatus;
use crate::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, StoreCheckpoint, Wanted as Keys,
};
use crate::log::LogError;
use crate::refresh::{self, Dashboard, Pacing, RefreshConfig, Seen, Trouble, Wanted};
use crate::runtime::{GroupOffsets, Tasks};
use crate::store::{MemoryStore, Store, StoreError};
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock, TokioClock};

/// 2027-01-15, at midnight.
pub(super) const MIDNIGHT: Millis = 1_799_971_200_000;
pub(super) const HOUR: Millis = 60 * 60 * 1000;
pub(super) const DAY: Millis = 24 * HOUR;
pub(super) const INSTANCES: usize = 3;

/// What the sink's group has committed.
#[derive(Debug, Default)]
struct Group(Mutex<Vec<Option<u64>>>);

#[async_trait]
impl GroupOffsets for Group {
    async fn committed(&self) -> Result<Vec<Option<u64>>, LogError> {
        Ok(self.0.lock().unwrap().clone())
    }
}

/// What is kept with the first partition, which only its owner may change.
#[derive(Debug)]
struct Fenced {
    inner: StoreCheckpoint,
    owner: Arc<AtomicUsize>,
    instance: usize,
}

#[async_trait]
impl Checkpoint for Fenced {
    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Keys) -> Result<Known, StoreError> {
        self.inner.lookup(wanted).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        self.inner.commit(batch).await
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
        if self.owner.load(Ordering::Relaxed) != self.instance {
            return Err(StoreError::Away("the partition was lost".to_owned()));
        }
        self.inner.keep(key, value).await
    }
}

/// Time stands still while the target is asked: real connections know nothing of paused time.
#[derive(Debug)]
struct Still(Arc<dyn Dashboard>);

async fn still<T>(asked: impl Future<Output = T>) -> T {
    let (over, waits) = std::sync::mpsc::channel::<()>();
    // Paused time does not go on by itself while a blocking task runs.
    let held = tokio::task::spawn_blocking(move || waits.recv().is_err());
    let answer = asked.await;
    drop(over);
    assert!(held.await.unwrap());
    answer
}

#[async_trait]
impl Dashboard for Still {
    async fn start(&self) -> Result<Option<String>, Trouble> {
        still(self.0.start()).await
    }

    async fn look(&self, wanted: Wanted<'_>) -> Result<Option<Seen>, Trouble> {
        still(self.0.look(wanted)).await
    }

    async fn probe(&self) -> Vec<String> {
        still(self.0.probe()).await
    }
}

/// The fakes' clock is ours.
#[derive(Debug)]
pub(super) struct Same(pub(super) SharedClock);

impl loadtest::time::Clock for Same {
    fn now(&self) -> loadtest::time::Millis {
        self.0.now()
    }
}

/// A clock that starts at [`MIDNIGHT`], ours and the fakes'.
pub(super) fn clocks() -> (SharedClock, loadtest::time::SharedClock) {
    let clock: SharedClock = Arc::new(TokioClock::starting_at(MIDNIGHT));
    (Arc::clone(&clock), Arc::new(Same(clock)))
}

/// Three instances, of which one has the first partition.
pub(super) struct World {
    group: Arc<Group>,
    owner: Arc<AtomicUsize>,
    store: Arc<dyn Store>,
    tasks: Vec<Tasks>,
    running: Vec<JoinHandle<()>>,
}

impl World {
    /// They run, and no one has the partition yet.
    pub(super) fn new(clock: &SharedClock, config: &RefreshConfig) -> Self {
        let mut world = Self {
            group: Arc::default(),
            owner: Arc::default(),
            store: Arc::new(MemoryStore::default()),
            tasks: Vec::new(),
            running: Vec::new(),
        };
        world.group.0.lock().unwrap().resize(2, None);
        for _ in 0..INSTANCES {
            let tasks = Tasks::default();
            let dashboard = refresh::open("sales", config, clock).unwrap();
            let refreshing = Refreshing {
                name: "sales".to_owned(),
                sink: "lake".to_owned(),
                tasks: tasks.clone(),
                group: Arc::<Group>::clone(&world.group),
                dashboard: Arc::new(Still(dashboard)),
                pacing: Pacing::new(config.budget_per_day, config.min_interval.get()),
                store: Arc::clone(&world.store),
                clock: Arc::clone(clock),
                metrics: Arc::new(Metrics::noop()),
            };
            world.tasks.push(tasks);
            world.running.push(tokio::spawn(refreshing.run()));
        }
        world
    }

    /// The first partition is this instance's now.
    pub(super) fn own(&self, instance: usize) {
        self.owner.store(instance, Ordering::Relaxed);
        for tasks in &self.tasks {
            tasks.remove(FIRST);
        }
        let kept = Fenced {
            inner: StoreCheckpoint {
                store: Arc::clone(&self.store),
                sink: "lake".to_owned(),
                group: "app.lake".to_owned(),
                partition: FIRST,
            },
            owner: Arc::clone(&self.owner),
            instance,
        };
        let status = watch::Sender::new(TaskStatus::default()).subscribe();
        self.tasks[instance].insert(FIRST, status);
        self.tasks[instance].runs(FIRST, Arc::new(kept));
    }

    /// The partition goes to another, and this one is not told yet.
    pub(super) fn lose_silently(&self, to: usize) {
        self.owner.store(to, Ordering::Relaxed);
    }

    /// The instance dies.
    pub(super) fn kill(&self, instance: usize) {
        self.running[instance].abort();
    }

    /// The sink has written something, and committed that, in a partition.
    pub(super) fn change(&self, partition: usize) {
        let mut positions = self.group.0.lock().unwrap();
        positions[partition] = Some(positions[partition].unwrap_or_default() + 1);
    }

    pub(super) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}
