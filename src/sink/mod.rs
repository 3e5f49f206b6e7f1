//! Sinks: what keeps one outside system in step.
//!
//! Guarantee (G7): one outcome for each write, never one for a batch. Writing the same thing twice
//! leaves the target as writing it once, so the engine may always try again.

pub mod append;
pub mod batch;
pub mod cache;
mod columns;
mod directory;
pub mod file;
pub mod kafka;
#[cfg(feature = "lake")]
pub mod lake;
mod line;
mod partial;
pub mod pieces;
pub mod power_bi_rows;
pub mod preview;
pub mod registry;
mod row;
pub mod salesforce;
pub mod snowflake;
pub mod warehouse;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytestring::ByteString;

pub use pieces::{Pieces, Place};
pub use registry::{OnFull, SinkConfig};

use crate::event::{Kind, Record, Subject, SubjectState};
use crate::http::Failure;
pub use crate::serving::Serving;
use crate::time::Millis;

/// What a sink keeps of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The newest state only: the fence decides what is delivered.
    Latest,
    /// A row for every distinct change, and a current table that carries the version guard.
    History,
}

/// What a sink can do, and how it wants its batches. The engine's rules follow from it.
#[derive(Debug, Clone, Copy)]
pub struct Capabilities {
    /// What it keeps.
    pub mode: Mode,
    /// After an ambiguous outcome, and after a write that asks for it, the subject's newest state
    /// is asserted once more when this has passed: the target's longest request plus the longest
    /// pause. `None`: the target itself refuses late writes (guard `version`), so nothing needs to
    /// be repeated.
    pub reassert_after: Option<Duration>,
    /// The target appends, and has neither unique keys nor a current table: it gets rows alone
    /// ([`Write::changes`], never a state), and what it has is remembered here for so long from
    /// its receipt on. `None`: its own keys make copies one row.
    pub dedupe: Option<Duration>,
    /// What it makes of what lives depends on the time: on start and end dates
    /// ([`Object::activity`](crate::event::Object::activity)). When one of them passes, the subject
    /// is asserted once more, by a read of Reltio.
    pub dated: bool,
    /// A write is several requests: one that fails may have made some of them.
    pub in_steps: bool,
    /// Writes in a batch at most.
    pub rows: usize,
    /// Bytes of payload in a batch at most, save for its first write.
    pub bytes: usize,
    /// Batches of one task that are written at the same time at most.
    pub batches: usize,
    /// How long the first write of a batch waits for company.
    pub linger: Duration,
}

impl Capabilities {
    /// A sink of this mode that takes one write at a time, many at once, and whose target refuses
    /// late writes.
    pub fn new(mode: Mode) -> Self {
        Self {
            mode,
            reassert_after: None,
            dedupe: None,
            dated: false,
            in_steps: false,
            rows: 1,
            bytes: 8 << 20,
            batches: 100_000,
            linger: Duration::ZERO,
        }
    }
}

/// What is to be made true of one subject. One write of a subject is under way at a time.
#[derive(Debug, Clone)]
pub struct Write {
    /// Who.
    pub subject: Subject,
    /// Short name of the type, `Individual`; empty if nothing told.
    pub object_type: ByteString,
    /// What the subject is now. `None`: nothing newer than what the sink has; only `changes`.
    pub current: Option<Current>,
    /// Distinct changes to keep as rows, for [`Mode::History`]; empty for [`Mode::Latest`].
    pub changes: Vec<Change>,
    /// The newest time known of the subject: look-ups wait until `settle` after it.
    pub newest: Millis,
    /// Target records that a reconcile names.
    pub targets: Vec<String>,
    /// How often that reconcile was passed on.
    pub hops: u32,
    /// The newest record that it comes of; none where a state is asserted once more.
    pub record: Option<Record>,
}

/// The newest state of a subject.
#[derive(Debug, Clone)]
pub struct Current {
    /// What it is.
    pub state: SubjectState,
    /// The time the content stands for, the guard's value: a payload's commit time, a read's
    /// `Date`. Grows through restarts and restores.
    pub content_time: Millis,
    /// Clocks of the record that brought it, where one did.
    pub version: Option<i64>,
    /// Members of the object that are known. `None`: all.
    pub fields: Option<Vec<String>>,
    /// A record says that it was erased, whatever it is now: content of an earlier life that
    /// no one owns any more has to go.
    pub erased: bool,
}

/// One change, to be kept as a row. Unique by tenant, subject, version and commit time (G5).
#[derive(Debug, Clone)]
pub struct Change {
    /// Identity of the event.
    pub id: ByteString,
    /// What happened.
    pub kind: Kind,
    /// Reltio's version.
    pub version: i64,
    /// Reltio's commit time.
    pub commit_time: Millis,
    /// When goldwire received it.
    pub received_time: Millis,
    /// The subject after the change, or as it was read.
    pub state: SubjectState,
    /// Read from Reltio afterwards; gives way to a payload with the same clocks.
    pub observed: bool,
}

/// What a delivery came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The target was written, or already was as it should be.
    Delivered,
    /// The target holds something newer and refused by its guard.
    Stale,
}

/// A delivery that succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// What it came to.
    pub effect: Effect,
    /// The same state is to be asserted once more after [`Capabilities::reassert_after`].
    pub second_look: bool,
    /// The sink read Reltio itself, and delivered an answer of this date instead: what it may have
    /// seen already is asked again, as after any other read.
    pub read: Option<Millis>,
}

/// Why a delivery did not succeed. Holds codes and field names, never a value of a record (G10).
#[derive(Debug, Clone, thiserror::Error)]
pub enum SinkError {
    /// May succeed when tried again.
    #[error("{code}: will be tried again")]
    Retryable {
        /// The target's code, or ours.
        code: String,
        /// The write may have happened, or may happen later.
        ambiguous: bool,
        /// Counts against the target (breaker), not only against the record.
        outage: bool,
    },
    /// The target asks for a pause; spends no record's budget.
    #[error("{code}: the sink pauses for {pause:?}")]
    Throttled {
        /// The target's code.
        code: String,
        /// How long.
        pause: Duration,
    },
    /// The record will not be accepted as it is: to dead letters.
    #[error("{code} on {fields:?}: rejected while doing {action}")]
    Rejected {
        /// The target's code.
        code: String,
        /// Target fields it is about, or ids of records of the target.
        fields: Vec<String>,
        /// What was being done: upsert, archive, append.
        action: &'static str,
    },
    /// No record would be accepted: the sink halts with this sentence.
    #[error("{code}: {remedy}")]
    Systemic {
        /// The target's code.
        code: String,
        /// What a person must do.
        remedy: String,
    },
}

impl From<Failure> for SinkError {
    fn from(failure: Failure) -> Self {
        let retried = |code, ambiguous| Self::Retryable {
            code,
            ambiguous,
            outage: true,
        };
        match failure {
            Failure::Throttled(pause) => Self::Throttled {
                code: "http 429".to_owned(),
                pause,
            },
            Failure::Unreachable(code) => retried(code, false),
            Failure::Unknown(code) => retried(code, true),
            Failure::Refused { code, remedy } => Self::Systemic {
                code,
                remedy: remedy.to_owned(),
            },
        }
    }
}

/// The code of a rejection where the target has another record that it takes for the same. It says
/// of the record what it is, and nothing of how the sink is set up.
pub const DUPLICATE: &str = "DUPLICATES_DETECTED";

impl SinkError {
    /// The target's code, or ours.
    pub fn code(&self) -> &str {
        match self {
            Self::Retryable { code, .. }
            | Self::Throttled { code, .. }
            | Self::Rejected { code, .. }
            | Self::Systemic { code, .. } => code,
        }
    }

    /// Whether it says only that the target is not there now: nothing was, or will be, done.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Retryable {
                ambiguous: false,
                outage: true,
                ..
            }
        )
    }
}

/// How long a write may go without any answer before its target counts as silent.
pub const SILENCE: Duration = Duration::from_secs(8);

/// One outside system.
#[async_trait]
pub trait Sink: Debug + Send + Sync {
    /// The sink's name in the configuration.
    fn name(&self) -> &str;

    /// Where it writes to, for a person: host and port, or a path. Never a secret or a user's name.
    fn target(&self) -> String {
        String::new()
    }

    /// What its client complained of since the last answer, where it tries on by itself meanwhile.
    fn complaint(&self) -> Option<String> {
        None
    }

    /// [`SILENCE`]; longer where a write waits for more than its target.
    fn silence(&self) -> Duration {
        SILENCE
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it wants records of this kind and type (`object_type` is empty if unknown). Pure,
    /// and only about the head. Erasures are delivered whatever this says.
    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool;

    /// What gathers the rows of a partition, at a target that takes them a piece at a time: nothing is
    /// [written](Self::write) there. `None`: a write is durable when it is answered.
    fn pieces(&self, _place: &Place) -> Option<Arc<dyn Pieces>> {
        None
    }

    /// Makes all of it true, and answers each write, in the same order (G7). At most one write of a
    /// subject is under way.
    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>>;

    /// Writes one by itself.
    async fn write_one(&self, write: &Write) -> Result<Ack, SinkError> {
        let answers = self.write(std::slice::from_ref(write)).await;
        answers.into_iter().next().unwrap_or(Err(UNANSWERED))
    }

    /// Takes the port of what others ask of it, and answers there from now on; nothing for a sink
    /// that only writes. Called once, before its first write, where an instance runs.
    ///
    /// # Errors
    /// A sentence that names the sink. The instance does not start.
    async fn serve(&self) -> Result<Option<Serving>, String> {
        Ok(None)
    }

    /// The sink has everything that was in this instance's sources and in the log at `time`. Told
    /// about every second while that grows.
    fn caught_up(&self, _time: Millis) {}

    /// Asks the real system whether it is as the configuration says: table rights, fields, unique
    /// external id. One sentence per problem, with its remedy; empty when all is well.
    async fn probe(&self) -> Vec<String>;
}

/// What a write counts as that a sink did not answer, which none should do.
pub(crate) const UNANSWERED: SinkError = SinkError::Retryable {
    code: String::new(),
    ambiguous: true,
    outage: true,
};

/// The answers of `one` for each write of a batch, all at the same time.
pub async fn each<'a, F>(
    batch: &'a [Write],
    one: impl Fn(&'a Write) -> F,
) -> Vec<Result<Ack, SinkError>>
where
    F: Future<Output = Result<Ack, SinkError>>,
{
    futures::future::join_all(batch.iter().map(one)).await
}

/// How a sink tells another entity's lane to look at target records.
#[async_trait]
pub trait Tell: Debug + Send + Sync {
    /// Appends a reconcile record for `subject`, addressed to the telling sink. Durable when this
    /// returns.
    async fn tell(&self, subject: &Subject, hops: u32, targets: &[String])
    -> Result<(), SinkError>;
}
