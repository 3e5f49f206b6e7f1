//! The supervisor of a sink: starts a task for each partition that its group is assigned, and ends
//! it when the partition is taken away.
//!
//! Guarantee (G2): a partition is given back after the last commit of its task. The task of a lost
//! one ends at once and commits nothing more. A partition that cannot be read halts its own task.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::tasks::Tasks;
use crate::engine::checkpoint::Checkpoint;
use crate::engine::{Context, SinkTask, TaskEnd, TaskError, TaskSettings, TaskStatus};
use crate::log::{LogError, LogReader, PartitionReader, ReaderEvent};
use crate::store::patiently;

/// How a partition's checkpoint is made.
pub(super) type CheckpointOf = Arc<dyn Fn(u16) -> Arc<dyn Checkpoint> + Send + Sync>;

/// What a task is made from.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) context: Context,
    pub(super) settings: TaskSettings,
    pub(super) checkpoint: CheckpointOf,
}

impl Maker {
    /// The partition's task, where it was left. Blocks on the disk.
    fn make(&self, of: &Arc<dyn PartitionReader>) -> Result<SinkTask, TaskError> {
        let checkpoint = (self.checkpoint)(of.partition());
        SinkTask::new(
            self.context.clone(),
            Arc::clone(of),
            self.settings,
            checkpoint,
        )
    }

    /// The same beside the loop; a disk that fails for a while is waited for.
    async fn make_patiently(&self, of: &Arc<dyn PartitionReader>) -> Result<SinkTask, TaskError> {
        let made = patiently(|| async {
            let (maker, of) = (self.clone(), Arc::clone(of));
            match tokio::task::spawn_blocking(move || maker.make(&of)).await {
                Ok(Err(TaskError::Store(error))) => Err(error),
                Ok(made) => Ok(made),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        });
        made.await?
    }
}

/// A task that runs. Dropped, it is aborted.
struct Running {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// The tasks of one sink.
pub(super) struct Supervisor {
    maker: Maker,
    reader: Box<dyn LogReader>,
    tasks: Tasks,
    running: BTreeMap<u16, Running>,
    /// Partitions that are being given back.
    ending: FuturesUnordered<BoxFuture<'static, Vec<u16>>>,
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
            ending: FuturesUnordered::new(),
            stop,
        };
        match supervisor.reader.next().now_or_never() {
            Some(ReaderEvent::Assigned(partitions)) => {
                for of in partitions {
                    let made = supervisor.maker.make(&of);
                    supervisor.run_task(of.partition(), made)?;
                }
            }
            Some(ReaderEvent::Halted(why)) => supervisor.halt(why),
            // Nothing was assigned that could be taken away.
            Some(ReaderEvent::Revoked { .. } | ReaderEvent::Lost { .. }) | None => {}
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
                event = self.reader.next() => self.on_event(event).await,
            }
        }
        let running = std::mem::take(&mut self.running).into_values();
        join_all(running.map(|running| running.task)).await;
        while self.ending.next().await.is_some() {}
    }

    async fn on_event(&mut self, event: ReaderEvent) {
        match event {
            ReaderEvent::Assigned(partitions) => {
                for of in partitions {
                    self.lose(of.partition());
                    let made = self.maker.make_patiently(&of).await;
                    if let Err(error) = self.run_task(of.partition(), made) {
                        self.halted(of.partition(), None, &error.to_string());
                    }
                }
            }
            ReaderEvent::Revoked { partitions, done } => {
                tracing::info!(sink = self.name(), ?partitions, "revoked");
                let taken = partitions.iter().map(|of| self.running.remove(of));
                let taken: Vec<Running> = taken.flatten().collect();
                for running in &taken {
                    running.stop.cancel();
                }
                self.ending.push(Box::pin(async move {
                    join_all(taken.into_iter().map(|running| running.task)).await;
                    if done.send(()).is_err() {
                        tracing::warn!(?partitions, "given back too late to be waited for");
                    }
                    partitions
                }));
            }
            ReaderEvent::Lost { partitions } => {
                tracing::warn!(sink = self.name(), ?partitions, "lost");
                for partition in partitions {
                    self.lose(partition);
                }
            }
            ReaderEvent::Halted(why) => self.halt(why),
        }
    }

    /// Ends the partition's task at once, if there is one.
    fn lose(&mut self, partition: u16) {
        self.running.remove(&partition);
        self.tasks.remove(partition);
    }

    /// These were given back; one may be here again.
    fn forget(&self, partitions: &[u16]) {
        for partition in partitions {
            if !self.running.contains_key(partition) {
                self.tasks.remove(*partition);
            }
        }
    }

    fn run_task(
        &mut self,
        partition: u16,
        made: Result<SinkTask, TaskError>,
    ) -> Result<(), TaskError> {
        let task = match made {
            Ok(task) => task,
            Err(TaskError::Log(outside @ LogError::OutOfRange { asked, start, .. })) => {
                let remedy = remedy(self.name(), asked < start);
                self.halted(partition, Some(asked), &format!("{outside}: {remedy}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.tasks.insert(partition, task.status());
        let (stop, sink) = (self.stop.child_token(), self.name().to_owned());
        let run = task.run(stop.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = run.await {
                tracing::error!(sink, partition, "the task is halted: {error}");
            }
        });
        let task = AbortOnDropHandle::new(task);
        self.running.insert(partition, Running { stop, task });
        Ok(())
    }

    /// The task of a partition does not run: its own trouble, which holds nobody else back. What it
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

/// What to do about a position that is not in the log.
fn remedy(sink: &str, trimmed: bool) -> String {
    if trimmed {
        format!(
            "what it has not read was deleted while it was not configured. To go on with what is \
             left, start with sinks.{sink}.on_full: detach, which marks the gap, and resync; or \
             give the sink another name, and it starts with what the log holds"
        )
    } else {
        "the log is older than the store: restore both from the same copy".to_owned()
    }
}
