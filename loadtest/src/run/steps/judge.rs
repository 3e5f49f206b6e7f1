//! Which objectives a step missed.

use super::Totals;
use super::reached::Reached;
use crate::run::objectives::{Objectives, percent, verdict};
use crate::run::report::Verdict;

/// The objectives that a step missed, in words. `lag` is the largest one of the step; `before` and
/// `after` were counted up to its begin and its end.
pub(super) fn missed(
    objectives: &Objectives,
    reached: &Reached,
    lag: Option<u64>,
    (before, after): (Totals, Totals),
) -> Vec<String> {
    let mut verdicts = vec![accounted(reached, after.wrong.saturating_sub(before.wrong))];
    verdicts.extend(objectives.lag_below.map(|bound| {
        let measured = lag.map_or("not known".to_owned(), |lag| lag.to_string());
        let met = lag.is_some_and(|lag| lag < bound);
        verdict("consumer lag", &format!("< {bound}"), measured, met)
    }));
    let (p99, p999) = reached.delivered;
    for (what, bound, measured) in [
        ("delivered, p99", objectives.delivered_p99_ms, p99),
        ("delivered, p99.9", objectives.delivered_p999_ms, p999),
        (
            "accepted, p99",
            objectives.accepted_p99_ms,
            reached.accepted_p99,
        ),
        (
            "behind schedule, p99",
            objectives.behind_p99_ms,
            reached.behind_p99,
        ),
    ] {
        verdicts.extend(bound.map(|bound| {
            let (wanted, told) = (format!("≤ {bound} ms"), format!("{measured:.1} ms"));
            verdict(what, &wanted, told, measured <= bound)
        }));
    }
    let requests = after.requests.saturating_sub(before.requests);
    let answered = after.answered.saturating_sub(before.answered);
    let bound = objectives.webhook_success_percent;
    verdicts.extend(bound.filter(|_| requests > 0).map(|bound| {
        let part = percent(answered, requests);
        let (wanted, told) = (format!("> {bound} %"), format!("{part:.2} %"));
        verdict("webhooks answered 2xx", &wanted, told, part > bound)
    }));
    verdicts.extend(objectives.dead_letters.map(|bound| {
        let told = after.letters.to_string();
        let met = after.letters <= bound;
        verdict("dead letters", &format!("≤ {bound}"), told, met)
    }));
    let missed = verdicts.into_iter().filter(|verdict| !verdict.met);
    missed.map(told).collect()
}

/// Nothing lost so far, nothing invented, nothing older than what was there.
fn accounted(reached: &Reached, wrong: u64) -> Verdict {
    let (events, overdue) = (reached.events, reached.overdue);
    let measured = if events == 0 {
        "none was sent".to_owned()
    } else {
        format!("{overdue} not, {wrong} invented or older than before")
    };
    let met = events > 0 && overdue == 0 && wrong == 0;
    verdict("events accounted for", "all", measured, met)
}

fn told(verdict: Verdict) -> String {
    let Verdict {
        objective,
        wanted,
        measured,
        ..
    } = verdict;
    format!("{objective}: wanted {wanted}, measured {measured}")
}
