//! Judges steps while events are sent, and once more when all is settled.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Totals;
use super::judge::missed;
use super::reached::Reached;
use crate::Failed;
use crate::run::ledger::{Ledger, Micros};
use crate::run::load::steps;
use crate::run::objectives::Objectives;
use crate::run::report::{Report, Step};
use crate::run::sample::micros;
use crate::run::scenario::{Rate, Scenario};

/// Between two looks at a step that is over, and of which not every event has arrived.
const LOOK: Duration = Duration::from_secs(1);
/// What no one accounts for after so long is lost, as far as can be told.
const PATIENCE: Micros = 30_000_000;

/// The steps of a ramp. Any other rate has none.
#[derive(Debug)]
pub(crate) struct Ramp {
    /// Begin, end, events a second.
    steps: Vec<(Duration, Duration, f64)>,
    pub(super) objectives: Objectives,
    /// A step that misses the objectives is the last one.
    stops: bool,
    pub(super) ledger: Arc<Ledger>,
    seen: Mutex<Looks>,
}

/// What was seen meanwhile.
#[derive(Debug, Default)]
struct Looks {
    /// When, and the largest lag of any group then.
    lags: Vec<(Micros, u64)>,
    /// What was counted up to the end of each step that is over.
    totals: Vec<Totals>,
    /// What each step that is over missed, so far.
    missed: Vec<Vec<String>>,
    /// Sending was stopped then.
    stopped: Option<Duration>,
}

impl Ramp {
    /// The steps of a scenario.
    pub(crate) fn new(scenario: &Scenario, ledger: Arc<Ledger>) -> Self {
        Self {
            steps: steps(scenario.rate, scenario.seconds),
            objectives: scenario.objectives.clone(),
            stops: matches!(scenario.rate, Rate::Ramp { stop_when_missed, .. } if stop_when_missed),
            ledger,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Looks> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lags of all groups at a moment.
    pub(crate) fn lags<'a>(&self, at: Micros, lags: impl Iterator<Item = &'a u64>) {
        let largest = lags.max().map(|lag| (at, *lag));
        self.seen().lags.extend(largest);
    }

    /// Judges each step when it is over, and again until all of its events have arrived. If one misses
    /// the objectives, and that is to be the end, it sets `enough` and tells what was missed. Never
    /// ends by itself.
    ///
    /// # Errors
    /// As [`Ledger`]'s figures.
    pub(crate) async fn watch(
        &self,
        start: Instant,
        totals: impl AsyncFn() -> Totals,
        enough: &AtomicBool,
        say: impl Fn(&str),
    ) -> Result<Infallible, Failed> {
        let mut open = Vec::new();
        while let Some(look) = self.next_look(start, !open.is_empty()) {
            tokio::time::sleep_until(look).await;
            open.extend(self.ended(start.elapsed(), totals().await));
            let now = start.elapsed();
            let mut still = Vec::new();
            for number in open {
                let (reached, missed) = self.judge(number, micros(now), PATIENCE)?;
                if missed.is_empty() {
                    still.extend((reached.open > 0).then_some(number));
                    continue;
                }
                let rate = self.steps.get(number).map_or(0.0, |(_, _, rate)| *rate);
                let what = missed.join("; ");
                say(&format!("{rate:.0} events a second missed {what}"));
                self.misses(number, missed);
                if self.stops {
                    self.seen().stopped = Some(now);
                    enough.store(true, Ordering::Relaxed);
                    return std::future::pending().await;
                }
            }
            open = still;
        }
        std::future::pending().await
    }

    /// When a step ends next; after a moment at the latest if one is still open.
    fn next_look(&self, start: Instant, open: bool) -> Option<Instant> {
        let over = self.seen().totals.len();
        let end = self.steps.get(over).map(|(_, end, _)| start + *end);
        let soon = open.then(|| Instant::now() + LOOK);
        end.into_iter().chain(soon).min()
    }

    /// The steps that are over since the last look.
    fn ended(&self, now: Duration, totals: Totals) -> std::ops::Range<usize> {
        let over = self.steps.iter().filter(|(_, end, _)| *end <= now).count();
        let mut seen = self.seen();
        let before = seen.totals.len();
        seen.totals.resize(over, totals);
        seen.missed.resize(over, Vec::new());
        before..over
    }

    fn misses(&self, number: usize, missed: Vec<String>) {
        if let Some(of_step) = self.seen().missed.get_mut(number) {
            *of_step = missed;
        }
    }

    /// What a step reached, and which objectives it missed.
    fn judge(
        &self,
        number: usize,
        now: Micros,
        patience: Micros,
    ) -> Result<(Reached, Vec<String>), Failed> {
        let Some((from, to, _)) = self.steps.get(number) else {
            return Ok((Reached::default(), Vec::new()));
        };
        let within = (micros(*from), micros(*to));
        let reached = Reached::of(&self.ledger, within, now, patience)?;
        let seen = self.seen();
        let at = |index: usize| seen.totals.get(index).copied();
        let before = number.checked_sub(1).and_then(at).unwrap_or_default();
        let totals = (before, at(number).unwrap_or(before));
        let missed = missed(&self.objectives, &reached, seen.lag(within), totals);
        Ok((reached, missed))
    }

    /// Adds what each step reached, when all is settled at `now`. Of a ramp that was stopped those that
    /// were over by then.
    ///
    /// # Errors
    /// As [`Ledger`]'s figures.
    pub(crate) fn tell(
        &self,
        now: Duration,
        totals: Totals,
        report: &mut Report,
    ) -> Result<(), Failed> {
        let stopped = self.seen().stopped;
        self.ended(stopped.unwrap_or(now), totals);
        let over = self.seen().totals.len();
        for (number, (from, to, rate)) in self.steps.iter().enumerate().take(over) {
            let (reached, at_the_end) = self.judge(number, micros(now), 0)?;
            let seen = self.seen();
            let missed = seen.missed.get(number).filter(|all| !all.is_empty());
            let missed = missed.cloned().unwrap_or(at_the_end);
            report.steps.push(Step {
                rate: *rate,
                delivered_p99: reached.delivered.0,
                lag: seen.lag((micros(*from), micros(*to))).unwrap_or_default(),
                met: missed.is_empty(),
                missed,
            });
        }
        report.ended_early = stopped.is_some();
        let met = report.steps.iter().take_while(|step| step.met);
        report.highest_rate = met.last().map(|step| step.rate);
        Ok(())
    }
}

impl Looks {
    /// The largest lag of a step; where no one looked within it, the last one before.
    fn lag(&self, (from, to): (Micros, Micros)) -> Option<u64> {
        let within = self.lags.iter().filter(|(at, _)| (from..to).contains(at));
        let largest = within.map(|(_, lag)| *lag).max();
        let before = self.lags.iter().rev().find(|(at, _)| *at < from);
        largest.or(before.map(|(_, lag)| *lag))
    }
}
