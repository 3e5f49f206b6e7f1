//! One write of one subject, from the decision to make it until its records have their outcome.

use std::collections::VecDeque;

use bytestring::ByteString;
use tokio::time::Instant;

use super::isolation::Blame;
use super::lane::{self, Pending};
use super::outcome::Outcome;
use super::read_budget::Answered;
use crate::event::{Record, Subject, SubjectState};
use crate::sink::{Current, Write};
use crate::store::Register;
use crate::time::Millis;

/// Stands where a record has no offset of its own: a state that is asserted once more.
pub(crate) const NO_OFFSET: u64 = u64::MAX;

/// Why a write is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The fence said apply.
    Apply,
    /// Only rows of a history sink.
    Rows,
    /// Reltio was read.
    Answer,
    /// The same once more, since something may have landed late.
    Reassert,
}

/// Why a write is given up: what a dead letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Class: `rejected`, `exhausted`, …
    pub(crate) reason: &'static str,
    /// The sink's code.
    pub(crate) code: String,
    /// Target fields it is about.
    pub(crate) fields: Vec<String>,
    /// What the sink was doing.
    pub(crate) action: String,
}

impl Refusal {
    /// A refusal that ends a record without a send.
    pub(crate) fn without_send(reason: &'static str, code: &str, action: &str) -> Self {
        Self {
            reason,
            code: code.to_owned(),
            fields: Vec::new(),
            action: action.to_owned(),
        }
    }
}

/// The attempts at a write so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tries {
    /// Those that count against the budget.
    pub(crate) attempts: u32,
    /// Waits between attempts, counted or not.
    pub(crate) waits: u32,
    /// How often a batch with it failed as a whole: it goes in smaller company.
    pub(crate) splits: u32,
    /// An attempt ended without an answer: what it wrote may still land.
    pub(crate) ambiguous: bool,
    /// When the first one began, ms; 0 before.
    pub(crate) first_time: Millis,
    /// When the last one began, ms.
    pub(crate) last_time: Millis,
    /// The same, by a clock that cannot be set.
    pub(crate) began: Option<Instant>,
    /// The sink's code of the last failure.
    pub(crate) code: String,
}

impl Tries {
    /// An attempt begins.
    pub(crate) fn begin(&mut self, now: Millis, began: Instant) {
        if self.first_time == 0 {
            self.first_time = now;
        }
        self.last_time = now;
        self.began = Some(began);
    }
}

/// One write of one subject.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) subject: Subject,
    pub(crate) purpose: Purpose,
    /// The records that have their outcome with it, in the log's order.
    pub(crate) records: VecDeque<Pending>,
    pub(crate) current: Option<Current>,
    /// What `current` is of, if not of one of the records: it came before the creation that it
    /// follows.
    pub(crate) early: Option<Box<Record>>,
    /// The register, once the sink acknowledged.
    pub(crate) after: Option<Register>,
    pub(crate) tries: Tries,
    /// Room for what Reltio answered, held until the end.
    pub(crate) room: Option<Answered>,
}

impl Work {
    pub(crate) fn new(subject: &Subject, purpose: Purpose) -> Self {
        Self {
            subject: subject.clone(),
            purpose,
            records: VecDeque::new(),
            current: None,
            early: None,
            after: None,
            tries: Tries::default(),
            room: None,
        }
    }

    /// The heaviest blame of its records.
    pub(crate) fn blame(&self) -> Blame {
        let of = self.records.iter().map(|pending| pending.blame);
        of.max().unwrap_or_default()
    }

    /// About how many bytes of payload it sends.
    pub(crate) fn bytes(&self) -> usize {
        let answered = match (&self.current, self.purpose) {
            (Some(current), Purpose::Answer | Purpose::Reassert) => match &current.state {
                SubjectState::Alive(object) => object.weight(),
                SubjectState::Absorbed { .. }
                | SubjectState::Removed
                | SubjectState::Erased
                | SubjectState::Gone => 0,
            },
            _ => 0,
        };
        let records = self.records.iter();
        answered + records.map(Pending::size).sum::<usize>()
    }

    /// What the sink is asked to make true. `history`: with a row for each change.
    pub(crate) fn to_write(&self, history: bool) -> Write {
        let is_row =
            |pending: &&Pending| !matches!(pending.outcome, Outcome::Duplicate | Outcome::Stale);
        let changes = if history && self.purpose != Purpose::Reassert {
            let rows = self.records.iter().filter(is_row).filter_map(lane::change);
            // The row is there already, and brings the clocks of the current state.
            let early = self.early.clone();
            let early = early.map(|record| Pending::of(NO_OFFSET, *record));
            let early = early.as_ref().and_then(lane::change);
            rows.chain(early).collect()
        } else {
            Vec::new()
        };
        let known = self.records.iter().map(|it| it.record.known_time()).max();
        let newest = self.after.as_ref().map_or(0, |after| after.newest);
        let hops = self.records.iter().map(|it| it.record.hops()).max();
        Write {
            subject: self.subject.clone(),
            object_type: self.object_type(),
            current: self.current.clone(),
            changes,
            newest: newest.max(known.unwrap_or_default()),
            targets: self.targets(),
            hops: hops.unwrap_or_default(),
            record: self.newest().cloned(),
        }
    }

    /// The record that brought the current state, else the last.
    pub(crate) fn newest(&self) -> Option<&Record> {
        let applied =
            |pending: &&Pending| matches!(pending.outcome, Outcome::Delivered | Outcome::ByArrival);
        let newest = self.records.iter().rev().find(applied);
        let newest = newest.or_else(|| self.records.back());
        let newest = newest.map(|pending| &pending.record);
        self.early.as_deref().or(newest)
    }

    fn targets(&self) -> Vec<String> {
        let told = self.records.iter().filter(|it| it.record.has_targets());
        let mut targets: Vec<String> = told.flat_map(|it| it.record.targets()).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    fn object_type(&self) -> ByteString {
        let mut records = self.records.iter().rev().map(|it| &it.record);
        let told = records.find(|record| !record.object_type().is_empty());
        let told = told.map(|record| record.shared(record.object_type()));
        if matches!(self.purpose, Purpose::Apply | Purpose::Rows)
            && let Some(told) = told
        {
            return told;
        }
        if let Some(SubjectState::Alive(object)) = self.current.as_ref().map(|it| &it.state)
            && let Some(of_object) = object.object_type()
        {
            return of_object.into();
        }
        told.unwrap_or_default()
    }
}
