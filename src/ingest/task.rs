//! The ingest task: one source, its partitions, several batches at once.
//!
//! Guarantee (G1, G2): a position passes only records that are durable elsewhere; a partition that
//! was taken away is not committed. Whatever a commit waits for, reading goes on, and a revocation
//! or a stop is heard.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::append::Stall;
use super::commits::Commits;
use super::memory::Memory;
use super::pack::Packing;
use super::positions::{Positions, Sent, Work};
use super::process::IngestContext;
use crate::event::Received;
use crate::source::{Batch, Reached, Room, Source, SourceError, SourceEvent};

/// Records decoded before the loop looks at anything else.
const TURN: usize = 1000;

/// Bounds and rhythms of an ingest task.
#[derive(Debug, Clone, Copy)]
pub struct IngestSettings {
    /// Records in flight at most.
    pub in_flight: usize,
    /// Their bytes at most, and as many of what is read for them.
    pub in_flight_bytes: usize,
    /// A commit at least this often.
    pub commit_interval: Duration,
    /// How long a stop waits for what is in flight.
    pub drain_timeout: Duration,
}

/// What an ingest task tells the outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IngestStatus {
    /// Records in flight.
    pub in_flight: usize,
    /// Records done since the start: progress.
    pub done: u64,
    /// Records between the position and the end, by partition.
    pub lag: Vec<(i32, u64)>,
    /// How far each partition is read, where it is known.
    pub reached: Vec<Reached>,
    /// Rounds of the task's loop: that it is alive.
    pub beats: u64,
    /// Why the source will not go on.
    pub halted: Option<String>,
    /// The task ended because it was told to. One that ended without saying so panicked.
    pub stopped: bool,
    /// Nothing can be read for now: the lag is not known.
    pub unreachable: bool,
}

/// A batch, or a record by itself, is durable elsewhere.
#[derive(Debug)]
struct Done {
    /// Nothing if all of it had been read before.
    work: Option<Work>,
    records: usize,
}

/// One source on its way to the event log.
pub struct IngestTask {
    source: Box<dyn Source>,
    context: Arc<IngestContext>,
    settings: IngestSettings,
    /// Read, and not begun yet.
    input: Batch,
    packing: Packing,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Records that `work` is about.
    in_flight: usize,
    memory: Memory,
    stall: Arc<Stall>,
    positions: Positions,
    commits: Commits,
    /// The source takes no position for now, which is told once.
    refused: bool,
    status: watch::Sender<IngestStatus>,
}

impl std::fmt::Debug for IngestTask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestTask")
            .field("source", &self.source.name())
            .finish_non_exhaustive()
    }
}

impl IngestTask {
    /// A task that takes `source` to the event log.
    pub fn new(source: Box<dyn Source>, context: IngestContext, settings: IngestSettings) -> Self {
        let context = Arc::new(context);
        Self {
            stall: Arc::new(Stall::new(source.name())),
            source,
            packing: Packing::new(Arc::clone(&context)),
            context,
            settings,
            input: Batch::default(),
            work: FuturesUnordered::new(),
            in_flight: 0,
            memory: Memory::new(settings.in_flight_bytes),
            positions: Positions::default(),
            commits: Commits::default(),
            refused: false,
            status: watch::Sender::new(IngestStatus::default()),
        }
    }

    /// What the task tells the outside, as it changes.
    pub fn status(&self) -> watch::Receiver<IngestStatus> {
        self.status.subscribe()
    }

    /// Runs until `stop`, then finishes what is in flight and commits.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut tick = tokio::time::interval(self.settings.commit_interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut deadline, mut last_commit) = (None::<Instant>, false);
        loop {
            let stopping = deadline.is_some();
            self.commits
                .hand_over(&mut *self.source, &mut self.positions);
            if stopping && self.work.is_empty() && !self.commits.is_under_way() {
                if last_commit || !self.begin_commit() {
                    break;
                }
                last_commit = true;
            }
            let room = if stopping { Room::NONE } else { self.take_in() };
            let more = !self.input.records.is_empty() && !self.room().is_none();
            // In this order, so that a simulation can repeat it: see the sink's task.
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    deadline = Some(Instant::now() + self.settings.drain_timeout);
                    // Not begun, and so not committed: it is read again.
                    self.input = Batch::default();
                }
                () = elapsed(deadline) => break,
                _ = tick.tick() => {
                    self.begin_commit();
                    self.tell();
                }
                result = self.commits.ended() => self.on_committed(result),
                Some(done) = self.work.next() => self.on_done(&done),
                event = self.source.next(room) => self.on_event(event),
                () = std::future::ready(()), if more => {}
            }
        }
        self.tell();
        self.status.send_modify(|status| status.stopped = true);
    }

    fn on_event(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Assigned { partitions } => {
                self.positions.assigned();
                self.note("assigned", &partitions);
            }
            SourceEvent::Batch(batch) => self.input = batch,
            SourceEvent::Revoked { partitions, done } => {
                self.note("revoked", &partitions);
                self.forget_input(&partitions);
                self.commits.revoke(partitions, done);
            }
            SourceEvent::Lost { partitions } => {
                self.note("lost", &partitions);
                self.forget_input(&partitions);
                self.commits.lost(&partitions);
                self.positions.remove(&partitions);
            }
            SourceEvent::Halted(sentence) => {
                tracing::error!(task = ?self, "the source is halted: {sentence}");
                self.status
                    .send_modify(|status| status.halted = Some(sentence));
            }
        }
    }

    fn note(&self, what: &str, partitions: &[i32]) {
        tracing::info!(source = self.source.name(), ?partitions, "{what}");
    }

    /// What was read of a partition that goes to somebody else is theirs to read.
    fn forget_input(&mut self, partitions: &[i32]) {
        if partitions.contains(&self.input.partition) {
            self.input = Batch::default();
        }
    }

    /// Begins what was read, as far as there is room, and says how much more may be read.
    fn take_in(&mut self) -> Room {
        let room = self.room();
        if !self.input.records.is_empty() {
            if room.is_none() {
                return room;
            }
            self.begin(room);
        }
        if !self.input.records.is_empty() {
            return Room::NONE;
        }
        if let Some(position) = self.input.reached.take() {
            self.positions.reached(self.input.partition, position);
        }
        self.room()
    }

    fn room(&self) -> Room {
        let settings = &self.settings;
        Room {
            records: settings.in_flight.saturating_sub(self.in_flight),
            bytes: settings.in_flight_bytes.saturating_sub(self.memory.bytes()),
        }
    }

    /// Decodes records until there is no more room. Compressed ones may come to much more than
    /// they were read as (G8).
    fn begin(&mut self, room: Room) {
        let partition = self.input.partition;
        let (mut together, mut work) = (0, None);
        for _ in 0..room.records.min(TURN) {
            let Some(record) = self.input.records.pop_front() else {
                break;
            };
            let offset = record.offset;
            if self.packing.add(&record) {
                work = self.positions.join(work, partition, offset);
                together += 1;
            } else {
                let alone = self.positions.start(partition, offset);
                self.process(record, alone);
            }
            if self.packing.bytes().saturating_add(self.memory.bytes())
                >= self.settings.in_flight_bytes
            {
                break;
            }
        }
        if together > 0 {
            self.append(together, work);
        } else {
            // What is processed by itself counts as received all the same.
            self.packing.tell();
        }
    }

    /// What was packed goes to the log.
    fn append(&mut self, records: usize, work: Option<Work>) {
        let packed = self.packing.finish();
        let held = self.memory.hold(packed.bytes);
        let (context, stall) = (Arc::clone(&self.context), Arc::clone(&self.stall));
        self.in_flight = self.in_flight.saturating_add(records);
        self.work.push(Box::pin(async move {
            context.store(packed, &stall).await;
            drop(held);
            Done { work, records }
        }));
    }

    /// A record goes by itself, for as long as it takes.
    fn process(&mut self, record: Received, work: Option<Work>) {
        let record = record.detach();
        let mut held = self.memory.hold(record.bytes());
        let (context, stall) = (Arc::clone(&self.context), Arc::clone(&self.stall));
        self.in_flight = self.in_flight.saturating_add(1);
        self.work.push(Box::pin(async move {
            context.process(&record, &stall, &mut held).await;
            drop(held);
            Done { work, records: 1 }
        }));
    }

    fn on_done(&mut self, done: &Done) {
        if let Some(work) = done.work {
            self.positions.complete(work);
        }
        self.in_flight = self.in_flight.saturating_sub(done.records);
        let records = u64::try_from(done.records).unwrap_or_default();
        self.status
            .send_modify(|status| status.done = status.done.saturating_add(records));
    }

    fn begin_commit(&mut self) -> bool {
        self.commits.begin(&mut *self.source, &self.positions)
    }

    fn on_committed(&mut self, result: Result<Vec<Sent>, SourceError>) {
        match result {
            Ok(sent) => {
                self.positions.committed(&sent);
                if std::mem::take(&mut self.refused) {
                    tracing::info!(task = ?self, "the source takes positions again");
                }
            }
            Err(error @ SourceError::Retryable(_)) => {
                if !std::mem::replace(&mut self.refused, true) {
                    tracing::warn!(task = ?self, "{error}; will be tried again");
                }
            }
            Err(error @ SourceError::Fenced(_)) => {
                tracing::warn!(task = ?self, "{error}; its work is dropped");
            }
        }
        self.tell();
    }

    fn tell(&self) {
        let (in_flight, lag) = (self.in_flight, self.source.lag());
        let reached = self.source.reached();
        let unreachable = self.source.is_unreachable();
        self.status.send_modify(|status| {
            status.beats = status.beats.wrapping_add(1);
            status.in_flight = in_flight;
            status.lag = lag;
            status.reached = reached;
            status.unreachable = unreachable;
        });
    }
}

async fn elapsed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
