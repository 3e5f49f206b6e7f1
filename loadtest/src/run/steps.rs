//! The steps of a ramp, and the highest rate that met the objectives.

use super::load::steps;
use super::report::{Report, Second, Step};
use super::scenario::Scenario;

/// Adds what each step of a ramp reached.
pub(crate) fn tell(scenario: &Scenario, report: &mut Report) {
    let objectives = &scenario.objectives;
    let steps = steps(scenario.rate, scenario.seconds);
    let told = steps.into_iter().map(|(from, to, rate)| {
        let within = |second: &&Second| (from.as_secs()..to.as_secs()).contains(&second.at);
        let seconds = || report.timeline.iter().filter(within);
        let p99 = seconds().flat_map(|second| second.latency.values().map(|[_, p99, _]| *p99));
        let delivered_p99 = p99.fold(0.0, f64::max);
        let lag = seconds()
            .flat_map(|second| second.lag.values().copied())
            .max();
        let lag = lag.unwrap_or_default();
        let sent = seconds().any(|second| second.scheduled > 0);
        let met = sent
            && objectives
                .delivered_p99_ms
                .is_none_or(|bound| delivered_p99 <= bound)
            && objectives.lag_below.is_none_or(|bound| lag < bound);
        Step {
            rate,
            delivered_p99,
            lag,
            met,
        }
    });
    report.steps = told.collect();
    let met = report.steps.iter().take_while(|step| step.met);
    report.highest_rate = met.last().map(|step| step.rate);
}
