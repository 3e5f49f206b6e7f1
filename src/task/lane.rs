//! A lane: everything under way for one subject at one sink. One thing at a time.
//!
//! Guarantee (G4): a lane's register moves only as the fence and the rules for reads say. The
//! functions here are pure; the task does the waiting, reading and delivering, and a test that
//! drives them has the rules that the task has.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use super::fence::{Fenced, fence};
use super::rows::Row;
use super::unsettled::Unsettled;
use crate::event::{EventRecord, Holds, State, SubjectState};
use crate::ledger::Register;
use crate::mutation::{self, Mutation};
use crate::sink::{Change, Current};
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
    pub(crate) record: Arc<EventRecord>,
    /// What the record says its subject is: parsed at most once, when it is asked for.
    pub(crate) state: OnceLock<Option<SubjectState>>,
    /// The row that it becomes, at a sink that keeps ids.
    pub(crate) row: Option<Row>,
    /// Read again after an unclean stop: an earlier send may still land.
    pub(crate) suspect: bool,
    /// It was alone in flight at so many unclean stops that it is not tried again.
    pub(crate) kills: bool,
}

impl Pending {
    /// A record that nothing is known of but its offset.
    pub fn new(offset: u64, record: EventRecord) -> Self {
        Self::of(offset, record.into())
    }

    pub(crate) fn of(offset: u64, record: Arc<EventRecord>) -> Self {
        Self {
            offset,
            record,
            state: OnceLock::new(),
            row: None,
            suspect: false,
            kills: false,
        }
    }

    /// As [`EventRecord::subject_state`].
    pub(crate) fn state(&self) -> Option<&SubjectState> {
        self.state
            .get_or_init(|| self.record.subject_state())
            .as_ref()
    }
}

/// The newest state asserted at the sink, kept while it has to be asserted once more.
#[derive(Debug, Clone)]
pub(crate) struct Asserted {
    pub(crate) current: Current,
    pub(crate) record: Arc<EventRecord>,
}

impl Asserted {
    /// About how many bytes it holds.
    pub(crate) fn weight(&self) -> usize {
        let object = match &self.current.state {
            SubjectState::Alive(object) => object.weight(),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => 0,
        };
        self.record.payload.len().saturating_add(object)
    }
}

/// Everything under way for one subject.
#[derive(Debug, Default)]
pub struct Lane {
    /// Records that wait for their turn, in the log's order.
    pub queue: VecDeque<Pending>,
    /// What the sink has of the subject.
    pub register: Option<Register>,
    pub(crate) busy: bool,
    /// When the head of the queue was first found to need a read.
    pub(crate) asked: Option<Millis>,
    pub(crate) unsettled: Option<Unsettled>,
    /// When a timer will look at the unsettled lane again.
    pub(crate) looks_at: Option<Instant>,
    pub(crate) asserted: Option<Asserted>,
}

/// Records that one read of Reltio answers.
#[derive(Debug)]
pub struct Asked {
    /// The records, in the log's order.
    pub records: Vec<Pending>,
    /// The read is to be made no earlier than this, by Reltio's own clock: see
    /// [`Answer::too_early`](crate::reltio::Answer::too_early).
    pub due: Millis,
}

impl Lane {
    /// Keeps what was asserted in place of what was before; `held` counts the bytes of all lanes.
    pub(crate) fn assert(&mut self, asserted: Option<Asserted>, held: &mut usize) {
        let weight = |of: &Option<Asserted>| of.as_ref().map_or(0, Asserted::weight);
        *held = held.saturating_sub(weight(&self.asserted));
        *held = held.saturating_add(weight(&asserted));
        self.asserted = asserted;
    }

    /// The newest time known of the subject.
    pub(crate) fn newest(&self) -> Millis {
        self.register.as_ref().map_or(0, |register| register.newest)
    }

    /// What the head of the queue means.
    pub fn fence(&self, record: &EventRecord, rules: ClockRules) -> Fenced {
        if record.ask {
            return Fenced::Ask;
        }
        if record.round > 0 && mutation::is(Mutation::RedriveUnfenced) {
            return Fenced::Apply;
        }
        let register = self.register.as_ref();
        fence(register, record.clocks(), record.holds(), rules.skew)
    }

    /// Whether `record` tells only fields, and others may still be written by what lands late: it
    /// could not be asserted once more in the place of all that.
    pub(crate) fn may_lose_fields(&self, record: &EventRecord) -> bool {
        let holds = record.holds();
        let told = self.register.as_ref().map(Register::holds);
        self.unsettled.is_some() && matches!(holds, Holds::Fields(_)) && told != Some(holds)
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

    fn settled(&self, rules: ClockRules) -> Millis {
        if mutation::is(Mutation::ReadTooEarly) {
            return 0;
        }
        let since = self.register.as_ref().map_or(0, |register| register.since);
        let head = self.queue.front();
        head.map_or(0, |pending| pending.record.known_time())
            .max(self.newest())
            .max(since)
            .saturating_add(rules.settle)
    }

    /// Takes what a read made at `now` answers: everything on the lane that `settle` has passed
    /// for. The head is always among it.
    pub fn take_answered(&mut self, now: Millis, rules: ClockRules) -> Asked {
        let mut due = self.settled(rules);
        let mut records = Vec::new();
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
    record: &EventRecord,
    state: &SubjectState,
    rules: ClockRules,
) -> Register {
    let before = register.cloned().unwrap_or_default();
    let read = record
        .read_time
        .map_or(0, |read| read.saturating_add(rules.margin));
    let mut after = Register {
        version: record.version,
        commit_time: record.commit_time,
        since: before.since.max(read),
        state: state.tag().into(),
        absorbed_by: survivor(state),
        // Never below what the target's guard has seen, or it would refuse this as stale.
        stands_for: stands_for(record).max(before.stands_for),
        newest: before.newest.max(record.known_time()),
        observed: record.read_time.is_some(),
        ..Register::default()
    };
    after.set_holds(record.holds());
    after
}

/// Up to which time of a change the content of `record` is sure to hold it.
pub(crate) fn covers(record: &EventRecord, rules: ClockRules) -> Millis {
    let read = record.read_time.unwrap_or_default();
    let known = record.known_time().saturating_sub(rules.skew);
    known.max(read.saturating_sub(rules.settle))
}

/// What a subject is that Reltio does not know any more: dead, cause unknown, since nothing tells
/// what else happened before the read. An erasure stands all the same, since only that takes the
/// content out of the sinks.
pub(crate) fn cause_of_death(
    register: Option<&Register>,
    records: &[Pending],
    answer: SubjectState,
) -> SubjectState {
    let known = register.is_some_and(|register| register.state() == State::Erased);
    let told = records
        .iter()
        .any(|pending| pending.record.state() == State::Erased);
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
pub fn answered(
    register: Option<&Register>,
    records: &[Pending],
    state: &SubjectState,
    date: Millis,
    rules: ClockRules,
) -> Register {
    let mut after = register.cloned().unwrap_or_default();
    after.since = after.since.max(date.saturating_add(rules.margin));
    after.state = state.tag().into();
    after.absorbed_by = survivor(state);
    after.stands_for = date.max(after.stands_for);
    after.set_holds(Holds::Everything);
    after.observed = true;
    after.letters = Vec::new();
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
    register.stands_for = register.stands_for.max(date);
}

/// The sink may hold what stands for `date`, though it never said so: what may be older is asked.
pub(crate) fn may_hold(register: &mut Register, date: Millis, rules: ClockRules) {
    register.since = register.since.max(date.saturating_add(rules.margin));
}

/// What lands late may have replaced what the register says, and could not be replaced in turn: no
/// change is a duplicate of it any more, and what it knew of is asked.
pub(crate) fn unsure(register: &mut Register, rules: ClockRules) {
    let known = register.newest.max(register.stands_for);
    may_hold(register, known, rules);
    (register.version, register.commit_time) = (None, None);
}

fn survivor(state: &SubjectState) -> String {
    survivor_of(state).unwrap_or_default()
}

/// The time that a record's content stands for.
pub(crate) fn stands_for(record: &EventRecord) -> Millis {
    record
        .read_time
        .unwrap_or_else(|| record.known_time())
        .max(1)
}

/// What a record says its subject is now.
pub(crate) fn current(record: &EventRecord, state: SubjectState, stands_for: Millis) -> Current {
    let partial = matches!(record.holds(), Holds::Fields(_));
    Current {
        erased: state == SubjectState::Erased,
        state,
        stands_for,
        version: record.version,
        fields: partial.then(|| record.fields.clone()),
    }
}

/// The row that a history sink keeps of a record; nothing if it does not carry both clocks.
pub(crate) fn change(pending: &Pending) -> Option<Change> {
    let record = &pending.record;
    let (version, commit_time) = record.clocks().both()?;
    Some(Change {
        id: record.id.clone(),
        kind: record.kind(),
        version,
        commit_time,
        received_time: record.received_time,
        state: pending.state()?.clone(),
        observed: record.read_time.is_some(),
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
        let record = EventRecord {
            commit_time: Some(10_000),
            received_time: 8000,
            ..EventRecord::default()
        };
        lane.queue.push_back(Pending::new(0, record));
        let now = 600_000;
        assert!(lane.read_at(now, rules) <= now);
        assert_eq!(lane.take_answered(now, rules).due, 13_000);
    }
}
