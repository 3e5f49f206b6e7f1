//! The task: one partition of the event log, at one sink.
//!
//! read → look up → fence → write → commit. One loop owns all of its state, so there are no locks;
//! batches are written beside it and report back. Processing goes on while a commit is under way.
//!
//! Guarantee (G2, G3): a position is committed only past records with an outcome, together with
//! the registers that the sink's acknowledgements made.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::checkpoint::{Checkpoint, CommitError};
use super::commits::{Commits, Committing};
use super::decide::Rules;
use super::deliverer::{Deliverer, Sent};
use super::in_flight::InFlight;
use super::input::{Input, Reading};
use super::isolation::Isolation;
use super::lane::{ClockRules, Lane};
use super::lookup::Loading;
use super::outbox::Outbox;
use super::reading::Read;
use super::reassertion::{MOST, Schedule};
use super::sending;
use super::status::TaskStatus;
use super::witness::Witness;
use super::work::{Refusal, Work};
use crate::dead_letter::DeadLetters;
use crate::event::{Record, Subject};
use crate::log::{LogAppender, LogError, PartitionReader};
use crate::mutation::{self, Mutation};
use crate::reltio::RecordReader;
use crate::sink::Capabilities;
use crate::store::{StoreError, patiently};
use crate::telemetry::SinkMetrics;

/// Bounds and rhythms of a task.
#[derive(Debug, Clone, Copy)]
pub struct TaskSettings {
    /// Records in flight at most.
    pub in_flight: usize,
    /// Their bytes at most; as many of answers of Reltio, and of what is asserted once more.
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

/// What the tasks of one sink share.
#[derive(Debug, Clone)]
pub struct Context {
    /// How to deliver.
    pub deliverer: Deliverer,
    /// Reltio, if there is an API.
    pub reltio: Option<Arc<dyn RecordReader>>,
    /// Where what the sink refuses is kept.
    pub letters: Arc<dyn DeadLetters>,
    /// The event log, which says whether there is room for letters.
    pub log: Arc<dyn LogAppender>,
    /// The tenant's clock rules.
    pub rules: ClockRules,
    /// Who sends in this process.
    pub isolation: Arc<Isolation>,
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
    /// The partition is another's.
    #[error("{0}")]
    Commit(#[from] CommitError),
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

/// What the loop hears from what goes on beside it.
#[derive(Debug)]
pub(super) enum Event {
    /// The lane waited for its read, which is due.
    Wake(Subject),
    /// Reltio was read.
    Read(Box<Read>),
    /// A batch was answered; and the offsets that were noted for it.
    Sent(Box<Sent>, Vec<u64>),
    /// Writes that failed are tried again.
    Again(Vec<Work>),
    /// The letters of refused writes are durable.
    Lettered(Vec<(Work, Refusal)>),
    /// The store was read for what asserts the subject once more.
    Recalled(Subject, Result<Option<Box<Record>>, StoreError>),
}

/// What a task knows of its sink.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) capabilities: Capabilities,
    pub(super) rules: Rules,
    pub(super) metrics: SinkMetrics,
}

/// The subjects that something is under way for.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    pub(super) by_subject: HashMap<Subject, Lane, RandomState>,
    /// Which of them have to be asserted once more, and when.
    pub(super) schedule: Schedule,
}

/// One partition of the event log, at one sink.
pub struct SinkTask {
    pub(super) context: Context,
    pub(super) profile: Profile,
    pub(super) settings: TaskSettings,
    pub(super) input: Input,
    pub(super) lanes: Lanes,
    pub(super) in_flight: InFlight,
    pub(super) commits: Commits,
    pub(super) outbox: Outbox,
    pub(super) events: FuturesUnordered<BoxFuture<'static, Event>>,
    pub(super) started: Instant,
    pub(super) stopping: bool,
    /// What the log is known by, until it was looked at.
    witness: Option<Witness>,
    pub(super) status: watch::Sender<TaskStatus>,
}

impl std::fmt::Debug for SinkTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkTask")
            .field("sink", &self.context.deliverer.sink.name())
            .field("partition", &self.input.partition)
            .finish_non_exhaustive()
    }
}

/// What the loop waits for besides its events.
#[derive(Default)]
struct UnderWay {
    reading: Option<Reading>,
    loading: Option<Loading>,
    committing: Option<Committing>,
    deadline: Option<Instant>,
}

impl SinkTask {
    /// A task of one partition that goes on where `checkpoint` says. Blocks on the disk.
    ///
    /// # Errors
    /// If what is kept cannot be read, or the position is not in the log.
    pub fn new(
        mut context: Context,
        reader: Arc<dyn PartitionReader>,
        settings: TaskSettings,
        checkpoint: Arc<dyn Checkpoint>,
    ) -> Result<Self, TaskError> {
        context.deliverer.pieces = checkpoint.pieces();
        let mut opened = checkpoint.open()?;
        let (input, old) = Input::of(reader, &mut opened, settings.detach);
        if let Some(error) = input.unreadable() {
            return Err(error.into());
        }
        let position = input.resume.position;
        let capabilities = context.deliverer.sink.capabilities();
        let profile = Profile {
            capabilities,
            rules: Rules {
                clocks: context.rules,
                mode: capabilities.mode,
                keeps_ids: capabilities.dedupe.is_some(),
                has_api: context.reltio.is_some(),
            },
            metrics: context
                .deliverer
                .metrics
                .sink(context.deliverer.sink.name()),
        };
        let mut commits = Commits::new(checkpoint, position);
        commits.forget(old);
        let mut task = Self {
            profile,
            settings,
            lanes: Lanes::default(),
            in_flight: InFlight::new(position, settings.in_flight, settings.in_flight_bytes),
            commits,
            outbox: Outbox::new(capabilities),
            events: FuturesUnordered::new(),
            started: Instant::now(),
            stopping: false,
            witness: opened.witness,
            status: watch::Sender::new(TaskStatus {
                position,
                reached: position,
                gap: input.gap,
                ..TaskStatus::default()
            }),
            input,
            context,
        };
        task.restore_reassertions(opened.reassertions);
        Ok(task)
    }

    /// What the task tells the outside, as it changes.
    pub fn status(&self) -> watch::Receiver<TaskStatus> {
        self.status.subscribe()
    }

    /// Runs until `stop`, then drains what is in flight and commits.
    ///
    /// # Errors
    /// If the task cannot go on: one sentence. What is in flight is dropped without a commit.
    pub async fn run(self, stop: CancellationToken) -> Result<(), TaskError> {
        self.run_until_lost(stop, CancellationToken::new()).await.0
    }

    pub(super) async fn go(&mut self, stop: CancellationToken) -> Result<(), TaskError> {
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
            let may_send = !self.piece_is_due();
            let send_at = self.outbox.due().filter(|_| may_send);
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
                () = at(*deadline) => break,
                (position, reached, result) = maybe(committing) => {
                    under_way.committing = None;
                    self.on_committed(position, reached, result)?;
                }
                _ = tick.tick() => {
                    self.publish();
                    self.reassert();
                    if under_way.committing.is_none() && self.has_progress() {
                        under_way.committing = Some(self.commit(false));
                    }
                }
                Some(event) = self.events.next() => self.on_event(event)?,
                loaded = maybe(loading), if !self.stopping => {
                    under_way.loading = None;
                    self.on_loaded(loaded?);
                }
                read = maybe(reading), if !self.stopping => {
                    under_way.reading = None;
                    under_way.loading = self.on_log_read(read)?;
                }
                () = at(send_at) => {}
            }
        }
        self.end(under_way.committing.is_some(), under_way.deadline)
            .await
    }

    fn on_event(&mut self, event: Event) -> Result<(), TaskError> {
        match event {
            Event::Wake(subject) => self.free(&subject),
            Event::Read(read) => self.on_read(*read),
            Event::Sent(sent, offsets) => {
                self.outbox.under_way = self.outbox.under_way.saturating_sub(1);
                self.commits.forget(offsets);
                self.on_sent(*sent);
            }
            Event::Again(works) => self.outbox.push_again(works),
            Event::Lettered(refused) => self.on_lettered(refused),
            Event::Recalled(subject, record) => self.on_recalled(&subject, record)?,
        }
        Ok(())
    }

    /// Nothing is handed to a lane before the cursor says that it may have been.
    async fn prepare(&mut self) -> Result<(), TaskError> {
        self.input.confirm(self.witness.take()).await?;
        let first = self.cursor(false);
        let (position, reached) = (first.position, first.reached);
        let batch = self.commits.batch(first);
        let checkpoint = self.commits.checkpoint();
        let commit = || async {
            match checkpoint.commit(batch.clone()).await {
                Ok(()) => Ok(Ok(())),
                Err(CommitError::Retry(error)) => Err(error),
                Err(fenced @ CommitError::Fenced(_)) => Ok(Err(fenced)),
            }
        };
        patiently(commit).await??;
        self.commits.ended(position, reached, &Ok(()));
        Ok(())
    }

    /// Starts batches, the next read and the next commit where there is a reason for one.
    fn begin(&mut self, under_way: &mut UnderWay) -> Result<(), TaskError> {
        let now = Instant::now();
        while !self.piece_is_due()
            && let Some(batch) = self.outbox.take(now, self.stopping)
        {
            self.send(batch);
        }
        let reads = under_way.reading.is_some() || under_way.loading.is_some();
        if !reads && self.may_read() {
            if self.input.is_empty() {
                let (from, bytes) = (self.in_flight.reached(), self.in_flight.bytes_left());
                under_way.reading = Some(self.input.read(from, bytes));
            } else {
                under_way.loading = self.load()?;
            }
        }
        if under_way.committing.is_none() && self.has_much() && !self.commits.failing {
            under_way.committing = Some(self.commit(false));
        }
        Ok(())
    }

    /// Sends a batch beside the loop. After an unclean stop it is noted before.
    fn send(&mut self, batch: Vec<Work>) {
        let position = self.in_flight.committable();
        let suspects = self.input.resume.notes_sends(position);
        let notes = suspects.then(|| self.commits.checkpoint());
        let (context, metrics) = (self.context.clone(), self.profile.metrics.clone());
        let sends = sending::send(context, metrics, notes, batch);
        self.events.push(Box::pin(sends));
    }

    /// Whether records are left that an earlier process may have sent, and whose sends may land.
    pub(super) fn has_suspects(&self) -> bool {
        self.profile
            .capabilities
            .reassert_after
            .is_some_and(|wait| {
                self.started.elapsed() < wait
                    && self.in_flight.committable() < self.input.resume.suspect_below
            })
    }

    fn is_drained(&self, under_way: &UnderWay) -> bool {
        self.stopping && self.in_flight.works() == 0 && under_way.committing.is_none()
    }

    /// Whether more may be read: G8.
    fn may_read(&self) -> bool {
        let unbounded = mutation::is(Mutation::BackPressureIgnored);
        !self.stopping
            && (unbounded || self.in_flight.room().is_some())
            && self.lanes.schedule.len() < MOST
            && self.commits.len() < self.most_uncommitted()
            && Input::may_read(self.in_flight.reached(), self.commits.reached)
    }
}

/// Waits for a future that may not be there.
async fn maybe<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => pending().await,
    }
}
