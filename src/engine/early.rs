//! Changes that come before the creation that they follow, where Reltio cannot be read.
//!
//! Guarantee (G9): what is dead lives again by a creation or a split, and ends as the newest change
//! after that says, in whatever order they came. The register keeps the newest such change; of what
//! was erased (GDPR) it keeps nothing. Pure.

use bytes::Bytes;

use super::lane::{self, ClockRules};
use crate::event::{Holds, Kind, Record, State, SubjectState};
use crate::sink::Current;
use crate::store::Register;

/// Whether a record tells that a dead subject lives, is newer by both clocks, and is no creation:
/// the creation may come later, by another way.
pub(super) fn is_early(register: Option<&Register>, record: &Record) -> bool {
    let keeps = |death| death != State::Erased;
    let Some(register) = register.filter(|register| register.death().is_some_and(keeps)) else {
        return false;
    };
    record.state() == State::Alive
        && !is_born(record)
        && record.holds() == Holds::Everything
        && record.clocks().are_newer(register.clocks())
        && record.subject_state().is_some()
}

/// Whether a record says that its subject came to be.
pub(super) fn is_born(record: &Record) -> bool {
    matches!(record.kind(), Kind::Created | Kind::Spawned)
}

/// The register that keeps `record`, or what it has if that is newer.
pub(super) fn kept(register: Option<&Register>, record: &Record) -> Register {
    let mut after = register.cloned().unwrap_or_default();
    let known = read(&after);
    if known.is_none_or(|known| record.clocks().are_newer(known.clocks())) {
        after.early = Bytes::copy_from_slice(record.bytes());
    }
    after
}

/// The register without what it keeps, where `record` erases the subject: also if it is older than
/// what is known.
pub(super) fn forgotten(register: Option<&Register>, record: &Record) -> Option<Register> {
    let register = register.filter(|register| !register.early.is_empty())?;
    (record.state() == State::Erased).then(|| Register {
        early: Bytes::new(),
        ..register.clone()
    })
}

/// The register and the state after `record` is applied, and the change that came before it, if
/// that is what they are of.
pub(super) fn applied(
    before: Option<&Register>,
    record: &Record,
    state: SubjectState,
    rules: ClockRules,
) -> (Register, Current, Option<Record>) {
    let mut after = lane::applied(before, record, &state, rules);
    let newer = before.and_then(read).filter(|early| {
        early.clocks().are_newer(record.clocks()) && early.holds().replaces(record.holds())
    });
    if let Some(early) = newer {
        match (after.state(), early.subject_state()) {
            (State::Erased, _) => {}
            // It may be newer than the creation that comes after this death, too.
            (state, _) if state.is_dead() => after.early = early.bytes().clone(),
            (_, Some(state)) => {
                let after = lane::applied(Some(&after), &early, &state, rules);
                let current = lane::current(&early, state, after.content_time);
                return (after, current, Some(early));
            }
            (_, None) => {}
        }
    }
    let current = lane::current(record, state, after.content_time);
    (after, current, None)
}

/// What a register keeps. It was encoded here, and the store tells of damage.
fn read(register: &Register) -> Option<Record> {
    let kept = Some(&register.early).filter(|bytes| !bytes.is_empty())?;
    Record::decode(kept.clone()).ok()
}
