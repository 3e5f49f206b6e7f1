//! Sources: where records come from.
//!
//! Guarantee (G1): the source's trait is the only way a position leaves the process, and it is
//! called only with positions below which every record is durable in the event log or in dead
//! letters.

mod batch;
mod inbox;
pub mod kafka;

pub use batch::{Batch, Room};
pub use inbox::{Acknowledged, InboxError, InboxSource};

use std::fmt::Debug;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

/// What a source has to say next.
#[derive(Debug)]
pub enum SourceEvent {
    /// These partitions are ours from now on, under a new epoch.
    Assigned {
        /// Partition numbers.
        partitions: Vec<i32>,
    },
    /// Records of an assigned partition: whatever is there, as far as there is room.
    Batch(Batch),
    /// These partitions go to somebody else: finish what is in flight, commit, then answer. The
    /// source waits for the answer until its drain deadline.
    Revoked {
        /// Partition numbers.
        partitions: Vec<i32>,
        /// Send when drained and committed.
        done: oneshot::Sender<()>,
    },
    /// These partitions are already somebody else's: drop their work, commit nothing.
    Lost {
        /// Partition numbers.
        partitions: Vec<i32>,
    },
    /// The source will not go on until a person acts: one sentence with the remedy.
    Halted(String),
}

/// Why a commit failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// Try again with the next commit.
    #[error("the source did not take the position: {0}")]
    Retryable(String),
    /// The partition is not ours any more; its work is dropped.
    #[error("the partition was taken away before the commit: {0}")]
    Fenced(String),
}

/// How far a partition of a source is read. Numbers of one that are compared are of one kind: offsets,
/// or, from a source that does not tell them, 0 and the lag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The partition.
    pub partition: i32,
    /// Everything below it is durable in the event log or in dead letters.
    pub position: u64,
    /// The end, as the source knows it.
    pub end: u64,
}

/// A commit under way. It goes on whether or not it is awaited.
pub type Committing = BoxFuture<'static, Result<(), SourceError>>;

/// A source that reports what it reads and takes positions back.
#[async_trait]
pub trait Source: Debug + Send {
    /// The source's name in the configuration.
    fn name(&self) -> &str;

    /// Waits for the next event. Without `room` no [`SourceEvent::Batch`] is returned, which is how
    /// back-pressure reaches the broker; a batch is no larger than `room` says. Nothing lingers for
    /// a batch to fill. Cancel safe: no event is lost. Transport errors are retried inside with
    /// backoff and logged; they do not end the source.
    async fn next(&mut self, room: Room) -> SourceEvent;

    /// Makes positions (next offset to read, by partition) durable at the source. Reading goes on
    /// meanwhile: what is returned ends when they are, and holds nothing of the source.
    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing;

    /// Records between the position and the end of each assigned partition, where it is known.
    fn lag(&self) -> Vec<(i32, u64)>;

    /// How far each assigned partition is read, where it is known.
    fn reached(&self) -> Vec<Reached> {
        let of = |(partition, lag)| Reached {
            partition,
            position: 0,
            end: lag,
        };
        self.lag().into_iter().map(of).collect()
    }

    /// Whether nothing can be read for a reason that lies outside and may pass: what is waiting
    /// there is not known meanwhile, whatever [`lag`](Self::lag) said last.
    fn is_unreachable(&self) -> bool {
        false
    }
}
