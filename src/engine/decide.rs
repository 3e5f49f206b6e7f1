//! What a lane does next: pure.
//!
//! Guarantee (G2, G4): what is written is what the fence let through, the newest of what waits; the
//! older ones have their outcome with it, and not before.

use super::early;
use super::fence::Freshness;
use super::lane::{self, ClockRules, Lane, Pending};
use super::outcome::Outcome;
use super::work::{Purpose, Work};
use crate::event::{Kind, Record, State, Subject};
use crate::sink::Mode;
use crate::store::Register;

/// Records of one write at most.
const RECORDS: usize = 500;

/// What a sink and its surroundings make of a lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) clocks: ClockRules,
    pub(crate) mode: Mode,
    /// The sink has no unique keys: ids are kept here.
    pub(crate) keeps_ids: bool,
    /// Reltio can be read.
    pub(crate) has_api: bool,
}

/// What a lane does next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing is queued.
    Rest,
    /// The head has its outcome.
    Complete(Pending, Outcome),
    /// The head has its outcome, and the register keeps something of it.
    Keep(Pending, Outcome, Register),
    /// Write this.
    Write(Work),
    /// Reltio has to be read.
    Ask,
    /// The head is dead-lettered without a send: reason and code.
    Refuse(Pending, &'static str, &'static str),
}

/// What the head of a queue means.
enum Meaning {
    Apply(Outcome),
    Ask,
    /// It has its outcome without a state: the sink has it, or something newer.
    Known(Outcome),
    /// The same, and a history sink keeps its row.
    Row,
    /// It tells that a dead subject lives, and counts once the creation that it follows is known.
    Early,
}

impl Lane {
    /// What comes next. What it takes is gone from the queue.
    pub(crate) fn next(&mut self, subject: &Subject, rules: &Rules) -> Step {
        let Some(head) = self.queue.front() else {
            return Step::Rest;
        };
        if head.blame.kills() {
            return self.refuse("kills_the_process", "unclean_stops");
        }
        if rules.keeps_ids {
            return self.next_rows(subject);
        }
        let mut work = Work::new(subject, Purpose::Rows);
        let mut register = None;
        while let Some(head) = self.queue.front() {
            let before = register.as_ref().or(self.register.as_ref());
            let forgotten = early::forgotten(before, &head.record);
            let meaning = self.meaning(before, &head.record, rules);
            let first = work.records.is_empty();
            let outcome = match meaning {
                Meaning::Ask if first => return Step::Ask,
                Meaning::Ask => break,
                Meaning::Known(outcome) if first => {
                    return match forgotten {
                        Some(after) => self.keep(outcome, after),
                        None => self.complete(outcome),
                    };
                }
                Meaning::Known(outcome) => {
                    register = forgotten.or(register);
                    outcome
                }
                Meaning::Row if lane::change(head).is_none() => {
                    if first {
                        return self.refuse("unreadable", "no_object");
                    }
                    break;
                }
                Meaning::Row => {
                    register = forgotten.or(register);
                    Outcome::Row
                }
                Meaning::Early => {
                    let after = early::kept(before, &head.record);
                    if rules.mode == Mode::Latest && first {
                        return self.keep(Outcome::Stale, after);
                    }
                    register = Some(after);
                    match rules.mode {
                        Mode::Latest => Outcome::Stale,
                        Mode::History => Outcome::Row,
                    }
                }
                Meaning::Apply(outcome) => {
                    let Some(state) = head.state().cloned() else {
                        if first {
                            return self.refuse("unreadable", "no_object");
                        }
                        break;
                    };
                    if !replaces(&work, &head.record) {
                        break;
                    }
                    let state = lane::knowing(before, state);
                    let (after, mut current);
                    let early;
                    (after, current, early) =
                        early::applied(before, &head.record, state, rules.clocks);
                    work.early = early.map(Box::new);
                    current.erased |= work.current.as_ref().is_some_and(|it| it.erased);
                    work.current = Some(current);
                    work.purpose = Purpose::Apply;
                    register = Some(after);
                    outcome
                }
            };
            self.take(&mut work, outcome);
            if self.alone || work.records.len() >= RECORDS {
                break;
            }
        }
        work.after = register;
        Step::Write(work)
    }

    /// Rows alone, at a sink that only appends.
    fn next_rows(&mut self, subject: &Subject) -> Step {
        let mut work = Work::new(subject, Purpose::Rows);
        while let Some(head) = self.queue.front() {
            let first = work.records.is_empty();
            let of_this = |row| {
                work.records
                    .iter()
                    .any(|it| it.row.is_some_and(|it| it.is_same(row)))
            };
            match head.row {
                Some(row) if row.is_there(head.record.read_time().is_some()) && first => {
                    return self.complete(Outcome::Duplicate);
                }
                // A copy of what is being written waits for what becomes of it.
                Some(row) if of_this(row) => break,
                Some(row) if row.is_there(head.record.read_time().is_some()) => {
                    self.take(&mut work, Outcome::Duplicate);
                }
                Some(_) if lane::change(head).is_none() => {
                    if first {
                        return self.refuse("unreadable", "no_object");
                    }
                    break;
                }
                Some(_) => self.take(&mut work, Outcome::Row),
                None if !first => break,
                // What has to be erased is told to a person at least.
                None if head.record.kind() == Kind::Erased && !head.record.asks() => {
                    return self.refuse("unreadable", "no_clocks");
                }
                None => return self.complete(Outcome::NoRow),
            }
            if self.alone || work.records.len() >= RECORDS {
                break;
            }
        }
        if work.records.is_empty() {
            return Step::Rest;
        }
        Step::Write(work)
    }

    fn meaning(&self, register: Option<&Register>, record: &Record, rules: &Rules) -> Meaning {
        let fenced = Self::compare(register, record, rules.clocks);
        let in_doubt = match fenced {
            Freshness::Ask | Freshness::StaleInPart => true,
            Freshness::Apply => self.may_lose_fields(record),
            Freshness::Duplicate | Freshness::Stale => false,
        };
        if in_doubt && rules.has_api {
            return Meaning::Ask;
        }
        let known = |outcome| match (rules.mode, outcome) {
            (Mode::History, Outcome::Duplicate) if !is_repeat(register, record) => Meaning::Row,
            (Mode::History, Outcome::Stale) => Meaning::Row,
            (Mode::Latest | Mode::History, outcome) => Meaning::Known(outcome),
        };
        match fenced {
            Freshness::Apply => Meaning::Apply(Outcome::Delivered),
            Freshness::Ask if early::is_early(register, record) => Meaning::Early,
            Freshness::Ask if is_newer_by_time(register, record) => {
                Meaning::Apply(Outcome::ByArrival)
            }
            Freshness::Duplicate => known(Outcome::Duplicate),
            Freshness::Ask | Freshness::Stale | Freshness::StaleInPart => known(Outcome::Stale),
        }
    }

    fn take(&mut self, work: &mut Work, outcome: Outcome) {
        if work.records.is_empty() && self.queue.len() == 1 {
            // Nearly all of them: one record, which does not move.
            std::mem::swap(&mut work.records, &mut self.queue);
            work.records.iter_mut().for_each(|it| it.outcome = outcome);
            return;
        }
        if let Some(mut pending) = self.queue.pop_front() {
            pending.outcome = outcome;
            work.records.push_back(pending);
        }
    }

    fn complete(&mut self, outcome: Outcome) -> Step {
        match self.queue.pop_front() {
            Some(head) => Step::Complete(head, outcome),
            None => Step::Rest,
        }
    }

    fn keep(&mut self, outcome: Outcome, register: Register) -> Step {
        match self.queue.pop_front() {
            Some(head) => Step::Keep(head, outcome, register),
            None => Step::Rest,
        }
    }

    fn refuse(&mut self, reason: &'static str, code: &'static str) -> Step {
        match self.queue.pop_front() {
            Some(head) => Step::Refuse(head, reason, code),
            None => Step::Rest,
        }
    }
}

/// Whether nothing is lost of what `work` brings if `record` is written in its place.
fn replaces(work: &Work, record: &Record) -> bool {
    let applied = work.records.iter();
    let mut applied =
        applied.filter(|it| matches!(it.outcome, Outcome::Delivered | Outcome::ByArrival));
    applied.all(|it| record.holds().replaces(it.record.holds()))
}

/// Whether a history sink has the row of a record whose clocks it knows.
fn is_repeat(register: Option<&Register>, record: &Record) -> bool {
    let has_payload = register.is_some_and(|register| !register.observed);
    record.read_time().is_some() || has_payload
}

/// Without Reltio's API what is in doubt is decided by time: its commit time, else its arrival,
/// compared with the newest known. What is dead lives again only by a creation or a split.
fn is_newer_by_time(register: Option<&Register>, record: &Record) -> bool {
    let Some(register) = register else {
        return true;
    };
    let revives = register.death().is_some() && record.state() == State::Alive;
    record.known_time() >= register.newest && (!revives || early::is_born(record))
}
