//! The breaker of one sink: it opens on failures of several lanes, never of one.
//!
//! A record that fails by itself therefore cannot hold it open, and while it is open no one's
//! retry budget is spent. Pure: time is passed in.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::Subject;
use crate::time::{Millis, as_millis};

/// Failures of this many lanes, with no success between, open it.
const LANES: usize = 3;
/// The first wait; doubled with each failed probe.
const FIRST_WAIT: Millis = 500;
/// The longest wait.
const LONGEST_WAIT: Millis = 15_000;
/// How long a probe may stay without an answer before another lane may try.
const PROBE_PATIENCE: Millis = 120_000;

/// Whether a lane may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// Send.
    Go,
    /// Ask again at this time, or when something changed.
    NotBefore(Millis),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Circuit {
    Closed {
        failed: BTreeSet<Subject>,
    },
    Open {
        until: Millis,
        trips: u32,
    },
    Probing {
        lane: Subject,
        since: Millis,
        trips: u32,
    },
}

/// State of the circuit to one sink.
#[derive(Debug, Clone)]
pub struct Breaker {
    circuit: Circuit,
    last_probe: Option<Subject>,
}

impl Default for Breaker {
    fn default() -> Self {
        Self {
            circuit: Circuit::Closed {
                failed: BTreeSet::new(),
            },
            last_probe: None,
        }
    }
}

impl Breaker {
    /// May `lane` send now? When the wait of an open circuit is over, one lane probes; another
    /// than the last, if `others` wait.
    pub fn permit(&mut self, lane: &Subject, others: bool, now: Millis) -> Permit {
        match &self.circuit {
            Circuit::Closed { .. } => Permit::Go,
            Circuit::Open { until, .. } if now < *until => Permit::NotBefore(*until),
            Circuit::Probing { since, .. } if now < since.saturating_add(PROBE_PATIENCE) => {
                Permit::NotBefore(since.saturating_add(PROBE_PATIENCE))
            }
            Circuit::Open { trips, .. } | Circuit::Probing { trips, .. } => {
                if others && self.last_probe.as_ref() == Some(lane) {
                    return Permit::NotBefore(now.saturating_add(FIRST_WAIT));
                }
                self.circuit = Circuit::Probing {
                    lane: lane.clone(),
                    since: now,
                    trips: *trips,
                };
                self.last_probe = Some(lane.clone());
                Permit::Go
            }
        }
    }

    /// A send of `lane` reached the sink and was answered.
    pub fn answered(&mut self) {
        self.circuit = Circuit::Closed {
            failed: BTreeSet::new(),
        };
        self.last_probe = None;
    }

    /// A send of `lane` failed in a way that speaks against the sink. `at_least` opens the
    /// circuit at once, for that long.
    pub fn failed(&mut self, lane: &Subject, at_least: Option<Duration>, now: Millis) {
        let open = |trips: u32| {
            let wait = FIRST_WAIT
                .saturating_mul(1 << trips.min(10))
                .min(LONGEST_WAIT);
            let wait = wait.max(at_least.map_or(0, as_millis));
            Circuit::Open {
                until: now.saturating_add(wait),
                trips: trips.saturating_add(1),
            }
        };
        match &mut self.circuit {
            Circuit::Closed { failed } => {
                failed.insert(lane.clone());
                if failed.len() >= LANES || at_least.is_some() {
                    self.circuit = open(0);
                }
            }
            Circuit::Open { until, .. } => {
                if let Some(wait) = at_least {
                    *until = (*until).max(now.saturating_add(as_millis(wait)));
                }
            }
            Circuit::Probing {
                lane: probe, trips, ..
            } => {
                if probe == lane || at_least.is_some() {
                    let trips = *trips;
                    self.circuit = open(trips);
                }
            }
        }
    }

    /// Whether sends are held back.
    pub fn is_open(&self) -> bool {
        !matches!(self.circuit, Circuit::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> Subject {
        Subject::new("t", name)
    }

    #[test]
    fn failures_of_one_lane_never_open_it() {
        let mut breaker = Breaker::default();
        for now in 0..100 {
            breaker.failed(&lane("poison"), None, now);
        }
        assert!(!breaker.is_open());
    }

    #[test]
    fn three_lanes_open_it_and_one_probe_closes_it() {
        let mut breaker = Breaker::default();
        for name in ["a", "b", "c"] {
            breaker.failed(&lane(name), None, 0);
        }
        assert_eq!(
            breaker.permit(&lane("a"), true, 10),
            Permit::NotBefore(FIRST_WAIT)
        );
        assert_eq!(breaker.permit(&lane("a"), true, FIRST_WAIT), Permit::Go);
        assert!(matches!(
            breaker.permit(&lane("b"), true, FIRST_WAIT),
            Permit::NotBefore(_)
        ));
        breaker.answered();
        assert_eq!(breaker.permit(&lane("b"), true, FIRST_WAIT), Permit::Go);
    }

    #[test]
    fn the_next_probe_is_another_lane_than_the_last() {
        let mut breaker = Breaker::default();
        for name in ["a", "b", "c"] {
            breaker.failed(&lane(name), None, 0);
        }
        assert_eq!(breaker.permit(&lane("a"), true, 1000), Permit::Go);
        breaker.failed(&lane("a"), None, 1000);
        assert!(matches!(
            breaker.permit(&lane("a"), true, 60_000),
            Permit::NotBefore(_)
        ));
        assert_eq!(breaker.permit(&lane("b"), true, 60_000), Permit::Go);
    }
}
