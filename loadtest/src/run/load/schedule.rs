//! When events are due.

use std::collections::VecDeque;
use std::time::Duration;

use super::rates::rates;
use super::whole;
use crate::run::scenario::Rate;

/// One event, in units of 10⁻⁹ events a second times 10⁻⁹ seconds.
const EVENT: u128 = 1_000_000_000_000_000_000;

/// Due times, ascending. Events are counted in integers from the very beginning, so that nothing
/// drifts, and a fraction of an event that is left over by one part of a ramp goes to the next.
#[derive(Debug)]
pub(crate) struct Schedule {
    parts: VecDeque<Part>,
    next: u64,
    events: u64,
}

/// A time of one rate.
#[derive(Debug)]
struct Part {
    begin: Duration,
    /// 10⁻⁹ events a second.
    rate: u128,
    /// What is due before it.
    before: u128,
    /// What is due before its end.
    after: u128,
}

impl Schedule {
    /// The due times of a rate that lasts so many seconds.
    pub(crate) fn new(rate: Rate, seconds: u32) -> Self {
        let (mut parts, mut before) = (VecDeque::new(), 0);
        for (begin, end, rate) in rates(rate, seconds) {
            let rate = u128::from(whole(rate * 1e9));
            let after = before + rate * end.saturating_sub(begin).as_nanos();
            let part = Part {
                begin,
                rate,
                before,
                after,
            };
            parts.push_back(part);
            before = after;
        }
        let events = match rate {
            Rate::Unlimited { events } => events,
            Rate::Steady { .. } | Rate::Ramp { .. } | Rate::Spike { .. } => {
                u64::try_from(before.div_ceil(EVENT)).unwrap_or(u64::MAX)
            }
        };
        Self {
            parts,
            next: 0,
            events,
        }
    }

    /// How many there are in all.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next == self.events {
            return None;
        }
        let due = u128::from(self.next) * EVENT;
        self.next += 1;
        while self.parts.front().is_some_and(|part| part.after <= due) {
            self.parts.pop_front();
        }
        let Some(part) = self.parts.front() else {
            return Some(Duration::ZERO);
        };
        let nanos = u64::try_from((due - part.before) / part.rate).unwrap_or(u64::MAX);
        Some(part.begin + Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::load::steps;

    fn due(rate: Rate, seconds: u32) -> Vec<Duration> {
        let schedule = Schedule::new(rate, seconds);
        let events = usize::try_from(schedule.events()).unwrap();
        let due: Vec<_> = schedule.collect();
        assert_eq!(due.len(), events);
        assert!(due.is_sorted());
        due
    }

    fn between(due: &[Duration], begin: u64, end: u64) -> usize {
        let (begin, end) = (Duration::from_secs(begin), Duration::from_secs(end));
        due.iter().filter(|at| (begin..end).contains(*at)).count()
    }

    #[test]
    fn a_steady_rate_has_its_events_in_every_second_and_none_after_the_end() {
        for (per_second, each) in [(1.0, 1), (3.0, 3), (7.0, 7), (1009.0, 1009)] {
            let due = due(Rate::Steady { per_second }, 61);
            assert_eq!(due.len(), each * 61);
            for second in 0..61 {
                assert_eq!(between(&due, second, second + 1), each);
            }
        }
    }

    #[test]
    fn spacing_does_not_drift_in_a_day_of_an_uneven_rate() {
        let last = Schedule::new(Rate::Steady { per_second: 3.0 }, 86_400).last();
        assert_eq!(last, Some(Duration::new(86_399, 666_666_666)));
        let rare = due(Rate::Steady { per_second: 0.1 }, 25);
        assert_eq!(rare, [0, 10, 20].map(Duration::from_secs));
    }

    #[test]
    fn a_ramp_rises_in_equal_steps_and_has_the_sum_of_their_rates() {
        let rate = Rate::Ramp {
            from: 100.0,
            to: 1200.0,
            steps: 12,
            stop_when_missed: false,
        };
        let due = due(rate, 120);
        assert_eq!(due.len(), 78_000);
        let steps = steps(rate, 120);
        assert_eq!(steps.len(), 12);
        let mut wanted = 100;
        for (begin, end, rate) in steps {
            let events = between(&due, begin.as_secs(), end.as_secs());
            assert_eq!(end, begin + Duration::from_secs(10));
            assert_eq!(
                (events, whole(rate)),
                (wanted * 10, u64::try_from(wanted).unwrap())
            );
            wanted += 100;
        }
    }

    #[test]
    fn steps_of_a_ramp_join_though_they_do_not_last_whole_seconds() {
        for count in 1..50 {
            let rate = Rate::Ramp {
                from: 10.0,
                to: 10.0,
                steps: count,
                stop_when_missed: false,
            };
            assert_eq!(due(rate, 60).len(), 600, "{count} steps");
            let steps = steps(rate, 60);
            assert!(steps.windows(2).all(|pair| pair[0].1 == pair[1].0));
            assert_eq!(steps[0].0, Duration::ZERO);
            assert_eq!(steps.last().unwrap().1, Duration::from_mins(1));
        }
        assert_eq!(steps(Rate::Steady { per_second: 1.0 }, 60), []);
    }

    #[test]
    fn a_spike_is_many_times_the_rate_while_it_lasts_and_ends_with_the_run() {
        let spike = |at| Rate::Spike {
            per_second: 50.0,
            times: 10.0,
            at,
            lasts: 5,
        };
        let inside = due(spike(15), 45);
        assert_eq!(between(&inside, 0, 15), 750);
        assert_eq!(between(&inside, 15, 20), 2500);
        assert_eq!(between(&inside, 20, 45), 1250);
        assert_eq!(due(spike(43), 45).len(), 43 * 50 + 2 * 500);
        assert_eq!(due(spike(60), 45).len(), 45 * 50);
    }

    #[test]
    fn an_unlimited_rate_has_all_its_events_due_at_once() {
        assert_eq!(due(Rate::Unlimited { events: 3 }, 60), [Duration::ZERO; 3]);
    }
}
