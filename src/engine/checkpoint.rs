//! All of a task's durable knowledge: where it stands, what its sink has, what has to be asserted
//! once more, what was being sent.
//!
//! Guarantee (G3): a commit is one atomic batch. What was acknowledged since the last one is not in
//! it, so that it never says more than the sink did.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use foldhash::fast::RandomState;

pub use super::prepared::{Prepared, Prepares, Sealed};
pub use super::stored::StoreCheckpoint;
pub use super::witness::Witness;
use crate::event::{ChangeId, Record, Subject};
use crate::sink::Pieces;
use crate::store::ids::Noted;
use crate::store::{Cursor, Register, StoreError};
use crate::time::Millis;

/// Whether a subject's newest state has to be asserted once more.
#[derive(Debug, Clone)]
pub enum Reasserts {
    /// It has, by reading Reltio.
    ByRead,
    /// It has, by this record: Reltio cannot be read.
    By(Box<Record>),
    /// It has not, any more.
    Settled,
}

/// What becomes durable together.
#[derive(Debug, Clone, Default)]
pub struct CommitBatch {
    /// New registers.
    pub registers: Vec<(Subject, Register)>,
    /// Changes that a sink without unique keys has.
    pub ids: Vec<(ChangeId, Noted)>,
    /// Subjects that have to be asserted once more, or not any more.
    pub reassertions: Vec<(Subject, Reasserts)>,
    /// Subjects that are something else from a time on, ms, by their start or end dates.
    pub dates: Vec<(Subject, Millis)>,
    /// Offsets whose notes are not needed any more.
    pub forgotten: Vec<u64>,
    /// Names of dead letters that are closed, as in [`Register::letters`].
    pub closed: Vec<String>,
    /// Where the task stands.
    pub cursor: Cursor,
    /// A record below its position, where there is a newer one than before.
    pub witness: Option<Witness>,
    /// The piece that holds the rows, at a sink that takes them so.
    pub piece: Option<Sealed>,
}

/// What is known when a partition is taken up.
#[derive(Debug, Default)]
pub struct Opened {
    /// Where the group stands, if it was here before.
    pub cursor: Option<Cursor>,
    /// A record below its position.
    pub witness: Option<Witness>,
    /// Where it went on after records that had left the log.
    pub gap: Option<u64>,
    /// What was being sent, by offset, and how often as a suspect.
    pub notes: BTreeMap<u64, u32>,
    /// What has to be asserted once more.
    pub reassertions: Vec<Waiting>,
}

/// A subject that has to be asserted once more.
#[derive(Debug)]
pub struct Waiting {
    /// Who.
    pub subject: Subject,
    /// What the sink has of it.
    pub register: Option<Register>,
    /// The record that asserts it, where Reltio cannot be read.
    pub record: Option<Record>,
}

/// What is to be looked up, each once.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Subjects, sorted.
    pub subjects: Vec<Subject>,
    /// Changes of a sink without unique keys, sorted.
    pub changes: Vec<ChangeId>,
    /// Subjects that have to be asserted once more.
    pub reasserted: Vec<Subject>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Known {
    /// What the sink has of the subjects.
    pub registers: HashMap<Subject, Register, RandomState>,
    /// The changes that it has.
    pub changes: HashMap<ChangeId, Noted>,
    /// The records that assert the subjects once more, as in [`Waiting::record`].
    pub reasserted: HashMap<Subject, Record, RandomState>,
}

/// Why a commit was not made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// It may be made later.
    #[error("{0}")]
    Retry(#[from] StoreError),
    /// The partition is another's by now: what is in flight is dropped, and nothing of it is
    /// committed.
    #[error("the partition was taken over before the commit: {0}")]
    Fenced(String),
}

/// Why a partition could not be taken over.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TakeoverError {
    /// What is kept here cannot be read or written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// It is another's meanwhile.
    #[error("{0}")]
    Fenced(String),
    /// Not before a person acts: one sentence with the remedy.
    #[error("{0}")]
    Halted(String),
}

/// Where the durable knowledge of one task is kept. With the journal it is the store; with Kafka a
/// changelog and a transaction.
#[async_trait]
pub trait Checkpoint: Debug + Send + Sync {
    /// Brings what is kept here up to what was committed anywhere; before [`Self::open`]. May take
    /// long, and may be dropped.
    ///
    /// # Errors
    /// If it is another's partition meanwhile, or cannot be read before a person acts.
    async fn take_over(&self) -> Result<(), TakeoverError> {
        Ok(())
    }

    /// What is known of the partition. Blocks on the disk.
    ///
    /// # Errors
    /// If what is kept cannot be read.
    fn open(&self) -> Result<Opened, StoreError>;

    /// What is kept of these; a disk that fails for a while is waited for.
    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError>;

    /// Makes the batch durable, all of it or nothing.
    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError>;

    /// Notes durably that the records at these offsets are about to be sent, and how often each was
    /// in flight as a suspect when the process died.
    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError>;

    /// Forgets, durably, that they were about to be sent.
    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError>;

    /// Marks the group as gapped: it goes on at `start`.
    async fn mark_gap(&self, start: u64) -> Result<(), StoreError>;

    /// Removes what has expired, by its keys in the store, all or nothing.
    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError>;

    /// Keeps a value of something that follows the task, by its key in the store; refused where the
    /// partition is another's by now.
    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError>;

    /// What gathers the rows of this partition, where commits wait for its pieces.
    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        None
    }

    /// The same, able to prepare a commit; nothing where that is not kept.
    fn prepares(self: Arc<Self>) -> Option<Arc<dyn Prepares>> {
        None
    }
}
