//! The tasks of a sink, as they are seen from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch::Receiver;

use crate::engine::TaskStatus;
use crate::engine::checkpoint::Checkpoint;

/// The tasks of one sink by partition: those that this process has now, and those that cannot run.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    by_partition: BTreeMap<u16, Receiver<TaskStatus>>,
    /// Of those that run.
    checkpoints: BTreeMap<u16, Arc<dyn Checkpoint>>,
    halted: Option<String>,
    /// How many partitions are being taken over.
    opening: usize,
}

/// A partition is being taken over as long as this is held.
#[derive(Debug)]
pub(super) struct Opening(Tasks);

impl Drop for Opening {
    fn drop(&mut self) {
        let mut held = self.0.held();
        held.opening = held.opening.saturating_sub(1);
    }
}

impl Tasks {
    /// What each of them tells.
    pub fn all(&self) -> BTreeMap<u16, Receiver<TaskStatus>> {
        self.held().by_partition.clone()
    }

    /// Where each of them stands.
    pub fn statuses(&self) -> BTreeMap<u16, TaskStatus> {
        let held = self.held();
        let each = held.by_partition.iter();
        each.map(|(partition, task)| (*partition, task.borrow().clone()))
            .collect()
    }

    /// Where the tasks that run keep what they know.
    pub fn checkpoints(&self) -> BTreeMap<u16, Arc<dyn Checkpoint>> {
        self.held().checkpoints.clone()
    }

    /// Why no partition will come until a person acts.
    pub fn halted(&self) -> Option<String> {
        self.held().halted.clone()
    }

    /// Whether a partition is this process's whose task does not run yet.
    pub(super) fn is_opening(&self) -> bool {
        self.held().opening > 0
    }

    pub(super) fn open(&self) -> Opening {
        self.held().opening += 1;
        Opening(self.clone())
    }

    pub(super) fn insert(&self, partition: u16, task: Receiver<TaskStatus>) {
        self.held().by_partition.insert(partition, task);
    }

    /// The partition's task runs, and keeps here what it knows.
    pub(super) fn runs(&self, partition: u16, checkpoint: Arc<dyn Checkpoint>) {
        self.held().checkpoints.insert(partition, checkpoint);
    }

    /// The partition is somebody else's.
    pub(super) fn remove(&self, partition: u16) {
        let mut held = self.held();
        held.by_partition.remove(&partition);
        held.checkpoints.remove(&partition);
    }

    pub(super) fn halt(&self, why: String) {
        self.held().halted = Some(why);
    }

    fn held(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
