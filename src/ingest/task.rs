//! The ingest task: one source, its partitions, many records at once.
//!
//! The same shape as a sink's task, with positions only. Guarantee (G1, G2): a position passes
//! only records that are durable elsewhere; a partition that was taken away is not committed.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::memory::Memory;
use super::process::IngestContext;
use crate::event::SourceRecord;
use crate::mutation::{self, Mutation};
use crate::source::{Source, SourceError, SourceEvent};
use crate::task::tracker::Tracker;

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
    /// Rounds of the task's loop: that it is alive.
    pub beats: u64,
    /// Why the source will not go on.
    pub halted: Option<String>,
    /// The task ended because it was told to. One that ended without saying so panicked.
    pub stopped: bool,
    /// Nothing can be read for now: the lag is not known.
    pub unreachable: bool,
}

#[derive(Debug)]
struct Assigned {
    epoch: u64,
    tracker: Tracker,
    committed: u64,
}

#[derive(Debug)]
struct Done {
    partition: i32,
    epoch: u64,
    offset: u64,
}

/// One source on its way to the event log.
pub struct IngestTask {
    source: Box<dyn Source>,
    context: IngestContext,
    settings: IngestSettings,
    partitions: BTreeMap<i32, Assigned>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    revoking: Option<(Vec<i32>, oneshot::Sender<()>)>,
    memory: Memory,
    epoch: u64,
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
        Self {
            source,
            context,
            settings,
            partitions: BTreeMap::new(),
            work: FuturesUnordered::new(),
            revoking: None,
            memory: Memory::new(settings.in_flight_bytes),
            epoch: 0,
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
        let mut deadline: Option<Instant> = None;
        loop {
            let stopping = deadline.is_some();
            if stopping && self.work.is_empty() {
                break;
            }
            let room = !stopping
                && self.work.len() < self.settings.in_flight
                && self.memory.bytes() < self.settings.in_flight_bytes;
            // In this order, so that a simulation can repeat it: see the sink's task.
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    deadline = Some(Instant::now() + self.settings.drain_timeout);
                }
                () = elapsed(deadline) => break,
                _ = tick.tick() => self.commit().await,
                Some(done) = self.work.next() => self.on_done(&done),
                event = self.source.next(room) => self.on_event(event),
            }
            self.finish_revocation().await;
        }
        self.commit().await;
        self.status.send_modify(|status| status.stopped = true);
    }

    fn on_event(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::Assigned { partitions } => {
                self.epoch += 1;
                self.note("assigned", &partitions);
            }
            SourceEvent::Record(record) => self.start(*record),
            SourceEvent::Revoked { partitions, done } => {
                self.note("revoked", &partitions);
                self.revoking = Some((partitions, done));
            }
            SourceEvent::Lost { partitions } => {
                self.note("lost", &partitions);
                for partition in partitions {
                    self.partitions.remove(&partition);
                }
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

    fn start(&mut self, record: SourceRecord) {
        let origin = record.origin.clone().unwrap_or_default();
        let offset = u64::try_from(origin.offset).unwrap_or_default();
        let epoch = self.epoch;
        let assigned = self
            .partitions
            .entry(origin.partition)
            .or_insert_with(|| Assigned {
                epoch,
                tracker: Tracker::new(offset),
                committed: offset,
            });
        assigned.tracker.start(offset);
        if mutation::is(Mutation::PositionBeforeAppend) {
            assigned.tracker.complete(offset);
        }
        let epoch = assigned.epoch;
        let mut held = self.memory.hold(record.body.len());
        let context = self.context.clone();
        let partition = origin.partition;
        self.work.push(Box::pin(async move {
            context.process(record, &mut held).await;
            drop(held);
            Done {
                partition,
                epoch,
                offset,
            }
        }));
    }

    fn on_done(&mut self, done: &Done) {
        // A completion of an assignment that ended says nothing about the one that followed.
        if let Some(assigned) = self.partitions.get_mut(&done.partition)
            && assigned.epoch == done.epoch
        {
            assigned.tracker.complete(done.offset);
        }
        self.status.send_modify(|status| status.done += 1);
    }

    async fn commit(&mut self) {
        let positions: Vec<(i32, u64)> = self
            .partitions
            .iter()
            .filter(|(_, assigned)| assigned.tracker.committable() > assigned.committed)
            .map(|(partition, assigned)| (*partition, assigned.tracker.committable()))
            .collect();
        if !positions.is_empty() {
            self.commit_positions(&positions).await;
        }
        let (in_flight, lag) = (self.work.len(), self.source.lag());
        let unreachable = self.source.is_unreachable();
        self.status.send_modify(|status| {
            status.beats = status.beats.wrapping_add(1);
            status.in_flight = in_flight;
            status.lag = lag;
            status.unreachable = unreachable;
        });
    }

    /// What is in flight goes on while the source takes the positions, which may last.
    async fn commit_positions(&mut self, positions: &[(i32, u64)]) {
        let mut ended = Vec::new();
        let result = {
            let mut commit = self.source.commit(positions);
            loop {
                tokio::select! {
                    biased;
                    result = &mut commit => break result,
                    Some(done) = self.work.next() => ended.push(done),
                }
            }
        };
        for done in &ended {
            self.on_done(done);
        }
        match result {
            Ok(()) => {
                for (partition, position) in positions {
                    if let Some(assigned) = self.partitions.get_mut(partition) {
                        assigned.committed = *position;
                    }
                }
            }
            Err(error @ SourceError::Retryable(_)) => tracing::warn!(task = ?self, "{error}"),
            Err(error @ SourceError::Fenced(_)) => {
                tracing::warn!(task = ?self, "{error}; its work is dropped");
            }
        }
    }

    /// Answers a revocation once its partitions are drained and committed.
    async fn finish_revocation(&mut self) {
        let drained = self.revoking.as_ref().is_some_and(|(partitions, _)| {
            let in_flight = |partition: &i32| {
                self.partitions
                    .get(partition)
                    .map_or(0, |assigned| assigned.tracker.in_flight())
            };
            partitions.iter().all(|partition| in_flight(partition) == 0)
        });
        if !drained {
            return;
        }
        self.commit().await;
        if let Some((partitions, done)) = self.revoking.take() {
            for partition in partitions {
                self.partitions.remove(&partition);
            }
            if done.send(()).is_err() {
                tracing::warn!(task = ?self, "the drain took longer than the source waits");
            }
        }
    }
}

async fn elapsed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
