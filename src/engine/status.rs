//! What a task tells the outside: read by health, metrics and the trimmer.

use super::task::TaskError;
use crate::log::LogError;

/// How a task ended. One that ended without saying so panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// It was told to.
    Stopped,
    /// It cannot go on until a person acts: one sentence.
    Halted(String),
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskStatus {
    /// The position that is durable.
    pub position: u64,
    /// Next offset to read.
    pub reached: u64,
    /// Records in flight.
    pub in_flight: usize,
    /// Subjects whose newest state has to be asserted once more.
    pub reassertions: usize,
    /// Writes that ended, since the start: progress.
    pub writes: u64,
    /// Rounds of the task's loop: that it is alive.
    pub beats: u64,
    /// Where it went on after records that left the log before this sink had them.
    pub gap: Option<u64>,
    /// How it ended, if it did.
    pub end: Option<TaskEnd>,
}

impl TaskError {
    /// What a person reads of it, with the remedy where that needs the sink's name.
    pub(crate) fn told(&self, sink: &str) -> String {
        let Self::Log(LogError::OutOfRange { asked, start, .. }) = self else {
            return self.to_string();
        };
        if asked < start {
            format!(
                "{self}: what it has not read was deleted, while it was not configured or by the \
                 brokers. To go on with what is left, start with sinks.{sink}.on_full: detach, which \
                 marks the gap, and resync; or give the sink another name, and it starts with what \
                 the log holds"
            )
        } else {
            format!("{self}: the log is older than the store: restore both from the same copy")
        }
    }
}
