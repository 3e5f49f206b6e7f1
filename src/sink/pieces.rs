//! Rows that reach the target a piece at a time: a file, the appends of a channel.
//!
//! Guarantee (G3, G5): a row that was gathered is durable nowhere, and counts as delivered only with
//! the commit that its piece is in. A piece lands whole or not at all, under a name that no other
//! piece has; once somebody was told that it has not landed, it never will.

use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Ack, SinkError, Write};

/// Whose pieces they are: one partition of one event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: u16,
    /// What tells the event log from others, also from one that was made again under its name.
    pub log: String,
    /// Partitions that the log has: their pieces share the sink's memory.
    pub partitions: u16,
}

/// The name of a piece that takes no more rows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seal(pub String);

/// When a piece is to be sealed; and twice so much is in memory at most, of one place.
#[derive(Debug, Clone, Copy)]
pub struct PieceLimits {
    /// Rows of it.
    pub rows: usize,
    /// Bytes of it in memory.
    pub bytes: usize,
    /// Since its first row.
    pub age: Duration,
}

/// What the piece that takes rows holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gathered {
    /// Rows.
    pub rows: usize,
    /// Bytes in memory.
    pub bytes: usize,
    /// When its first row came.
    pub since: Option<Instant>,
}

impl Gathered {
    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether it is to be sealed now.
    pub fn is_due(&self, limits: &PieceLimits) -> bool {
        self.rows >= limits.rows
            || self.bytes >= limits.bytes
            || self.since.is_some_and(|it| it.elapsed() >= limits.age)
    }
}

/// The code of [`full`].
pub(crate) const FULL: &str = "piece_full";

/// What a write counts as that the open piece has no room for. The piece is due then, and the write
/// goes into the next; that spends nothing of its budget.
pub(super) fn full() -> SinkError {
    SinkError::Retryable {
        code: FULL.to_owned(),
        ambiguous: false,
        outage: false,
    }
}

/// Whether a piece is at the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landed {
    /// It is, whole and durable.
    Yes,
    /// It is not, and never will be.
    Never,
}

/// The pieces of one sink in one partition.
#[async_trait]
pub trait Pieces: Debug + Send + Sync {
    /// When a piece is to be sealed.
    fn limits(&self) -> PieceLimits;

    /// Takes rows into the open piece, in the order given, and answers each write. Nothing of them is
    /// sent: what fails is wrong with a row, or has no room ([`full`]), or the target is away that
    /// says which pieces may land.
    async fn gather(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>>;

    /// What the open piece holds.
    fn gathered(&self) -> Gathered;

    /// Seals the open piece and begins another; nothing if it is empty. `position` is where the
    /// group will stand with it. Called while no rows are being gathered, and no other piece of this
    /// place is sealed and has not landed.
    fn seal(&self, position: u64) -> Option<Seal>;

    /// Brings the sealed piece to the target. May be repeated.
    ///
    /// # Errors
    /// If it is not known to be there; it may be later, or by another attempt.
    async fn land(&self, seal: &Seal) -> Result<Landed, SinkError>;

    /// Whether a piece landed that an earlier life of this or another process sealed. One that did
    /// not is kept from landing later.
    ///
    /// # Errors
    /// If the target does not answer.
    async fn landed(&self, seal: &Seal) -> Result<Landed, SinkError>;
}
