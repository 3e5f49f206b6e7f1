//! The fence: what a record means to a sink that already has something of its subject.
//!
//! Guarantee (G4): no record that is older than what was applied is answered with `Apply`. Pure.
//! `model/fence.py` of the design is these rules as a program; `tests/it/fence_oracle.rs` is its port.

use crate::event::proto::Register;
use crate::event::{Clocks, Holds};
use crate::mutation::{self, Mutation};
use crate::time::Millis;

/// What to do with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
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

/// Compares a record with what a sink has of its subject. `holds` is how much of the subject the
/// record tells; `skew` is how far apart the clocks of Reltio's nodes may be.
pub fn fence(register: Option<&Register>, record: Clocks, holds: Holds, skew: Millis) -> Fenced {
    let Some((version, commit_time)) = record.both() else {
        return Fenced::Ask;
    };
    // Without what was applied, `since` tells of what may have been.
    let known = register.filter(|register| register.applied() || register.since > 0);
    let Some(register) = known else {
        return Fenced::Apply;
    };
    let seen_by_read = commit_time <= register.since && !mutation::is(Mutation::SinceIgnored);
    let Some((known_version, known_time)) = register.clocks().both() else {
        // It was only ever read.
        return if seen_by_read {
            Fenced::Ask
        } else {
            Fenced::Apply
        };
    };
    let by_version = version.cmp(&known_version);
    let mut by_time = commit_time.cmp(&known_time);
    if mutation::is(Mutation::OneClockDecides) {
        by_time = by_version;
    }
    if by_version.is_eq() && by_time.is_eq() {
        // A copy that brings fields which the applied one lacked is not a duplicate.
        return if holds.exceeds(register.holds()) {
            Fenced::Ask
        } else if mutation::is(Mutation::DuplicateApplied) {
            Fenced::Apply
        } else {
            Fenced::Duplicate
        };
    }
    let near = commit_time.abs_diff(known_time) <= skew.unsigned_abs();
    if near && !mutation::is(Mutation::SkewIgnored) {
        return Fenced::Ask;
    }
    if by_version.is_lt() && by_time.is_lt() {
        return if register.holds().replaces(holds) {
            Fenced::Stale
        } else {
            Fenced::StaleInPart
        };
    }
    if by_version.is_gt() && by_time.is_gt() && !seen_by_read {
        return Fenced::Apply;
    }
    Fenced::Ask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SKEW: Millis = 200;

    fn register(version: i64, commit_time: Millis, since: Millis, holds: Holds) -> Register {
        let mut register = Register {
            version: Some(version),
            commit_time: Some(commit_time),
            since,
            stands_for: 1,
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

    #[test]
    fn g5_a_copy_that_brings_what_the_applied_one_lacked_is_no_duplicate() {
        let [all, values] = [Holds::Everything, Holds::Values];
        let [some, other] = [1, 2].map(Holds::Fields);
        for (had, brings, expected) in [
            (some, values, Fenced::Ask),
            (some, all, Fenced::Ask),
            (some, other, Fenced::Ask),
            (values, all, Fenced::Ask),
            (values, some, Fenced::Ask),
            (some, some, Fenced::Duplicate),
            (values, values, Fenced::Duplicate),
            (all, some, Fenced::Duplicate),
            (all, values, Fenced::Duplicate),
        ] {
            let applied = register(3, 9000, 0, had);
            let answer = fence(Some(&applied), clocks(3, 9000), brings, SKEW);
            assert_eq!(answer, expected, "{had:?} was told, {brings:?} comes");
        }
    }

    #[test]
    fn g9_what_an_older_record_tells_beyond_a_newer_one_is_not_stale() {
        let [all, values] = [Holds::Everything, Holds::Values];
        let [some, other] = [1, 2].map(Holds::Fields);
        for (had, brings, expected) in [
            (some, all, Fenced::StaleInPart),
            (some, values, Fenced::StaleInPart),
            (some, other, Fenced::StaleInPart),
            (some, some, Fenced::Stale),
            (values, all, Fenced::Stale),
            (values, some, Fenced::Stale),
            (all, all, Fenced::Stale),
        ] {
            let applied = register(3, 9000, 0, had);
            let answer = fence(Some(&applied), clocks(2, 5000), brings, SKEW);
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
            .prop_map(|(version, time, since, holds)| register(version, time, since, holds))
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
            prop_assert_eq!(fence(known.as_ref(), record, holds, SKEW), Fenced::Ask);
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
            prop_assert_ne!(fence(Some(&known), record, holds, SKEW), Fenced::Apply);
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
            prop_assert_eq!(fence(Some(&known), record, holds, SKEW), Fenced::Ask);
        }

        #[test]
        fn g5_equal_clocks_are_decided_by_what_is_told_alone(
            known in any_register(),
            holds in any_holds(),
            skew in 0_i64..1000,
        ) {
            let more = holds.exceeds(known.holds());
            let expected = if more { Fenced::Ask } else { Fenced::Duplicate };
            prop_assert_eq!(fence(Some(&known), known.clocks(), holds, skew), expected);
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
            if fence(Some(&known), clocks(version, time), holds, SKEW) == Fenced::Apply {
                prop_assert!(time > known.since);
            }
        }
    }
}
