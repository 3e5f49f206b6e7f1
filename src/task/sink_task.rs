//! The task: one partition of the event log, at one sink.
//!
//! read → route → fence → lane → turn → commit. One loop owns all of its state, so there are no
//! locks; turns run beside it and report back. Processing goes on while a commit is under way.
//!
//! Guarantee (G2, G3): a position is committed only past records with an outcome, together with
//! the registers that the sink's acknowledgements made.

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::ahead::Ahead;
use super::answers::Answers;
use super::checkpoint::TaskEnd;
use super::commit::{Commit, Overlay, patiently, store_patiently};
use super::ends::LaneEvent;
use super::lane::Lane;
use super::load::Loading;
use super::progress::{self, Beginning};
use super::tracker::Tracker;
use super::turn::{Context, TurnEnd, reassert_after};
use crate::event::Subject;
use crate::ledger::{Store, StoreError, keys};
use crate::log::{LogError, LogRecord};
use crate::mutation::{self, Mutation};

/// Lanes that may wait for their second assertion at the same time.
const UNSETTLED: usize = 10_000;
/// What one read may go beyond the room there was.
const MARGIN: u64 = 500;

/// Bounds and rhythms of a task.
#[derive(Debug, Clone, Copy)]
pub struct TaskSettings {
    /// Records in flight at most.
    pub in_flight: usize,
    /// Their bytes at most; as many of answers to asks, and of what unsettled subjects keep.
    pub in_flight_bytes: usize,
    /// A commit at least this often.
    pub commit_interval: Duration,
    /// A commit after so many registers.
    pub commit_records: usize,
    /// How long a stop waits for what is in flight.
    pub drain_timeout: Duration,
    /// Whether the task goes on after records that are not in the log any more (`on_full: detach`).
    pub detach: bool,
}

/// Why a task ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The log cannot be read from the task's position.
    #[error("{0}")]
    Log(#[from] LogError),
    /// The store does not answer as it should.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The log holds a record that this version cannot read.
    #[error(
        "partition {partition} holds at offset {offset} a record that this version cannot read: {why}"
    )]
    Record {
        /// The partition.
        partition: u16,
        /// Its offset.
        offset: u64,
        /// Why.
        why: String,
    },
}

/// What a task tells the outside: read by health, metrics and the trimmer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskStatus {
    /// The position that is durable.
    pub position: u64,
    /// Next offset to read.
    pub reached: u64,
    /// Records in flight.
    pub in_flight: usize,
    /// Those of them that do not only wait to be asserted once more.
    pub moving: usize,
    /// Subjects whose newest state has to be asserted once more.
    pub unsettled: usize,
    /// Turns that ended, since the start: progress.
    pub turns: u64,
    /// Rounds of the task's loop: that it is alive.
    pub beats: u64,
    /// Where it went on after records that left the log before this sink had them.
    pub gap: Option<u64>,
    /// How it ended, if it did.
    pub end: Option<TaskEnd>,
}

/// One partition of the event log, at one sink.
pub struct SinkTask {
    pub(super) context: Context,
    pub(super) group: String,
    pub(super) partition: u16,
    pub(super) settings: TaskSettings,
    pub(super) tracker: Tracker,
    /// Read, and not yet on a lane.
    pub(super) ahead: Ahead,
    pub(super) lanes: HashMap<Subject, Lane>,
    pub(super) work: FuturesUnordered<BoxFuture<'static, LaneEvent>>,
    pub(super) overlay: Overlay,
    pub(super) sizes: HashMap<u64, usize>,
    pub(super) bytes: usize,
    /// Room for what Reltio answers.
    pub(super) answers: Answers,
    /// Bytes of what unsettled lanes keep.
    pub(super) asserted_bytes: usize,
    pub(super) unsettled: HashSet<Subject>,
    /// Refused turns whose letters wait for the commit under way.
    pub(super) refused: Vec<TurnEnd>,
    pub(super) resting: usize,
    pub(super) beginning: Beginning,
    /// The record that was noted last, because it is tried by itself.
    pub(super) noted: Option<u64>,
    pub(super) started: Instant,
    pub(super) stopping: bool,
    pub(super) turns: u64,
    pub(super) turning: usize,
    pub(super) committer: Arc<dyn Commit>,
    pub(super) committed: u64,
    /// The last commit failed, which was told.
    pub(super) failing: bool,
    pub(super) reached: u64,
    pub(super) gap: Option<u64>,
    pub(super) status: tokio::sync::watch::Sender<TaskStatus>,
}

impl std::fmt::Debug for SinkTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkTask")
            .field("sink", &self.context.courier.sink.name())
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

pub(super) type Reading = BoxFuture<'static, Result<Vec<LogRecord>, LogError>>;
pub(super) type Committing = BoxFuture<'static, (u64, u64, Result<(), StoreError>)>;

/// What the loop waits for besides its lanes.
#[derive(Default)]
struct UnderWay {
    reading: Option<Reading>,
    loading: Option<Loading>,
    committing: Option<Committing>,
    deadline: Option<Instant>,
}

impl SinkTask {
    /// A task of `group` that goes on where its cursor says.
    ///
    /// # Errors
    /// If the store cannot be read, or the position is not in the log.
    pub fn new(
        context: Context,
        group: &str,
        partition: u16,
        settings: TaskSettings,
        committer: Arc<dyn Commit>,
    ) -> Result<Self, TaskError> {
        let range = context.log.range(partition);
        let cursor = progress::load(context.store.as_ref(), group, partition)?;
        let beginning = Beginning::of(cursor.as_ref(), range);
        let asked = beginning.position;
        if (asked < range.start && !settings.detach) || asked > range.end {
            let (start, end) = (range.start, range.end);
            return Err(LogError::OutOfRange {
                partition,
                asked,
                start,
                end,
            }
            .into());
        }
        let gap = progress::gap(context.store.as_ref(), group, partition)?;
        Ok(Self {
            context,
            group: group.to_owned(),
            partition,
            settings,
            tracker: Tracker::new(asked),
            ahead: Ahead::default(),
            lanes: HashMap::new(),
            work: FuturesUnordered::new(),
            overlay: Overlay::default(),
            sizes: HashMap::new(),
            bytes: 0,
            answers: Answers::new(settings.in_flight_bytes),
            asserted_bytes: 0,
            unsettled: HashSet::new(),
            refused: Vec::new(),
            resting: 0,
            beginning,
            noted: None,
            started: Instant::now(),
            stopping: false,
            turns: 0,
            turning: 0,
            committer,
            committed: asked,
            failing: false,
            reached: 0,
            gap,
            status: tokio::sync::watch::Sender::new(TaskStatus {
                position: asked,
                reached: asked,
                gap,
                ..TaskStatus::default()
            }),
        })
    }

    /// What the task tells the outside, as it changes.
    pub fn status(&self) -> tokio::sync::watch::Receiver<TaskStatus> {
        self.status.subscribe()
    }

    /// Runs until `stop`, then drains what is in flight and commits.
    ///
    /// # Errors
    /// If the task cannot go on: one sentence. What is in flight is dropped without a commit.
    pub async fn run(self, stop: CancellationToken) -> Result<(), TaskError> {
        let status = self.status.clone();
        let result = self.go(stop).await;
        status.send_modify(|status| {
            status.end = Some(match &result {
                Ok(()) => TaskEnd::Stopped,
                Err(error) => TaskEnd::Halted(error.to_string()),
            });
        });
        result
    }

    async fn go(mut self, stop: CancellationToken) -> Result<(), TaskError> {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            prepared = self.prepare() => prepared?,
        }
        let mut tick = tokio::time::interval(self.settings.commit_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut under_way = UnderWay::default();
        while !self.is_drained(&under_way) {
            self.begin(&mut under_way)?;
            let UnderWay {
                reading,
                loading,
                committing,
                deadline,
            } = &mut under_way;
            // In this order, so that a simulation can repeat it: the rare before the frequent, and
            // what is in flight before more of it.
            tokio::select! {
                biased;
                () = stop.cancelled(), if !self.stopping => {
                    self.stopping = true;
                    under_way.deadline = Some(Instant::now() + self.settings.drain_timeout);
                }
                () = elapsed(*deadline) => break,
                (position, reached, result) = maybe(committing) => {
                    under_way.committing = None;
                    self.on_committed(position, reached, result);
                }
                _ = tick.tick() => {
                    self.publish();
                    if under_way.committing.is_none() && self.has_progress() {
                        under_way.committing = Some(self.commit(false));
                    }
                }
                Some(event) = self.work.next() => self.on_event(event),
                loaded = maybe(loading), if !self.stopping => {
                    under_way.loading = None;
                    self.on_loaded(loaded?);
                }
                read = maybe(reading), if !self.stopping => {
                    under_way.reading = None;
                    under_way.loading = Some(self.on_read(read)?);
                }
            }
        }
        self.end().await
    }

    /// Nothing is handed to a lane before the cursor says that it may have been.
    async fn prepare(&mut self) -> Result<(), TaskError> {
        let first = self.cursor(false);
        self.reached = first.reached;
        let batch = self.overlay.begin(first);
        patiently(|| self.committer.commit(batch.clone())).await?;
        let prefix = keys::attempts_of(self.context.courier.sink.name(), self.partition);
        let position = self.committed;
        let forget = move |store: &dyn Store| progress::forget(store, &prefix, position);
        store_patiently(&self.context.store, forget).await?;
        Ok(())
    }

    /// Starts the next read and the next commit where there is a reason for one.
    fn begin(&mut self, under_way: &mut UnderWay) -> Result<(), TaskError> {
        let reads = under_way.reading.is_some() || under_way.loading.is_some();
        if !reads && self.room() {
            if self.ahead.is_empty() {
                under_way.reading = Some(self.read());
            } else {
                under_way.loading = Some(self.load()?);
            }
        }
        // What was tried by itself and had its end is not to be suspected at the next start.
        let cleared = self.beginning.careful()
            && self.committed < self.beginning.suspect_below
            && self.tracker.committable() > self.committed;
        let many = self.overlay.len() >= self.settings.commit_records;
        let due = many || cleared || self.is_at_its_reach();
        if under_way.committing.is_none() && due && !self.failing {
            under_way.committing = Some(self.commit(false));
        }
        Ok(())
    }

    /// Whether records are left that an earlier process may have sent, and whose sends may land.
    fn has_suspects(&self) -> bool {
        reassert_after(&self.context.courier).is_some_and(|wait| {
            self.started.elapsed() < wait
                && self.tracker.committable() < self.beginning.suspect_below
        })
    }

    fn is_drained(&self, under_way: &UnderWay) -> bool {
        self.stopping && self.turning == 0 && under_way.committing.is_none()
    }

    /// The last commit. What is still in flight will be read again.
    async fn end(mut self) -> Result<(), TaskError> {
        if self.turning > 0 {
            tracing::warn!(task = ?self, "stopped with records in flight; they will be read again");
        }
        let clean = self.turning == 0 && self.unsettled.is_empty() && !self.has_suspects();
        let (position, reached, result) = self.commit(clean).await;
        self.on_committed(position, reached, result.clone());
        self.publish();
        result.map_err(TaskError::from)
    }

    /// Whether more may be read: G8.
    fn room(&self) -> bool {
        let unbounded = mutation::is(Mutation::BackPressureIgnored);
        !self.stopping
            && (unbounded || self.moving() < self.most_in_flight())
            && self.bytes < self.settings.in_flight_bytes
            && self.unsettled.len() < UNSETTLED
            && self.asserted_bytes < self.settings.in_flight_bytes
            && self.overlay.len() < self.settings.commit_records.saturating_mul(20)
            && self.tracker.reached().saturating_add(MARGIN) <= self.reached
    }

    /// Records in flight that do not only wait to be asserted once more.
    pub(super) fn moving(&self) -> usize {
        self.tracker.in_flight().saturating_sub(self.resting)
    }

    /// Records below `suspect_below` go one at a time after several unclean starts.
    pub(super) fn is_careful(&self) -> bool {
        self.beginning.careful() && self.tracker.reached() < self.beginning.suspect_below
    }

    pub(super) fn most_in_flight(&self) -> usize {
        if self.is_careful() {
            1
        } else {
            self.settings.in_flight
        }
    }
}

/// Waits for a future that may not be there.
async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn elapsed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => pending().await,
    }
}
