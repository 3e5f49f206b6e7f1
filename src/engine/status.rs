//! What a task tells the outside: read by health, metrics and the trimmer.

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
