//! When a refresh is due. Pure: positions and times are passed in.
//!
//! Guarantee: starts lie apart by a day divided by the budget, or more. Only so is each change in a
//! refresh within that time, whenever changes come, and are there never more than the budget in any
//! 24 hours: what is started earlier on one day is lacking later, when a change may come, too.

use std::time::Duration;

use super::{End, Progress, Seen, Trouble};
use crate::event::proto::{RefreshRun, RefreshState};
use crate::time::{Millis, as_millis};

const DAY: Millis = 24 * 60 * 60 * 1000;
/// An answer to a request is not awaited for longer than 100 s after the request was kept, by which
/// time what was sent is in the history of the target: what is not was never sent.
const SURE: Millis = 120_000;
/// A refresh that was started, and of which the target does not tell for so long, is given up.
const GIVEN_UP: Millis = 60 * 60 * 1000;
/// The same, where the target answers nothing that can be used: longer than it is away for, and than
/// a pause that it asks for.
const NO_ANSWER: Millis = 6 * GIVEN_UP;

/// How far apart refreshes of one dashboard start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    apart: Millis,
}

impl Pacing {
    /// At most so many in any 24 hours, and none sooner after another than `min_interval`.
    pub fn new(budget_per_day: u32, min_interval: Duration) -> Self {
        let budget = Millis::from(budget_per_day.max(1));
        // Rounded up: the last of a day must not be a moment within it.
        let even = (DAY + budget - 1) / budget;
        Self {
            apart: even.max(as_millis(min_interval)),
        }
    }

    /// From when on the next one may be started, ms.
    pub fn next(self, state: &RefreshState) -> Millis {
        match state.started_time {
            0 => Millis::MIN,
            started => started.saturating_add(self.apart),
        }
    }
}

/// Whether a group that has committed this is elsewhere than at `positions`. A partition in which
/// nothing was ever committed, or of which nothing is known, says nothing.
pub fn differs(positions: &[u64], committed: &[Option<u64>]) -> bool {
    let pairs = committed.iter().enumerate();
    pairs
        .filter_map(|(partition, position)| Some((partition, (*position)?)))
        .any(|(partition, position)| {
            position != positions.get(partition).copied().unwrap_or_default()
        })
}

impl RefreshState {
    /// Whether something is committed that the dashboard does not show. A group that was set back
    /// writes again what it wrote: that counts, too.
    pub fn is_behind(&self, committed: &[Option<u64>]) -> bool {
        differs(&self.shown, committed)
    }

    /// A refresh is about to be asked for, which will show what is committed now.
    pub fn begin(&mut self, committed: &[Option<u64>], now: Millis) {
        let mut positions = self.shown.clone();
        positions.resize(positions.len().max(committed.len()), 0);
        for (position, committed) in positions.iter_mut().zip(committed) {
            *position = committed.unwrap_or(*position);
        }
        self.run = Some(RefreshRun {
            positions,
            asked_time: now,
            started: false,
            id: String::new(),
        });
    }

    /// It was started, at the latest at `time`.
    pub fn started(&mut self, id: Option<String>, time: Millis) {
        if let Some(run) = &mut self.run {
            run.started = true;
            run.id = id.unwrap_or_default();
            self.started_time = time;
        }
    }

    /// It was not started.
    pub fn not_started(&mut self) {
        self.run = None;
    }

    /// It has ended. One that failed has spent its part of the budget all the same.
    pub fn ended(&mut self, succeeded: bool) {
        if let Some(run) = self.run.take()
            && succeeded
        {
            self.shown = run.positions;
        }
    }

    /// What a look at the target says of `run`, which is under way. How it ended, if it
    /// did.
    pub fn learns(
        &mut self,
        run: &RefreshRun,
        looked: &Result<Option<Seen>, Trouble>,
        now: Millis,
    ) -> Option<End> {
        let age = now.saturating_sub(run.asked_time);
        match (looked, run.started) {
            (Ok(Some(seen)), _) => return self.sees(run, seen, now),
            // Who may not look: Tableau queues no job twice, and one that was taken has run by then.
            (Ok(None) | Err(Trouble::Refused { .. }), false) if age >= SURE => self.not_started(),
            (Err(Trouble::Refused { .. }), true) if age >= GIVEN_UP => self.ended(true),
            // What is asked for while others wait may be dropped without a word.
            (Ok(None), true) if age >= GIVEN_UP => {
                self.ended(false);
                return Some(End::Failed);
            }
            (Err(_), false) if age >= NO_ANSWER => self.not_started(),
            (Err(_), true) if age >= NO_ANSWER => {
                self.ended(false);
                return Some(End::Failed);
            }
            (Ok(None) | Err(_), _) => {}
        }
        None
    }

    fn sees(&mut self, run: &RefreshRun, seen: &Seen, now: Millis) -> Option<End> {
        if !run.started {
            // By our clock it began after it was asked for, and before now.
            let time = seen.started.clamp(run.asked_time, now.max(run.asked_time));
            self.started(Some(seen.id.clone()), time);
        }
        let Progress::Ended(end) = seen.progress else {
            return None;
        };
        self.ended(end == End::Succeeded);
        Some(end)
    }

    /// No refresh was started later than now, whatever the clock of who started it said.
    pub fn bound(&mut self, now: Millis) {
        self.started_time = self.started_time.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOUR: Millis = 60 * 60 * 1000;

    /// A world in which changes come at these times, and refreshes last and end like these: when
    /// they started.
    fn play(pacing: Pacing, changes: &[Millis], mut runs: Vec<(Millis, bool)>) -> Vec<Millis> {
        let (mut state, mut starts, mut committed) = (RefreshState::default(), Vec::new(), 0);
        let mut changes = changes.iter().copied().peekable();
        let mut end: Option<(Millis, bool)> = None;
        loop {
            let due = (end.is_none() && state.is_behind(&[Some(committed)]))
                .then(|| pacing.next(&state).max(0));
            let next = [changes.peek().copied(), end.map(|(time, _)| time), due];
            let Some(now) = next.into_iter().flatten().min() else {
                return starts;
            };
            // Time does not go back for what was due already.
            let now = now.max(starts.last().copied().unwrap_or_default());
            while changes.next_if(|time| *time <= now).is_some() {
                committed += 1;
            }
            if let Some((_, succeeded)) = end.take_if(|(time, _)| *time <= now) {
                state.ended(succeeded);
            }
            let behind = state.is_behind(&[Some(committed)]);
            if state.run.is_none() && behind && now >= pacing.next(&state) {
                state.begin(&[Some(committed)], now);
                state.started(None, now);
                starts.push(now);
                let (lasts, succeeded) = runs.pop().unwrap_or((0, true));
                end = Some((now + lasts.min(pacing.apart), succeeded));
            }
        }
    }

    proptest! {
        #[test]
        fn every_change_is_in_a_refresh_within_a_day_divided_by_the_budget_and_no_day_has_more(
            budget in 1_u32..=48,
            mut changes in prop::collection::vec(1..3 * DAY, 1..60),
            runs in prop::collection::vec((0..DAY, prop::bool::weighted(0.8)), 0..100),
        ) {
            changes.sort_unstable();
            let pacing = Pacing::new(budget, Duration::ZERO);
            let starts = play(pacing, &changes, runs);
            let bound = DAY / Millis::from(budget) + 1;
            for change in &changes {
                let seen = starts.iter().any(|start| (*change..=change + bound).contains(start));
                prop_assert!(seen, "{change} of {starts:?}");
            }
            for start in &starts {
                let day = starts.iter().filter(|other| (*start..start + DAY).contains(other));
                prop_assert!(day.count() <= usize::try_from(budget).unwrap(), "{starts:?}");
            }
        }

        #[test]
        fn without_a_change_nothing_is_refreshed_and_one_is_refreshed_once(at in 1..DAY) {
            let pacing = Pacing::new(8, Duration::ZERO);
            prop_assert_eq!(play(pacing, &[], Vec::new()), Vec::<Millis>::new());
            prop_assert_eq!(play(pacing, &[at], Vec::new()), vec![at]);
        }
    }

    #[test]
    fn with_a_budget_of_8_a_change_at_23_59_is_in_a_refresh_within_3_hours() {
        let pacing = Pacing::new(8, Duration::from_mins(15));
        // Somebody works all day long.
        let late = DAY - 60_000;
        let mut changes: Vec<Millis> = (1..24 * 60).map(|minute| minute * 60_000).collect();
        changes.push(late);
        let starts = play(pacing, &changes, Vec::new());
        let after = starts.iter().find(|start| **start >= late).unwrap();
        assert!(*after <= late + 3 * HOUR, "{starts:?}");
        assert_eq!(starts.first(), Some(&60_000), "the first one at once");
        assert_eq!(starts.len(), 9, "{starts:?}");
    }

    #[test]
    fn a_refresh_of_which_the_target_never_tells_anything_is_given_up_and_asked_for_again() {
        let silent = Err(Trouble::Unreachable("answer: expected a string".to_owned()));
        for (started, end) in [(true, Some(End::Failed)), (false, None)] {
            let mut state = RefreshState::default();
            state.begin(&[Some(3)], 10);
            if started {
                state.started(Some("a".to_owned()), 10);
            }
            let run = state.run.clone().unwrap();
            assert_eq!(state.learns(&run, &silent, 9 + 6 * HOUR), None);
            assert!(state.run.is_some(), "{started}");
            assert_eq!(state.learns(&run, &silent, 10 + 6 * HOUR), end);
            assert!(
                state.run.is_none() && state.is_behind(&[Some(3)]),
                "{started}"
            );
        }
    }

    #[test]
    fn an_interval_longer_than_the_budget_asks_for_counts() {
        let pacing = Pacing::new(8, Duration::from_hours(4));
        let starts = play(pacing, &[1, 2, 5 * HOUR], Vec::new());
        assert_eq!(starts, [1, 1 + 4 * HOUR, 1 + 8 * HOUR]);
    }

    #[test]
    fn a_partition_of_which_nothing_is_known_says_nothing_and_a_group_set_back_does() {
        let mut state = RefreshState::default();
        assert!(!state.is_behind(&[None, None]));
        assert!(state.is_behind(&[None, Some(3)]));
        state.begin(&[None, Some(3)], 10);
        state.started(None, 10);
        state.ended(true);
        assert_eq!(state.shown, [0, 3]);
        assert!(!state.is_behind(&[None, Some(3)]));
        assert!(!state.is_behind(&[Some(0), None]));
        assert!(state.is_behind(&[Some(0), Some(2)]), "set back");
        state.begin(&[Some(7), None], 20);
        assert_eq!(state.run.as_ref().unwrap().positions, [7, 3]);
        state.not_started();
        assert_eq!(
            (state.started_time, state.is_behind(&[Some(7)])),
            (10, true)
        );
    }

    #[test]
    fn a_start_in_the_future_of_a_wrong_clock_holds_nothing_back_for_longer_than_a_turn() {
        let pacing = Pacing::new(8, Duration::ZERO);
        let mut state = RefreshState {
            started_time: 365 * DAY,
            ..RefreshState::default()
        };
        state.bound(DAY);
        assert_eq!(pacing.next(&state), DAY + 3 * HOUR);
    }
}
