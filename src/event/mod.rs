//! What a record says, free of where it came from: the words of the whole program.
//!
//! An event is a hint that a subject changed; its newest snapshot is the truth. Nothing here reads
//! a clock, a file or a socket.

mod activity;
pub(crate) mod attributes;
mod completeness;
pub(crate) mod depth;
mod filter;
mod holds;
mod identity;
pub(crate) mod json;
pub(crate) mod members;
mod object;
mod parts;
mod received;
mod record;
pub(crate) mod shown;
mod subject;
pub(crate) mod vocabulary;
mod wire;

/// The messages of `proto/goldwire/v1`.
#[allow(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated; the schema is where it is documented"
)]
pub mod proto {
    include!("../../proto/goldwire/v1/messages.rs");
}

pub use activity::Activity;
pub(crate) use activity::date as moment;
pub use completeness::CompletenessConfig;
pub use filter::Filter;
pub use holds::Holds;
pub use identity::{ChangeId, EventId, event_id};
pub use json::{JsonError, MAX_LEVELS, tree};
pub use object::{Crosswalk, Object, ObjectError, short_name};
pub use proto::{Completeness, Content, EventRecord, Kind, Origin, SourceRecord, State};
pub use received::{Header, Headers, Packer, Received, Values};
pub use record::{Record, RecordError};
pub use subject::{Life, Subject, SubjectState};

use crate::time::Millis;

/// How far Reltio's clock may be ahead of ours, ms.
pub(crate) const LONGEST_AHEAD: Millis = 300_000;

/// Reltio's two clocks of one object. Neither alone survives re-creation, restore and skew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Clocks {
    /// `objectVersion`: grows with every change of the object; restarts after a re-creation.
    pub version: Option<i64>,
    /// `commitTime` in ms: skewed between Reltio's nodes.
    pub commit_time: Option<Millis>,
}

impl Clocks {
    /// Both clocks, if both are there.
    pub fn both(self) -> Option<(i64, Millis)> {
        self.version.zip(self.commit_time)
    }

    /// Whether both are there, and higher than both of `others`.
    pub fn are_newer(self, others: Self) -> bool {
        let (own, other) = (self.both(), others.both());
        let both = own.zip(other);
        both.is_some_and(|((version, time), (than, before))| version > than && time > before)
    }
}

impl Kind {
    /// The kind in a word, as analysts read it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Erased => "erased",
            Self::Merged => "merged",
            Self::Absorbed => "absorbed",
            Self::Split => "split",
            Self::Spawned => "spawned",
        }
    }
}

impl EventRecord {
    /// Who the record is about.
    pub fn subject_key(&self) -> Subject {
        Subject::new(&self.tenant, &self.subject)
    }

    /// Whether the subject is a relation.
    pub fn is_relation(&self) -> bool {
        self.subject.starts_with("relations/")
    }

    /// The clocks the record carries.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            version: self.version,
            commit_time: self.commit_time,
        }
    }

    /// The newest time known of the change: its commit time, else its arrival. One far ahead of the
    /// arrival is a broken clock: as the value of a target's guard it could not be lowered again.
    pub fn known_time(&self) -> Millis {
        let latest = self.received_time.saturating_add(LONGEST_AHEAD);
        self.commit_time.unwrap_or(self.received_time).min(latest)
    }

    /// What the subject is according to this record; nothing if the record cannot say, or if its
    /// payload is not the object that it claims to be.
    pub fn subject_state(&self) -> Option<SubjectState> {
        match self.state() {
            State::Unknown => None,
            State::Alive => Object::of(self)
                .ok()
                .map(|object| SubjectState::Alive(object.into())),
            State::Absorbed => Some(SubjectState::Absorbed {
                by: self.absorbed_by.clone(),
            }),
            State::Removed => Some(SubjectState::Removed),
            State::Erased => Some(SubjectState::Erased),
            State::Gone => Some(SubjectState::Gone),
        }
    }
}
