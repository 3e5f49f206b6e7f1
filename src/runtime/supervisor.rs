//! The supervisor of a sink: starts a task for each partition that its group is assigned, and ends
//! it when the partition is taken away.
//!
//! Guarantee (G2): a partition is given back after the last commit of its task. The task of a lost
//! one ends at once, commits nothing more, and asks about what it may have sent late (G4). A partition that cannot be read halts its own task.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::AbortOnDropHandle;

use super::left_behind;
use super::maker::{Made, Maker};
use super::tasks::{Opening, Tasks};
use crate::engine::checkpoint::CommitError;
use crate::engine::{TaskEnd, TaskError, TaskStatus};
use crate::log::{LogError, LogReader, PartitionReader, ReaderEvent};

/// A task that runs. Dropped, it is aborted.
struct Running {
    of: Arc<dyn PartitionReader>,
    stop: CancellationToken,
    lost: CancellationToken,
    /// The task has committed what it will: it may still ask about what it left behind.
    finished: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// The partition of a task, and the epoch of its assignment.
type Fenced = (u16, u64);

/// The tasks of one sink.
pub(super) struct Supervisor {
    maker: Maker,
    reader: Box<dyn LogReader>,
    tasks: Tasks,
    running: BTreeMap<u16, Running>,
    /// Partitions that are being taken over. A token that is dropped ends that.
    opening: BTreeMap<u16, (DropGuard, Opening)>,
    made: FuturesUnordered<BoxFuture<'static, Option<Made>>>,
    /// Tasks that are over, and ask about what they left behind.
    leaving: FuturesUnordered<AbortOnDropHandle<()>>,
    /// Partitions that are being given back.
    ending: FuturesUnordered<BoxFuture<'static, Vec<u16>>>,
    /// Their tasks. A partition may be lost before it is drained.
    draining: BTreeMap<u16, Running>,
    /// Tasks whose commits are refused; their partitions may be this process's all the same.
    fenced: (UnboundedSender<Fenced>, UnboundedReceiver<Fenced>),
    stop: CancellationToken,
}

impl Supervisor {
    /// Starts the tasks of what is assigned already, which with a log of this process is all of it.
    ///
    /// # Errors
    /// If what is kept of a task cannot be read. A position outside the log halts its task only.
    pub(super) fn start(
        maker: Maker,
        reader: Box<dyn LogReader>,
        stop: CancellationToken,
    ) -> Result<Self, TaskError> {
        let mut supervisor = Self {
            maker,
            reader,
            tasks: Tasks::default(),
            running: BTreeMap::new(),
            opening: BTreeMap::new(),
            made: FuturesUnordered::new(),
            leaving: FuturesUnordered::new(),
            ending: FuturesUnordered::new(),
            draining: BTreeMap::new(),
            fenced: unbounded_channel(),
            stop,
        };
        match supervisor.reader.next().now_or_never() {
            Some(ReaderEvent::Assigned(partitions)) => {
                supervisor.owns(&partitions);
                for of in partitions {
                    let checkpoint = supervisor.maker.checkpoint_of(&of);
                    let taken = checkpoint.take_over().now_or_never();
                    if !matches!(taken, Some(Ok(()))) {
                        supervisor.open(of);
                        continue;
                    }
                    let task = supervisor.maker.make(&of, &checkpoint);
                    supervisor.run_task(Made {
                        of,
                        checkpoint,
                        task,
                    })?;
                }
            }
            Some(ReaderEvent::Halted(why)) => supervisor.halt(why),
            // Nothing was assigned that could be taken away.
            Some(ReaderEvent::Revoked { .. } | ReaderEvent::Lost { .. }) | None => {
                supervisor.owns(&[]);
            }
        }
        Ok(supervisor)
    }

    /// What its tasks tell.
    pub(super) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Follows the reader until the stop, which all tasks hear by themselves, and waits for them.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(ended) = self.ending.next() => self.forget(&ended),
                Some(_) = self.leaving.next() => {}
                Some((partition, epoch)) = self.fenced.1.recv() => self.open_again(partition, epoch),
                Some(made) = self.made.next() => self.on_made(made),
                event = self.reader.next() => self.on_event(event),
            }
        }
        let running = std::mem::take(&mut self.running).into_values();
        let draining = std::mem::take(&mut self.draining).into_values();
        join_all(running.chain(draining).map(|running| running.task)).await;
        while self.ending.next().await.is_some() {}
        while self.leaving.next().await.is_some() {}
    }

    fn on_event(&mut self, event: ReaderEvent) {
        match event {
            ReaderEvent::Assigned(partitions) => {
                self.owns(&partitions);
                for of in partitions {
                    self.lose(of.partition());
                    self.open(of);
                }
            }
            ReaderEvent::Revoked { partitions, done } => {
                tracing::info!(sink = self.name(), ?partitions, "revoked");
                for partition in &partitions {
                    self.opening.remove(partition);
                }
                let mut drained = Vec::new();
                for partition in &partitions {
                    let Some(running) = self.running.remove(partition) else {
                        self.maker.owned.leave(&[*partition]);
                        continue;
                    };
                    running.stop.cancel();
                    let (finished, lost) = (running.finished.clone(), running.lost.clone());
                    let (owned, partition) = (self.maker.owned.clone(), *partition);
                    drained.push(async move {
                        tokio::select! {
                            // Before another may count it.
                            () = finished.cancelled() => owned.leave(&[partition]),
                            () = lost.cancelled() => {}
                        }
                    });
                    self.draining.insert(partition, running);
                }
                self.ending.push(Box::pin(async move {
                    join_all(drained).await;
                    if done.send(()).is_err() {
                        tracing::warn!(?partitions, "given back too late to be waited for");
                    }
                    partitions
                }));
            }
            ReaderEvent::Lost { partitions } => {
                tracing::warn!(sink = self.name(), ?partitions, "lost");
                self.maker.owned.leave(&partitions);
                for partition in partitions {
                    self.lose(partition);
                }
            }
            ReaderEvent::Halted(why) => self.halt(why),
        }
    }

    /// These came; what the sink may do to its target grows with them.
    fn owns(&self, partitions: &[Arc<dyn PartitionReader>]) {
        let partitions = partitions.iter().map(|of| of.partition());
        self.maker.owned.take(partitions);
    }

    /// Takes a partition over beside the loop, which may take long.
    fn open(&mut self, of: Arc<dyn PartitionReader>) {
        let token = CancellationToken::new();
        let ended = token.clone();
        let opening = (token.drop_guard(), self.tasks.open());
        self.opening.insert(of.partition(), opening);
        let made = self.maker.clone().take_over(of);
        self.made.push(Box::pin(async move {
            tokio::select! {
                biased;
                () = ended.cancelled() => None,
                made = made => Some(made),
            }
        }));
    }

    fn on_made(&mut self, made: Option<Made>) {
        let Some(made) = made else { return };
        let partition = made.of.partition();
        // Until its task is known.
        let _opening = self.opening.remove(&partition);
        if let Err(error) = self.run_task(made) {
            self.halted(partition, None, &error.to_string());
        }
    }

    /// A task's commit was refused. If its partition was lost, that is told soon; if not, it is taken
    /// over once more.
    fn open_again(&mut self, partition: u16, epoch: u64) {
        let running = self.running.get(&partition);
        if running.is_none_or(|running| running.of.epoch() != epoch) {
            return;
        }
        if let Some(running) = self.running.remove(&partition) {
            self.tasks.remove(partition);
            self.open(Arc::clone(&running.of));
            self.leave(running);
        }
    }

    /// Ends the partition's task at once, if there is one.
    fn lose(&mut self, partition: u16) {
        self.opening.remove(&partition);
        let draining = self.draining.remove(&partition);
        for running in self.running.remove(&partition).into_iter().chain(draining) {
            self.leave(running);
        }
        self.tasks.remove(partition);
    }

    /// The task ends, and commits nothing more.
    fn leave(&mut self, running: Running) {
        running.lost.cancel();
        self.leaving.push(running.task);
    }

    /// These were given back; one may be here again.
    fn forget(&mut self, partitions: &[u16]) {
        for partition in partitions {
            let drained = self.draining.get(partition);
            if drained.is_some_and(|running| running.finished.is_cancelled())
                && let Some(running) = self.draining.remove(partition)
            {
                self.leaving.push(running.task);
            }
            if !self.running.contains_key(partition) {
                self.tasks.remove(*partition);
            }
        }
    }

    fn run_task(&mut self, made: Made) -> Result<(), TaskError> {
        let Made {
            of,
            checkpoint,
            task,
        } = made;
        let (partition, epoch) = (of.partition(), of.epoch());
        let task = match task {
            Ok(task) => task,
            Err(ref outside @ TaskError::Log(LogError::OutOfRange { asked, .. })) => {
                self.halted(partition, Some(asked), &outside.told(self.name()));
                return Ok(());
            }
            Err(TaskError::Commit(CommitError::Fenced(why))) => {
                tracing::warn!(sink = self.name(), partition, "not taken over: {why}");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.tasks.insert(partition, task.status());
        self.tasks.runs(partition, checkpoint);
        let (stop, sink) = (self.stop.child_token(), self.name().to_owned());
        // A task that was given back is over; its process is not.
        let (lost, ended) = (CancellationToken::new(), self.stop.clone());
        let finished = CancellationToken::new();
        // Dropped, it tells: also if the task panics.
        let guard = finished.clone().drop_guard();
        let run = task.run_until_lost(stop.clone(), lost.clone());
        let (fenced, heard, tell) = (self.fenced.0.clone(), lost.clone(), self.maker.tell());
        let asked = stop.clone();
        let task = tokio::spawn(async move {
            let (result, left) = run.await;
            drop(guard);
            match result {
                Ok(()) => {}
                Err(_) if heard.is_cancelled() => {}
                Err(TaskError::Commit(CommitError::Fenced(why))) => {
                    tracing::warn!(sink, partition, "the task ends: {why}");
                    // No one hears it at the end of the process.
                    fenced.send((partition, epoch)).ok();
                }
                Err(TaskError::Commit(error)) if asked.is_cancelled() => {
                    let after = "what it has not committed is read again";
                    tracing::warn!(sink, partition, "the task ends: {error}; {after}");
                }
                Err(error) => {
                    let why = error.told(&sink);
                    tracing::error!(sink, partition, "the task is halted: {why}");
                }
            }
            left_behind::ask(&tell, partition, &left, &ended).await;
        });
        let running = Running {
            of,
            stop,
            lost,
            finished,
            task: AbortOnDropHandle::new(task),
        };
        self.running.insert(partition, running);
        Ok(())
    }

    /// The task of a partition does not run: its own trouble, which holds no one else back. What it
    /// has not read is kept where the position is known.
    fn halted(&self, partition: u16, position: Option<u64>, sentence: &str) {
        tracing::error!(
            sink = self.name(),
            partition,
            "the task is halted: {sentence}"
        );
        let position = position.unwrap_or_default();
        let status = TaskStatus {
            position,
            reached: position,
            end: Some(TaskEnd::Halted(sentence.to_owned())),
            ..TaskStatus::default()
        };
        let status = watch::Sender::new(status).subscribe();
        self.tasks.insert(partition, status);
    }

    fn halt(&self, why: String) {
        tracing::error!(sink = self.name(), "the sink is halted: {why}");
        self.tasks.halt(why);
    }

    fn name(&self) -> &str {
        self.maker.context.deliverer.sink.name()
    }
}
