//! How many events a second, when.

use std::time::Duration;

use crate::run::scenario::Rate;

/// The steps of a ramp: begin, end, events a second. Any other rate has none.
pub(crate) fn steps(rate: Rate, seconds: u32) -> Vec<(Duration, Duration, f64)> {
    match rate {
        Rate::Ramp { .. } => rates(rate, seconds),
        Rate::Steady { .. } | Rate::Spike { .. } | Rate::Unlimited { .. } => Vec::new(),
    }
}

/// The rate over time: begin, end, events a second.
pub(super) fn rates(rate: Rate, seconds: u32) -> Vec<(Duration, Duration, f64)> {
    let second = |at: u32| Duration::from_secs(u64::from(at.min(seconds)));
    match rate {
        Rate::Steady { per_second } => vec![(Duration::ZERO, second(seconds), per_second)],
        Rate::Ramp {
            from, to, steps, ..
        } => {
            let rise = (to - from) / f64::from(steps.saturating_sub(1).max(1));
            let begin = |step: u32| second(seconds) * step / steps;
            let step = |step| (begin(step), begin(step + 1), from + rise * f64::from(step));
            (0..steps).map(step).collect()
        }
        Rate::Spike {
            per_second,
            times,
            at,
            lasts,
        } => {
            let (begin, end) = (second(at), second(at.saturating_add(lasts)));
            vec![
                (Duration::ZERO, begin, per_second),
                (begin, end, per_second * times),
                (end, second(seconds), per_second),
            ]
        }
        Rate::Unlimited { .. } => Vec::new(),
    }
}
