//! A lane: everything under way for one subject at one sink. One thing at a time.
//!
//! Guarantee (G4): a lane's register moves only as the fence and the rules for reads say. The
//! functions here are pure; the task does the waiting, reading and delivering, and a test that
//! drives them has the rules that the task has.

use std::collections::VecDeque;
use std::sync::OnceLock;

use super::fence::{Freshness, Told, fence};
use super::isolation::Blame;
use super::outcome::Outcome;
use super::reassertion::Reassertion;
use super::rows::Row;
use crate::event::{Holds, Life, Record, State, SubjectState};
use crate::mutation::{self, Mutation};
use crate::sink::{Change, Current};
use crate::store::Register;
use crate::time::Millis;

/// The clock rules of one tenant, ms.
#[derive(Debug, Clone, Copy)]
pub struct ClockRules {
    /// A read this long after a change is sure to see it.
    pub settle: Millis,
    /// How far apart the clocks of Reltio's nodes may be.
    pub skew: Millis,
    /// Added to an answer's `Date`: skew, plus the second that the header rounds away.
    pub margin: Millis,
}

impl ClockRules {
    /// The rules that follow from `settle` and `skew`.
    pub fn new(settle: Millis, skew: Millis) -> Self {
        Self {
            settle,
            skew,
            margin: skew.saturating_add(1000),
        }
    }
}

/// A record on its lane.
#[derive(Debug, Clone)]
pub struct Pending {
    pub(crate) offset: u64,
    pub(crate) record: Record,
    /// What the record says its subject is: found at most once, when it is asked for.
    pub(crate) state: OnceLock<Option<SubjectState>>,
    /// The row that it becomes, at a sink that keeps ids.
    pub(crate) row: Option<Row>,
    /// What becomes of it with the write that it is part of.
    pub(crate) outcome: Outcome,
    /// Read again after an unclean stop: an earlier send may still land.
    pub(crate) suspect: bool,
    /// How it was found in flight at an unclean stop, if it was.
    pub(crate) blame: Blame,
}

impl Pending {
    /// A record that nothing is known of but its offset.
    pub fn new(offset: u64, record: impl Into<Record>) -> Self {
        Self::of(offset, record.into())
    }

    pub(crate) fn of(offset: u64, record: Record) -> Self {
        Self {
            offset,
            record,
            state: OnceLock::new(),
            row: None,
            outcome: Outcome::Delivered,
            suspect: false,
            blame: Blame::default(),
        }
    }

    /// As [`Record::subject_state`].
    pub(crate) fn state(&self) -> Option<&SubjectState> {
        self.state
            .get_or_init(|| self.record.subject_state())
            .as_ref()
    }

    /// Bytes that it holds.
    pub(crate) fn size(&self) -> usize {
        self.record.bytes().len()
    }
}

/// Everything under way for one subject.
#[derive(Debug, Default)]
pub struct Lane {
    /// Records that wait for their turn, in the log's order.
    pub queue: VecDeque<Pending>,
    /// What the sink has of the subject.
    pub register: Option<Register>,
    /// A write or a read of it is under way, or waits for its time.
    pub(crate) busy: bool,
    /// What it writes is what this task read of Reltio.
    pub(crate) answers: bool,
    /// A write of several records was refused: they go one by one.
    pub(crate) alone: bool,
    /// When the head of the queue was first found to need a read.
    pub(crate) asked: Option<Millis>,
    /// What is to be asserted once more, where late writes can land. Few lanes have one.
    pub(crate) reassertion: Option<Box<Reassertion>>,
}

/// Records that one read of Reltio answers.
#[derive(Debug)]
pub struct Asked {
    /// The records, in the log's order.
    pub records: VecDeque<Pending>,
    /// The read is to be made no earlier than this, by Reltio's own clock: see
    /// [`Answer::too_early`](crate::reltio::Answer::too_early).
    pub due: Millis,
}

impl Lane {
    /// The newest time known of the subject.
    pub(crate) fn newest(&self) -> Millis {
        self.register.as_ref().map_or(0, |register| register.newest)
    }

    /// What a record means, compared with what `register` says that the sink has.
    pub fn fence(&self, record: &Record, rules: ClockRules) -> Freshness {
        Self::compare(self.register.as_ref(), record, rules)
    }

    pub(crate) fn compare(
        register: Option<&Register>,
        record: &Record,
        rules: ClockRules,
    ) -> Freshness {
        if record.asks() {
            return Freshness::Ask;
        }
        if record.round() > 0 && mutation::is(Mutation::RedriveUnfenced) {
            return Freshness::Apply;
        }
        let told = Told {
            clocks: record.clocks(),
            holds: record.holds(),
            life: record.life(),
        };
        fence(register, told, rules.skew)
    }

    /// Whether `record` tells only fields, and others may still be written by what lands late: it
    /// could not be asserted once more in the place of all that.
    pub(crate) fn may_lose_fields(&self, record: &Record) -> bool {
        let holds = record.holds();
        let told = self.register.as_ref().map(Register::holds);
        self.reassertion.is_some() && matches!(holds, Holds::Fields(_)) && told != Some(holds)
    }

    /// When Reltio may be read to answer the head of the queue: `settle` after the newest time
    /// known of the subject, and after what the last read may have seen. A lane that asks at `now`
    /// waits no longer for clocks that are wrong: what the read has to see had happened by then.
    pub fn read_at(&mut self, now: Millis, rules: ClockRules) -> Millis {
        // A host's clock that was set back had been wrong when the lane began to ask.
        let asked = self.asked.map_or(now, |asked| asked.min(now));
        self.asked = Some(asked);
        let longest = rules.settle.saturating_add(rules.margin);
        self.settled(rules).min(asked.saturating_add(longest))
    }

    /// Copies of a record that wait behind it are what it is.
    pub(crate) fn spread_blame(&mut self, of: &Pending) {
        let key = |record: &Record| (record.id().to_owned(), record.round());
        let copies = self.queue.iter_mut();
        let copies = copies.filter(|it| key(&it.record) == key(&of.record));
        copies.for_each(|copy| copy.blame = of.blame);
    }

    fn settled(&self, rules: ClockRules) -> Millis {
        if mutation::is(Mutation::ReadTooEarly) {
            return 0;
        }
        let maybe_seen_until = self
            .register
            .as_ref()
            .map_or(0, |register| register.maybe_seen_until);
        let head = self.queue.front();
        head.map_or(0, |pending| pending.record.known_time())
            .max(self.newest())
            .max(maybe_seen_until)
            .saturating_add(rules.settle)
    }

    /// Takes what a read made at `now` answers: everything on the lane that `settle` has passed
    /// for. The head is always among it.
    pub fn take_answered(&mut self, now: Millis, rules: ClockRules) -> Asked {
        let mut due = self.settled(rules);
        let mut records = VecDeque::new();
        while let Some(pending) = self.queue.front() {
            let mut settled = pending.record.known_time().saturating_add(rules.settle);
            if mutation::is(Mutation::ReadTooEarly) {
                settled = 0;
            }
            if settled > now && !records.is_empty() {
                break;
            }
            due = due.max(settled);
            records.extend(self.queue.pop_front());
        }
        self.asked = None;
        Asked { records, due }
    }
}

/// The register after `record` was applied.
pub fn applied(
    register: Option<&Register>,
    record: &Record,
    state: &SubjectState,
    rules: ClockRules,
) -> Register {
    let before = register.cloned().unwrap_or_default();
    let read = record
        .read_time()
        .map_or(0, |read| read.saturating_add(rules.margin));
    let mut after = Register {
        version: record.version(),
        commit_time: record.commit_time(),
        maybe_seen_until: before.maybe_seen_until.max(read),
        state: state.tag().into(),
        absorbed_by: survivor(state),
        // Never below what the target's guard has seen, or it would refuse this as stale.
        content_time: content_time(record).max(before.content_time),
        newest: before.newest.max(record.known_time()),
        observed: record.read_time().is_some(),
        ended: record.life() == Life::Ended,
        ..Register::default()
    };
    after.set_holds(record.holds());
    after
}

/// Up to which time of a change the content of `record` is sure to hold it.
pub(crate) fn covers(record: &Record, rules: ClockRules) -> Millis {
    let read = record.read_time().unwrap_or_default();
    let known = record.known_time().saturating_sub(rules.skew);
    known.max(read.saturating_sub(rules.settle))
}

/// What a subject is that Reltio does not know any more: dead, cause unknown, since nothing tells
/// what else happened before the read. An erasure stands all the same, since only that takes the
/// content out of the sinks.
pub(crate) fn cause_of_death<'r>(
    register: Option<&Register>,
    records: impl IntoIterator<Item = &'r Pending>,
    answer: SubjectState,
) -> SubjectState {
    let known = register.is_some_and(|register| register.death() == Some(State::Erased));
    let mut records = records.into_iter();
    let told = records.any(|pending| pending.record.state() == State::Erased);
    if answer == SubjectState::Gone && (known || told) {
        return SubjectState::Erased;
    }
    answer
}

fn survivor_of(state: &SubjectState) -> Option<String> {
    match state {
        SubjectState::Absorbed { by } => by.clone(),
        SubjectState::Alive(_)
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    }
}

/// A state together with what was known before: who absorbed the subject stays known where a
/// record only says that it was absorbed, as happens where there is no API to ask.
pub(crate) fn knowing(register: Option<&Register>, state: SubjectState) -> SubjectState {
    let known = register.filter(|register| register.state() == State::Absorbed);
    match (state, known) {
        (SubjectState::Absorbed { by: None }, Some(known)) => SubjectState::Absorbed {
            by: Some(known.absorbed_by.clone()).filter(|by| !by.is_empty()),
        },
        (state, _) => state,
    }
}

/// The register after a read, dated `date` by Reltio, answered `records`.
pub fn answered<'r>(
    register: Option<&Register>,
    records: impl IntoIterator<Item = &'r Pending>,
    state: &SubjectState,
    date: Millis,
    rules: ClockRules,
) -> Register {
    let mut after = register.cloned().unwrap_or_default();
    after.maybe_seen_until = after
        .maybe_seen_until
        .max(date.saturating_add(rules.margin));
    after.state = state.tag().into();
    after.absorbed_by = survivor(state);
    after.ended = state.is_ended(date);
    after.content_time = date.max(after.content_time);
    after.set_holds(Holds::Everything);
    after.observed = true;
    after.letters = Vec::new();
    after.refused_death = State::Unknown.into();
    for pending in records {
        after.newest = after.newest.max(pending.record.known_time());
        if let Some((version, commit_time)) = pending.record.clocks().both()
            && after.commit_time.is_none_or(|known| commit_time > known)
        {
            after.version = Some(version);
            after.commit_time = Some(commit_time);
        }
    }
    after
}

/// The sink read Reltio itself and delivered an answer dated `date`: what that may have seen is
/// asked again, and nothing below it is ever sent, which the target's guard would refuse.
pub(crate) fn read_by_sink(register: &mut Register, date: Millis, rules: ClockRules) {
    may_hold(register, date, rules);
    register.content_time = register.content_time.max(date);
}

/// The sink may hold what stands for `date`, though it never said so: what may be older is asked.
pub(crate) fn may_hold(register: &mut Register, date: Millis, rules: ClockRules) {
    register.maybe_seen_until = register
        .maybe_seen_until
        .max(date.saturating_add(rules.margin));
}

/// The subject died, and a dead letter holds that: it lives again only by a read.
pub(crate) fn may_be_dead(register: &mut Register, death: State) {
    register.refused_death = death.into();
}

/// What lands late may have replaced what the register says, and could not be replaced in turn: no
/// change is a duplicate of it any more, and what it knew of is asked.
pub(crate) fn unsure(register: &mut Register, rules: ClockRules) {
    let known = register.newest.max(register.content_time);
    may_hold(register, known, rules);
    (register.version, register.commit_time) = (None, None);
}

fn survivor(state: &SubjectState) -> String {
    survivor_of(state).unwrap_or_default()
}

/// The time that a record's content stands for.
pub(crate) fn content_time(record: &Record) -> Millis {
    record
        .read_time()
        .unwrap_or_else(|| record.known_time())
        .max(1)
}

/// What a record says its subject is now.
pub(crate) fn current(record: &Record, state: SubjectState, content_time: Millis) -> Current {
    Current {
        erased: state == SubjectState::Erased,
        state,
        content_time,
        version: record.version(),
        fields: record.fields(),
    }
}

/// The row that a history sink keeps of a record; nothing if it does not carry both clocks.
pub(crate) fn change(pending: &Pending) -> Option<Change> {
    let record = &pending.record;
    let (version, commit_time) = record.clocks().both()?;
    Some(Change {
        id: record.shared(record.id()),
        kind: record.kind(),
        version,
        commit_time,
        received_time: record.received_time(),
        state: pending.state()?.clone(),
        observed: record.read_time().is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_absorbed_a_subject_stays_known_where_a_record_only_says_that_it_was_absorbed() {
        let absorbed = |by: &str| Register {
            state: State::Absorbed.into(),
            absorbed_by: by.to_owned(),
            ..Register::default()
        };
        let unknown = || SubjectState::Absorbed { by: None };
        let by_w = SubjectState::Absorbed {
            by: Some("entities/w".to_owned()),
        };
        assert_eq!(knowing(Some(&absorbed("entities/w")), unknown()), by_w);
        assert_eq!(knowing(Some(&absorbed("")), unknown()), unknown());
        assert_eq!(knowing(Some(&Register::default()), unknown()), unknown());
        assert_eq!(knowing(None, by_w.clone()), by_w);
    }

    /// This host was behind when the record arrived, and is ahead now.
    #[test]
    fn a_read_is_due_by_the_commit_time_whatever_the_host_says() {
        let rules = ClockRules::new(3000, 200);
        let mut lane = Lane::default();
        let record = crate::event::EventRecord {
            commit_time: Some(10_000),
            received_time: 8000,
            ..crate::event::EventRecord::default()
        };
        lane.queue.push_back(Pending::new(0, record));
        let now = 600_000;
        assert!(lane.read_at(now, rules) <= now);
        assert_eq!(lane.take_answered(now, rules).due, 13_000);
    }
}
