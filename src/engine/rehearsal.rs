//! What a record would mean to a sink that has nothing of its subject: what `goldwire map` prints.
//!
//! Guarantee: the lane, the fence and the making of a write are the task's own; nothing is read,
//! written or kept.

use super::decide::{Rules, Step};
use super::fence::Freshness;
use super::lane::{ClockRules, Lane, Pending};
use super::outcome::Outcome;
use super::rows::Row;
use crate::event::{Record, Subject};
use crate::sink::{Mode, Write};

/// What a record means.
#[derive(Debug)]
pub struct Rehearsal {
    /// What the fence says.
    pub fence: Freshness,
    /// What follows.
    pub next: Next,
}

/// What a sink does with a record.
#[derive(Debug)]
pub enum Next {
    /// It is written.
    Write(Box<Write>),
    /// Reltio is read, and its answer written.
    Ask,
    /// It is a dead letter: reason and code.
    Refuse(&'static str, &'static str),
    /// Nothing is written.
    Nothing(Outcome),
}

/// Rehearses `record` at a sink of this mode; `keeps_ids` if its target has no unique keys.
pub fn rehearse(
    record: Record,
    clocks: ClockRules,
    (mode, keeps_ids): (Mode, bool),
    has_api: bool,
) -> Rehearsal {
    let rules = Rules {
        clocks,
        mode,
        keeps_ids,
        has_api,
    };
    let subject = Subject::new(record.tenant(), record.subject());
    let fence = Lane::compare(None, &record, clocks);
    let row = Row::unknown(&record).filter(|_| keeps_ids);
    let mut lane = Lane::default();
    lane.queue.push_back(Pending {
        row,
        ..Pending::new(0, record)
    });
    let next = match lane.next(&subject, &rules) {
        Step::Write(work) => Next::Write(Box::new(work.to_write(mode == Mode::History))),
        Step::Ask => Next::Ask,
        Step::Refuse(_, reason, code) => Next::Refuse(reason, code),
        Step::Complete(_, outcome) | Step::Keep(_, outcome, _) => Next::Nothing(outcome),
        Step::Rest => Next::Nothing(Outcome::NoRow),
    };
    Rehearsal { fence, next }
}
