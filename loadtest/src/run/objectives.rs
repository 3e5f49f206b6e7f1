//! What has to be reached, and whether it was. The defaults are the targets of INT-004, section 6.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::report::{Account, Latency, Report, Verdict};
use crate::Failed;

/// What has to be reached. What is left out (or `null`) is not judged; what is never left out is that
/// every event is accounted for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Objectives {
    /// Records behind, of any group at any second, fewer than.
    pub(crate) lag_below: Option<u64>,
    /// From the scheduled time to the sink that is the slowest, ms, p99.
    pub(crate) delivered_p99_ms: Option<f64>,
    /// The same, p99.9.
    pub(crate) delivered_p999_ms: Option<f64>,
    /// From the scheduled time to the acknowledgement, ms, p99.
    pub(crate) accepted_p99_ms: Option<f64>,
    /// Of a step of a ramp: how far the sender is behind its schedule, ms, p99.
    pub(crate) behind_p99_ms: Option<f64>,
    /// Of a ramp: events a second that are reached within the bounds of lag and latency, at least;
    /// those of its first step if left out.
    pub(crate) rate_at_least: Option<f64>,
    /// Part of the accepted events that went wrong at a sink, percent, less than.
    pub(crate) errors_below_percent: Option<f64>,
    /// Dead letters, at most.
    pub(crate) dead_letters: Option<u64>,
    /// Events that a sink shows more than once, at most.
    pub(crate) repeated: Option<u64>,
    /// Part of the webhook requests that are answered 2xx, percent, more than.
    pub(crate) webhook_success_percent: Option<f64>,
}

impl Default for Objectives {
    fn default() -> Self {
        Self {
            lag_below: Some(1000),
            delivered_p99_ms: Some(10_000.0),
            delivered_p999_ms: None,
            accepted_p99_ms: None,
            behind_p99_ms: Some(500.0),
            rate_at_least: None,
            errors_below_percent: Some(0.1),
            dead_letters: Some(0),
            repeated: Some(0),
            webhook_success_percent: Some(99.5),
        }
    }
}

impl Objectives {
    /// Only that every event is accounted for, once.
    pub(crate) fn none() -> Self {
        Self {
            lag_below: None,
            delivered_p99_ms: None,
            delivered_p999_ms: None,
            accepted_p99_ms: None,
            behind_p99_ms: None,
            rate_at_least: None,
            errors_below_percent: None,
            dead_letters: None,
            repeated: Some(0),
            webhook_success_percent: None,
        }
    }

    /// Those of a YAML file.
    ///
    /// # Errors
    /// What is wrong, with the place.
    pub(crate) fn read(path: &Path) -> Result<Self, Failed> {
        let failed = |why: String| format!("--objectives {}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        let read = serde_saphyr::from_str(&text);
        Ok(read.map_err(|error| failed(error.to_string()))?)
    }

    /// Judges what was measured.
    pub(crate) fn judge(&self, report: &Report) -> Vec<Verdict> {
        let mut verdicts = vec![accounted(report)];
        verdicts.extend(self.counts(report));
        if report.steps.is_empty() {
            verdicts.extend(self.lag(report));
            verdicts.extend(self.latencies(report));
        } else {
            verdicts.push(self.rate(report));
        }
        verdicts
    }

    fn counts(&self, report: &Report) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        verdicts.extend(self.errors_below_percent.map(|bound| {
            let wrong = |sink: &Account| sink.lost + sink.invented + sink.dead_lettered;
            // The last step of a ramp may be too much to be accepted: its steps are judged for that.
            let refused = if report.steps.is_empty() {
                report.sent.refused
            } else {
                0
            };
            let wrong = report.sinks.iter().map(wrong).max().unwrap_or(0) + refused;
            let part = percent(wrong, report.sent.scheduled);
            let measured = format!("{part:.3} %");
            verdict(
                "error rate",
                &format!("< {bound} %"),
                measured,
                part < bound,
            )
        }));
        for (name, bound, count) in [
            (
                "dead letters",
                self.dead_letters,
                sum(report, |sink| sink.dead_lettered),
            ),
            (
                "seen more than once",
                self.repeated,
                sum(report, |sink| sink.repeated),
            ),
        ] {
            verdicts.extend(bound.map(|bound| {
                verdict(
                    name,
                    &format!("≤ {bound}"),
                    count.to_string(),
                    count <= bound,
                )
            }));
        }
        let requests = report.sent.webhook_requests;
        let judged = requests > 0 && report.steps.is_empty();
        if let Some(bound) = self.webhook_success_percent.filter(|_| judged) {
            let part = percent(report.sent.webhook_accepted, requests);
            let (wanted, measured) = (format!("> {bound} %"), format!("{part:.2} %"));
            verdicts.push(verdict(
                "webhooks answered 2xx",
                &wanted,
                measured,
                part > bound,
            ));
        }
        verdicts
    }

    fn lag(&self, report: &Report) -> Option<Verdict> {
        let bound = self.lag_below?;
        let seconds = report.timeline.iter();
        let lag = seconds
            .flat_map(|second| second.lag.values().copied())
            .max();
        let measured = lag.map_or("not known".to_owned(), |lag| lag.to_string());
        let met = lag.is_some_and(|lag| lag < bound);
        Some(verdict(
            "consumer lag",
            &format!("< {bound}"),
            measured,
            met,
        ))
    }

    /// Of a ramp, whose last steps are meant to be too much: its steps were judged by themselves, and
    /// the whole is held against the highest one that met the objectives.
    fn rate(&self, report: &Report) -> Verdict {
        let first = report.steps.first().map_or(0.0, |step| step.rate);
        let bound = self.rate_at_least.unwrap_or(first);
        let reached = report.highest_rate.unwrap_or_default();
        let what = "events a second that met the objectives of a step";
        let measured = format!("{reached:.0}");
        verdict(what, &format!("≥ {bound:.0}"), measured, reached >= bound)
    }

    fn latencies(&self, report: &Report) -> Vec<Verdict> {
        let slowest = |prefix: &str, of: fn(&Latency) -> f64| {
            let stages = report.stages.iter();
            let stages = stages.filter(|stage| stage.name.starts_with(prefix));
            stages.map(|stage| of(&stage.latency)).fold(0.0, f64::max)
        };
        let latencies = [
            (
                "delivered, p99",
                self.delivered_p99_ms,
                slowest("delivered", |it| it.p99),
            ),
            (
                "delivered, p99.9",
                self.delivered_p999_ms,
                slowest("delivered", |it| it.p999),
            ),
            (
                "accepted, p99",
                self.accepted_p99_ms,
                slowest("accepted", |it| it.p99),
            ),
        ];
        let judged = latencies.into_iter().filter_map(|(name, bound, measured)| {
            let bound = bound?;
            let met = report.sent.accepted > 0 && measured <= bound;
            Some(verdict(
                name,
                &format!("≤ {bound} ms"),
                format!("{measured:.1} ms"),
                met,
            ))
        });
        judged.collect()
    }
}

/// Over all sinks.
fn sum(report: &Report, of: fn(&Account) -> u64) -> u64 {
    report.sinks.iter().map(of).sum()
}

/// Nothing lost, nothing invented, nothing older than what was there.
fn accounted(report: &Report) -> Verdict {
    let (lost, invented, regressed) = (
        sum(report, |it| it.lost),
        sum(report, |it| it.invented),
        sum(report, |it| it.regressed),
    );
    let met = lost == 0 && invented == 0 && regressed == 0 && !report.sinks.is_empty();
    let measured = if met {
        "all are".to_owned()
    } else {
        format!("{lost} lost, {invented} invented, {regressed} older than before")
    };
    verdict(
        "every event accounted for at every sink",
        "all",
        measured,
        met,
    )
}

pub(super) fn verdict(objective: &str, wanted: &str, measured: String, met: bool) -> Verdict {
    Verdict {
        objective: objective.to_owned(),
        wanted: wanted.to_owned(),
        measured,
        met,
    }
}

/// `part` of `all`, percent; 0 of nothing.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^52"
)]
pub(super) fn percent(part: u64, all: u64) -> f64 {
    if all == 0 {
        0.0
    } else {
        part as f64 * 100.0 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{Second, Sent, Stage, Step};
    use super::*;

    /// What goes wrong, and what is missed then.
    type Spoil = (fn(&mut Report), &'static [&'static str]);

    /// A run in which all went well.
    fn report() -> Report {
        let latency = Latency {
            count: 10,
            p99: 9000.0,
            ..Latency::default()
        };
        let second = Second {
            lag: [("a".to_owned(), 999)].into(),
            ..Second::default()
        };
        Report {
            sent: Sent {
                scheduled: 1000,
                accepted: 1000,
                webhook_requests: 1000,
                webhook_accepted: 996,
                ..Sent::default()
            },
            stages: vec![Stage {
                name: "delivered to a".to_owned(),
                latency,
            }],
            sinks: vec![Account::default()],
            timeline: vec![second],
            ..Report::default()
        }
    }

    fn missed(report: &Report) -> Vec<String> {
        let verdicts = Objectives::default().judge(report).into_iter();
        let missed = verdicts.filter(|verdict| !verdict.met);
        missed.map(|verdict| verdict.objective).collect()
    }

    #[test]
    fn the_targets_of_int_004_are_the_default_and_each_can_be_missed() {
        assert_eq!(missed(&report()), Vec::<String>::new());
        let spoil: [Spoil; 7] = [
            (
                |it| it.timeline[0].lag = [("a".to_owned(), 1000)].into(),
                &["consumer lag"],
            ),
            (
                |it| it.stages[0].latency.p99 = 10_001.0,
                &["delivered, p99"],
            ),
            (
                |it| it.sinks[0].dead_lettered = 1,
                &["error rate", "dead letters"],
            ),
            (
                |it| it.sent.webhook_accepted = 995,
                &["webhooks answered 2xx"],
            ),
            (|it| it.sinks[0].repeated = 1, &["seen more than once"]),
            (
                |it| it.sinks[0].regressed = 1,
                &["every event accounted for at every sink"],
            ),
            (
                |it| it.sinks.clear(),
                &["every event accounted for at every sink"],
            ),
        ];
        for (spoil, wanted) in spoil {
            let mut report = report();
            spoil(&mut report);
            assert_eq!(missed(&report), wanted);
        }
    }

    #[test]
    fn a_lag_that_nobody_tells_is_not_met() {
        let mut report = report();
        report.timeline.clear();
        assert_eq!(missed(&report), ["consumer lag"]);
    }

    #[test]
    fn a_ramp_is_judged_by_the_rate_that_it_reached() {
        let mut report = report();
        report.stages[0].latency.p99 = 99_000.0;
        report.steps = vec![Step {
            rate: 100.0,
            ..Step::default()
        }];
        assert_eq!(missed(&report).len(), 1);
        report.highest_rate = Some(100.0);
        assert_eq!(missed(&report), Vec::<String>::new());
    }

    #[test]
    fn where_only_accounting_counts_a_lost_event_is_still_missed() {
        let mut report = report();
        report.sinks[0].lost = 1;
        let verdicts = Objectives::none().judge(&report);
        let missed: Vec<_> = verdicts.iter().filter(|verdict| !verdict.met).collect();
        assert_eq!(missed.len(), 1);
    }
}
