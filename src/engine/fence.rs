//! The fence: what a record means to a sink that already has something of its subject.
//!
//! Guarantee (G4): no record that is older than what was applied is answered with `Apply`. Pure.
//! `tests/it/fence_oracle` runs the rules against a model of one subject's world.

use crate::event::proto::Register;
use crate::event::{Clocks, Holds, Life};
use crate::mutation::{self, Mutation};
use crate::time::Millis;

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Newer than what the sink has: apply it.
    Apply,
    /// The very change that the sink has.
    Duplicate,
    /// Older than what the sink has.
    Stale,
    /// Older, but it tells of fields that what the sink was told last does not: read Reltio. Stale
    /// where there is no API.
    StaleInPart,
    /// Its clocks do not decide: read Reltio.
    Ask,
}

/// What a record tells, as far as the fence compares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// Its clocks.
    pub clocks: Clocks,
    /// How much of the subject it tells.
    pub holds: Holds,
    /// How much alive it says that the subject is.
    pub life: Life,
}

/// Compares a record with what a sink has of its subject. `skew` is how far apart the clocks of
/// Reltio's nodes may be.
///
/// What is dead lives again only by a read: Reltio tells changes of entities that lost a merge. And
/// a death that is older than what lives is asked: what came after it may have been such a change.
/// The same holds for what has ended, since a snapshot of some fields need not hold the end date.
pub fn fence(register: Option<&Register>, record: Told, skew: Millis) -> Freshness {
    let Some((version, commit_time)) = record.clocks.both() else {
        return Freshness::Ask;
    };
    // Without what was applied, `maybe_seen_until` tells of what may have been, and a death of what
    // is in a dead letter.
    let tells = |register: &&Register| {
        register.applied() || register.maybe_seen_until > 0 || register.death().is_some()
    };
    let known = register.filter(tells);
    let Some(register) = known else {
        return Freshness::Apply;
    };
    let known = match register.death() {
        Some(_) => Life::Dead,
        None => register.life(),
    };
    let revives = record.life < known && !mutation::is(Mutation::DeadLivesAgain);
    let seen_by_read =
        commit_time <= register.maybe_seen_until && !mutation::is(Mutation::SinceIgnored);
    let Some((known_version, known_time)) = register.clocks().both() else {
        // It was only ever read.
        return if seen_by_read || revives {
            Freshness::Ask
        } else {
            Freshness::Apply
        };
    };
    let by_version = version.cmp(&known_version);
    let mut by_time = commit_time.cmp(&known_time);
    if mutation::is(Mutation::OneClockDecides) {
        by_time = by_version;
    }
    if by_version.is_eq() && by_time.is_eq() {
        // A copy that brings fields which the applied one lacked is not a duplicate.
        return if record.holds.exceeds(register.holds()) {
            Freshness::Ask
        } else if mutation::is(Mutation::DuplicateApplied) {
            Freshness::Apply
        } else {
            Freshness::Duplicate
        };
    }
    let near = commit_time.abs_diff(known_time) <= skew.unsigned_abs();
    if near && !mutation::is(Mutation::SkewIgnored) {
        return Freshness::Ask;
    }
    if by_version.is_lt() && by_time.is_lt() {
        let late_death = record.life > register.life() && !mutation::is(Mutation::LateDeathIgnored);
        return if late_death {
            Freshness::Ask
        } else if register.holds().replaces(record.holds) {
            Freshness::Stale
        } else {
            Freshness::StaleInPart
        };
    }
    if by_version.is_gt() && by_time.is_gt() && !seen_by_read && !revives {
        return Freshness::Apply;
    }
    Freshness::Ask
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::State;
    use proptest::prelude::*;

    const SKEW: Millis = 200;

    fn register(version: i64, commit_time: Millis, until: Millis, holds: Holds) -> Register {
        let mut register = Register {
            version: Some(version),
            commit_time: Some(commit_time),
            maybe_seen_until: until,
            content_time: 1,
            ..Register::default()
        };
        register.set_holds(holds);
        register
    }

    fn clocks(version: i64, commit_time: Millis) -> Clocks {
        Clocks {
            version: Some(version),
            commit_time: Some(commit_time),
        }
    }

    fn told(clocks: Clocks, holds: Holds) -> Told {
        Told {
            clocks,
            holds,
            life: Life::Active,
        }
    }

    #[test]
    fn g9_what_has_ended_is_active_again_only_by_a_read_and_an_older_end_is_asked() {
        let ended = Register {
            ended: true,
            ..register(3, 9000, 0, Holds::Everything)
        };
        let active = register(3, 9000, 0, Holds::Everything);
        let record = |version, time, life| Told {
            life,
            ..told(clocks(version, time), Holds::Everything)
        };
        let newer = |known: &Register, life| fence(Some(known), record(4, 9900, life), SKEW);
        assert_eq!(newer(&ended, Life::Active), Freshness::Ask);
        assert_eq!(newer(&ended, Life::Ended), Freshness::Apply);
        assert_eq!(newer(&ended, Life::Dead), Freshness::Apply);
        assert_eq!(newer(&active, Life::Ended), Freshness::Apply);
        let older = |known: &Register, life| fence(Some(known), record(2, 5000, life), SKEW);
        assert_eq!(older(&active, Life::Ended), Freshness::Ask);
        assert_eq!(older(&ended, Life::Ended), Freshness::Stale);
        assert_eq!(older(&ended, Life::Active), Freshness::Stale);
        // A loser's echo that has an end date is an echo all the same.
        let dead = Register {
            state: State::Absorbed.into(),
            ..active
        };
        assert_eq!(newer(&dead, Life::Ended), Freshness::Ask);
    }

    #[test]
    fn g9_what_is_dead_lives_again_only_by_a_read_and_an_older_death_is_asked() {
        let record = |version, time, dead| Told {
            life: if dead { Life::Dead } else { Life::Active },
            ..told(clocks(version, time), Holds::Everything)
        };
        let known = |state: State| Register {
            state: state.into(),
            ..register(3, 9000, 0, Holds::Everything)
        };
        let read_only = |state: State| Register {
            version: None,
            commit_time: None,
            ..known(state)
        };
        for dead in [State::Absorbed, State::Removed, State::Erased, State::Gone] {
            let of = |record| fence(Some(&known(dead)), record, SKEW);
            assert_eq!(of(record(4, 9900, false)), Freshness::Ask);
            assert_eq!(of(record(4, 9900, true)), Freshness::Apply);
            assert_eq!(of(record(2, 5000, true)), Freshness::Stale);
            let read = fence(Some(&read_only(dead)), record(4, 9900, false), SKEW);
            assert_eq!(read, Freshness::Ask);
        }
        let of = |record| fence(Some(&known(State::Alive)), record, SKEW);
        assert_eq!(of(record(2, 5000, true)), Freshness::Ask);
        assert_eq!(of(record(2, 5000, false)), Freshness::Stale);
        assert_eq!(of(record(4, 9900, true)), Freshness::Apply);
    }

    #[test]
    fn g5_a_copy_that_brings_what_the_applied_one_lacked_is_no_duplicate() {
        let [all, values] = [Holds::Everything, Holds::Values];
        let [some, other] = [1, 2].map(Holds::Fields);
        for (had, brings, expected) in [
            (some, values, Freshness::Ask),
            (some, all, Freshness::Ask),
            (some, other, Freshness::Ask),
            (values, all, Freshness::Ask),
            (values, some, Freshness::Ask),
            (some, some, Freshness::Duplicate),
            (values, values, Freshness::Duplicate),
            (all, some, Freshness::Duplicate),
            (all, values, Freshness::Duplicate),
        ] {
            let applied = register(3, 9000, 0, had);
            let answer = fence(Some(&applied), told(clocks(3, 9000), brings), SKEW);
            assert_eq!(answer, expected, "{had:?} was told, {brings:?} comes");
        }
    }

    #[test]
    fn g9_what_an_older_record_tells_beyond_a_newer_one_is_not_stale() {
        let [all, values] = [Holds::Everything, Holds::Values];
        let [some, other] = [1, 2].map(Holds::Fields);
        for (had, brings, expected) in [
            (some, all, Freshness::StaleInPart),
            (some, values, Freshness::StaleInPart),
            (some, other, Freshness::StaleInPart),
            (some, some, Freshness::Stale),
            (values, all, Freshness::Stale),
            (values, some, Freshness::Stale),
            (all, all, Freshness::Stale),
        ] {
            let applied = register(3, 9000, 0, had);
            let answer = fence(Some(&applied), told(clocks(2, 5000), brings), SKEW);
            assert_eq!(answer, expected, "{had:?} was told, {brings:?} comes");
        }
    }

    #[test]
    fn the_order_of_the_fields_does_not_count() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            Holds::fields(&names)
        };
        assert_eq!(of(&["a", "b"]), of(&["b", "a", "a"]));
        assert_ne!(of(&["a", "b"]), of(&["ab"]));
    }

    fn any_holds() -> impl Strategy<Value = Holds> {
        prop_oneof![
            Just(Holds::Everything),
            Just(Holds::Values),
            (0_u64..3).prop_map(Holds::Fields),
        ]
    }

    /// Close together, so that all of the fence's distances occur.
    fn any_register() -> impl Strategy<Value = Register> {
        let holds = any_holds();
        (0_i64..6, 1000_i64..2000, 0_i64..2500, holds)
            .prop_map(|(version, time, until, holds)| register(version, time, until, holds))
    }

    proptest! {
        #[test]
        fn g4_a_missing_clock_is_asked(
            known in proptest::option::of(any_register()),
            version in proptest::option::of(0_i64..6),
            time in 1000_i64..2000,
            holds in any_holds(),
        ) {
            let record = Clocks { version, commit_time: version.is_none().then_some(time) };
            prop_assert_eq!(fence(known.as_ref(), told(record, holds), SKEW), Freshness::Ask);
        }

        #[test]
        fn g4_what_is_lower_by_both_clocks_is_never_applied(
            known in any_register(),
            versions in 1_i64..9,
            millis in 1_i64..3000,
            holds in any_holds(),
        ) {
            let (version, time) = known.clocks().both().unwrap();
            let record = clocks(version - versions, time - millis);
            prop_assert_ne!(fence(Some(&known), told(record, holds), SKEW), Freshness::Apply);
        }

        #[test]
        fn g4_commit_times_within_the_skew_neither_apply_nor_drop(
            known in any_register(),
            version in 0_i64..6,
            off in -SKEW..=SKEW,
            holds in any_holds(),
        ) {
            let (known_version, known_time) = known.clocks().both().unwrap();
            prop_assume!((version, off) != (known_version, 0));
            let record = clocks(version, known_time + off);
            prop_assert_eq!(fence(Some(&known), told(record, holds), SKEW), Freshness::Ask);
        }

        #[test]
        fn g5_equal_clocks_are_decided_by_what_is_told_alone(
            known in any_register(),
            holds in any_holds(),
            skew in 0_i64..1000,
        ) {
            let more = holds.exceeds(known.holds());
            let expected = if more { Freshness::Ask } else { Freshness::Duplicate };
            prop_assert_eq!(fence(Some(&known), told(known.clocks(), holds), skew), expected);
        }

        #[test]
        fn g4_only_what_no_read_can_have_seen_is_applied(
            known in any_register(),
            read_only in any::<bool>(),
            version in 0_i64..6,
            time in 1000_i64..3000,
            holds in any_holds(),
        ) {
            let clockless = Register { version: None, commit_time: None, ..known.clone() };
            let known = if read_only { clockless } else { known };
            if fence(Some(&known), told(clocks(version, time), holds), SKEW) == Freshness::Apply {
                prop_assert!(time > known.maybe_seen_until);
            }
        }
    }
}
