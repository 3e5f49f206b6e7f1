//! The fence: what a record means to a sink that already has something of its subject.
//!
//! Guarantee (G4): no record that is older than what was applied is answered with `Apply`. Pure.
//! `model/fence.py` of the design is these rules as a program; `tests/it/fence_oracle.rs` is its port.

use crate::event::Clocks;
use crate::event::proto::Register;
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
    /// Its clocks do not decide: read Reltio.
    Ask,
}

/// Compares a record with what a sink has of its subject. `skew` is how far apart the clocks of
/// Reltio's nodes may be; `lacks` is what the record does not hold, as in [`Register::lacks`].
pub fn fence(register: Option<&Register>, record: Clocks, lacks: u32, skew: Millis) -> Fenced {
    let Some((version, commit_time)) = record.both() else {
        return Fenced::Ask;
    };
    let Some(register) = register.filter(|register| register.applied()) else {
        return Fenced::Apply;
    };
    let Some((known_version, known_time)) = register.clocks().both() else {
        // It was only ever read.
        return if commit_time > register.since {
            Fenced::Apply
        } else {
            Fenced::Ask
        };
    };
    let by_version = version.cmp(&known_version);
    let by_time = commit_time.cmp(&known_time);
    if by_version.is_eq() && by_time.is_eq() {
        // A copy that brings fields which the applied one lacked is not a duplicate.
        return if register.lacks > lacks {
            Fenced::Ask
        } else {
            Fenced::Duplicate
        };
    }
    if commit_time.abs_diff(known_time) <= skew.unsigned_abs() {
        return Fenced::Ask;
    }
    if by_version.is_lt() && by_time.is_lt() {
        return Fenced::Stale;
    }
    if by_version.is_gt() && by_time.is_gt() && commit_time > register.since {
        return Fenced::Apply;
    }
    Fenced::Ask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_a_copy_that_brings_what_the_applied_one_lacked_is_no_duplicate() {
        let clocks = Clocks {
            version: Some(3),
            commit_time: Some(9000),
        };
        let applied = |lacks| Register {
            version: clocks.version,
            commit_time: clocks.commit_time,
            stands_for: 9000,
            lacks,
            ..Register::default()
        };
        for (had, brings, expected) in [
            (2, 1, Fenced::Ask),
            (2, 0, Fenced::Ask),
            (1, 0, Fenced::Ask),
            (1, 1, Fenced::Duplicate),
            (0, 2, Fenced::Duplicate),
            (1, 2, Fenced::Duplicate),
        ] {
            let answer = fence(Some(&applied(had)), clocks, brings, 200);
            assert_eq!(answer, expected, "{had} lacked, {brings} lacks");
        }
    }
}
