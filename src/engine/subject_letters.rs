//! Dead letters of a subject: what its register knows of them, and what closes them.
//!
//! Guarantee (G2): a letter is closed by its own record, or by one that tells all that it told.

use std::collections::VecDeque;

use super::lane::{self, ClockRules, Lane, Pending, covers};
use super::work::{NO_OFFSET, Purpose, Work};
use crate::event::{Holds, Record, State};
use crate::mutation::{self, Mutation};
use crate::sink::{Capabilities, Mode};
use crate::store::Register;
use crate::time::Millis;

/// Letters that a register names: a subject of which every change is refused would have one more with
/// each, and a register has to fit into a record of the changelog.
pub(super) const NAMED: usize = 256;
/// So many earlier rounds' letters are closed with a redriven record.
const ROUNDS: u32 = 16;

impl Work {
    /// Names of the dead letters that its records have if it was refused.
    pub(super) fn letters(&self) -> Vec<String> {
        let records = self.records.iter().map(|pending| &pending.record);
        records
            .map(|record| letter_name(record, record.round()))
            .collect()
    }

    /// The death that it tells, if it does.
    fn death(&self) -> Option<State> {
        let state = match (&self.current, self.purpose) {
            (Some(current), Purpose::Apply | Purpose::Answer) => current.state.tag(),
            (None, Purpose::Apply | Purpose::Answer) => {
                let mut told = self.records.iter().rev().map(|it| it.record.state());
                return told.find(|state| state.is_dead());
            }
            (_, Purpose::Rows | Purpose::Reassert) => return None,
        };
        Some(state).filter(|state| state.is_dead())
    }
}

impl Lane {
    /// Notes that a turn was refused at `now`; the register, if there is now something to keep of it.
    pub(super) fn refused(
        &mut self,
        end: &Work,
        sink: Capabilities,
        now: Millis,
        rules: ClockRules,
    ) -> Option<Register> {
        if sink.mode == Mode::Latest {
            let register = self.register.get_or_insert_default();
            let known = end
                .records
                .iter()
                .map(|pending| pending.record.known_time());
            register.newest = known.fold(register.newest, Millis::max);
            // What somebody told this lane to look at, only that very record looks at.
            let told = end
                .records
                .iter()
                .map(|pending| pending.record.has_targets());
            let others = end
                .letters()
                .into_iter()
                .zip(told)
                .filter(|(_, told)| !told);
            register.letters.extend(others.map(|(letter, _)| letter));
            bound(&mut register.letters);
        }
        let reasserted = end.purpose == Purpose::Reassert;
        let death = end.death();
        if let Some(death) = death {
            let register = self.register.get_or_insert_default();
            lane::may_be_dead(register, death);
            let known = end.records.iter().map(|it| it.record.known_time());
            register.newest = known.fold(register.newest, Millis::max);
        }
        if let Some(register) = &mut self.register
            && reasserted
        {
            lane::unsure(register, rules);
        }
        // The target may have taken it all the same, or a part (G4): now, or before an unclean stop.
        let suspect = end.records.iter().any(|pending| pending.suspect);
        let unknown = suspect || end.tries.ambiguous || sink.in_steps;
        let sent = end.current.as_ref().filter(|_| end.tries.began.is_some());
        let may_hold = sent.map(|current| current.content_time).filter(|_| unknown);
        // What is only appended has ids and no register.
        let before = suspect && sink.dedupe.is_none();
        let may_hold = may_hold.or_else(|| before.then_some(now));
        if let Some(sent) = may_hold {
            let register = self.register.get_or_insert_default();
            lane::may_hold(register, sent, rules);
        }
        let learnt = may_hold.is_some() || reasserted || death.is_some();
        let noted = sink.mode == Mode::Latest || learnt;
        self.register.clone().filter(|_| noted)
    }

    /// The subject's dead letters: those that a delivery of `records` supersedes, and the others. A
    /// late record supersedes nothing newer, one that tells some fields nothing that tells others,
    /// and what is asserted once more nothing at all.
    pub(super) fn letters(
        &self,
        purpose: Purpose,
        records: &VecDeque<Pending>,
        rules: ClockRules,
    ) -> (Vec<String>, Vec<String>) {
        let letters = self.register.iter().flat_map(|register| &register.letters);
        // A stale record of the batch was not written, nor was what was read for it.
        let written = || {
            let written = records.iter().filter(|it| it.outcome.is_written());
            written.map(|it| &it.record)
        };
        let covers = written().map(|record| covers(record, rules));
        let covers = match purpose {
            _ if mutation::is(Mutation::AnyLetterSuperseded) => Millis::MAX,
            // A read is made after the newest time known of the subject, letters included.
            Purpose::Answer => Millis::MAX,
            Purpose::Apply => covers.max().unwrap_or_default(),
            Purpose::Rows | Purpose::Reassert => Millis::MIN,
        };
        let replaces = |letter: &str| {
            let older = letter_holds(letter);
            written().any(|record| record.holds().replaces(older))
        };
        letters.cloned().partition(|letter| {
            split_letter(letter).is_none_or(|(id, _, time)| {
                let is_own = |pending: &Pending| pending.record.id() == id;
                let older = time <= covers && (purpose == Purpose::Answer || replaces(letter));
                older || (purpose == Purpose::Apply && records.iter().any(is_own))
            })
        })
    }
}

/// Each letter once, and no more than are named: those of the newest changes.
fn bound(letters: &mut Vec<String>) {
    letters.sort_unstable();
    letters.dedup();
    let over = letters.len().saturating_sub(NAMED);
    if over > 0 {
        let time = |letter: &String| split_letter(letter).map_or(Millis::MIN, |(.., time)| time);
        letters.sort_by_cached_key(time);
        letters.drain(..over);
        letters.sort_unstable();
    }
}

/// Letters that the delivered records may have from before: written by a process that ended
/// before its commit, or closed by a redrive that ended between its two steps.
pub(super) fn own_letters(records: &VecDeque<Pending>) -> Vec<String> {
    let again = records
        .iter()
        .filter(|pending| pending.offset != NO_OFFSET)
        .filter(|pending| pending.suspect || pending.record.round() > 0);
    again
        .flat_map(|Pending { record, .. }| {
            let rounds = record.round().saturating_sub(ROUNDS)..=record.round();
            rounds.map(|round| letter_name(record, round))
        })
        .collect()
}

/// A letter's name in a register: what it is keyed by, the time of the change that it holds, and
/// which fields if its record does not tell all.
pub(crate) fn letter_name(record: &Record, round: u32) -> String {
    // An arrival, by a host that may be behind, is no time of the change.
    let time = record
        .commit_time()
        .map_or(Millis::MAX, |_| record.known_time());
    let id = record.id();
    match record.holds() {
        Holds::Fields(fields) => format!("{id}:{round}@{time}~{fields:x}"),
        Holds::Everything | Holds::Values => format!("{id}:{round}@{time}"),
    }
}

/// How much of its subject a letter's record tells.
pub(crate) fn letter_holds(letter: &str) -> Holds {
    let fields = letter.rsplit_once('~');
    let fields = fields.and_then(|(_, digest)| u64::from_str_radix(digest, 16).ok());
    fields.map_or(Holds::Everything, Holds::Fields)
}

/// What a letter's name says: id, round and time. A name without a time is older than anything.
pub(crate) fn split_letter(letter: &str) -> Option<(&str, u32, Millis)> {
    let (key, time) = letter.rsplit_once('@').unwrap_or((letter, "0"));
    let time = time.split_once('~').map_or(time, |(time, _)| time);
    let (id, round) = key.rsplit_once(':')?;
    Some((id, round.parse().ok()?, time.parse().ok()?))
}

/// Whether `letter` is one of `letters`, whatever times their names carry.
pub(crate) fn names_one_of(letter: &str, letters: &[String]) -> bool {
    let key = |name: &str| split_letter(name).map(|(id, round, _)| (id.to_owned(), round));
    letters.iter().any(|other| key(other) == key(letter))
}
