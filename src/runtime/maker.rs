//! How a partition's task is made.
//!
//! Guarantee (G2): a task begins once what is kept here is what was committed.

use std::sync::Arc;

use super::portions::Owned;
use super::tell::LogTell;
use crate::engine::checkpoint::{Checkpoint, CommitError, TakeoverError};
use crate::engine::landing::Landing;
use crate::engine::{Context, SinkTask, TaskError, TaskSettings};
use crate::log::{LogError, PartitionReader};
use crate::sink::Place;
use crate::store::patiently;

/// How a partition's checkpoint is made.
pub(super) type CheckpointOf =
    Arc<dyn Fn(&Arc<dyn PartitionReader>) -> Arc<dyn Checkpoint> + Send + Sync>;

/// What a task is made from.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) context: Context,
    pub(super) settings: TaskSettings,
    pub(super) checkpoint: CheckpointOf,
    /// The partitions that count in the sink's portion of its target's quota.
    pub(super) owned: Owned,
    /// Whether what is kept is read off a disk.
    pub(super) blocks: bool,
}

impl Maker {
    /// Where the partition's task keeps what it knows; where the sink gathers rows in pieces, its
    /// commits wait for them.
    pub(super) fn checkpoint_of(&self, of: &Arc<dyn PartitionReader>) -> Arc<dyn Checkpoint> {
        let checkpoint = (self.checkpoint)(of);
        let log = self.context.log.identity();
        let place = Place {
            partition: of.partition(),
            log: log.id.clone(),
            partitions: log.partitions,
        };
        let deliverer = &self.context.deliverer;
        let pieces = deliverer.sink.pieces(&place);
        match (pieces, Arc::clone(&checkpoint).prepares()) {
            (Some(pieces), Some(inner)) => {
                let gate = Arc::clone(&deliverer.gate);
                Arc::new(Landing::over(inner, pieces, gate, place.partition))
            }
            _ => checkpoint,
        }
    }

    /// The partition's task, where it was left. Blocks on the disk.
    pub(super) fn make(
        &self,
        of: &Arc<dyn PartitionReader>,
        checkpoint: &Arc<dyn Checkpoint>,
    ) -> Result<SinkTask, TaskError> {
        SinkTask::new(
            self.context.clone(),
            Arc::clone(of),
            self.settings,
            Arc::clone(checkpoint),
        )
    }

    /// The same, once what is kept here is what was committed; a disk that fails for a while is
    /// waited for.
    pub(super) async fn take_over(self, of: Arc<dyn PartitionReader>) -> Made {
        let checkpoint = self.checkpoint_of(&of);
        let task = match checkpoint.take_over().await {
            Ok(()) => self.make_patiently(&of, &checkpoint).await,
            Err(TakeoverError::Store(error)) => Err(error.into()),
            Err(TakeoverError::Halted(why)) => Err(LogError::Refused(why).into()),
            Err(TakeoverError::Fenced(why)) => Err(CommitError::Fenced(why).into()),
        };
        Made {
            of,
            checkpoint,
            task,
        }
    }

    /// What appends asks for the sink.
    pub(super) fn tell(&self) -> LogTell {
        LogTell {
            log: Arc::clone(&self.context.log),
            sink: self.context.deliverer.sink.name().to_owned(),
            clock: Arc::clone(&self.context.deliverer.clock),
        }
    }

    async fn make_patiently(
        &self,
        of: &Arc<dyn PartitionReader>,
        checkpoint: &Arc<dyn Checkpoint>,
    ) -> Result<SinkTask, TaskError> {
        let asked = patiently(|| async {
            let (maker, of, checkpoint) = (self.clone(), Arc::clone(of), Arc::clone(checkpoint));
            let make = move || maker.make(&of, &checkpoint);
            if !self.blocks {
                return match make() {
                    Err(TaskError::Store(error)) => Err(error),
                    answer => Ok(answer),
                };
            }
            match tokio::task::spawn_blocking(make).await {
                Ok(Err(TaskError::Store(error))) => Err(error),
                Ok(answer) => Ok(answer),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            }
        });
        asked.await?
    }
}

/// A task that was made, or why not.
pub(super) struct Made {
    pub(super) of: Arc<dyn PartitionReader>,
    pub(super) checkpoint: Arc<dyn Checkpoint>,
    pub(super) task: Result<SinkTask, TaskError>,
}
