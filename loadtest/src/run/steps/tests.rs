//! A ramp of three steps of two seconds, with one event every 100 ms.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::{Ramp, Totals};
use crate::run::ledger::{Keeps, Ledger, Micros};
use crate::run::report::Report;
use crate::run::scenario::{Rate, Scenario};
use crate::throughput::event::Event;

const SECOND: Micros = 1_000_000;
const NEVER: Micros = Micros::MAX;

/// A ramp whose lags no one tells, and whose events take as long to arrive as `takes` says of when they
/// are due.
fn silent(stop_when_missed: bool, takes: impl Fn(Micros) -> Micros) -> Ramp {
    let mut scenario = Scenario::find("ramp").unwrap();
    scenario.seconds = 6;
    scenario.rate = Rate::Ramp {
        from: 10.0,
        to: 30.0,
        steps: 3,
        stop_when_missed,
    };
    let ledger = Arc::new(Ledger::new(&[("crm".to_owned(), Keeps::All)]));
    for (version, due) in (1..).zip((0..6 * SECOND).step_by(100_000)) {
        let event = Event { entity: 1, version };
        ledger.sends(event, due);
        ledger.accepted(event, due);
        if takes(due) != NEVER {
            ledger.seen(0, event, due + takes(due));
        }
    }
    Ramp::new(&scenario, ledger)
}

/// The same with lags.
fn ramp(stop_when_missed: bool, takes: impl Fn(Micros) -> Micros) -> Ramp {
    let ramp = silent(stop_when_missed, takes);
    for second in 0..6 {
        ramp.lags(second * SECOND, [3, 9].iter());
    }
    ramp
}

/// Latency of a second in the second step and after it, of 10 ms before.
fn slows(due: Micros) -> Micros {
    if due < 2 * SECOND { 10_000 } else { 2 * SECOND }
}

/// When sending was stopped, ms, if it was, and what was said.
async fn watched(ramp: &Ramp) -> (Option<u128>, Vec<String>) {
    let (start, enough) = (Instant::now(), AtomicBool::new(false));
    let said = Mutex::new(Vec::new());
    let say = |what: &str| said.lock().unwrap().push(what.to_owned());
    let totals = async || Totals::default();
    let stopped = async {
        while !enough.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        start.elapsed().as_millis()
    };
    let over = Duration::from_mins(1);
    let stopped = tokio::select! {
        _ = ramp.watch(start, totals, &enough, say) => unreachable!(),
        at = stopped => Some(at),
        () = tokio::time::sleep(over) => None,
    };
    (stopped, said.into_inner().unwrap())
}

fn told(ramp: &Ramp) -> Report {
    let mut report = Report::default();
    let settled = Duration::from_secs(40);
    ramp.tell(settled, Totals::default(), &mut report).unwrap();
    report
}

#[tokio::test(start_paused = true)]
async fn a_ramp_ends_after_the_step_that_missed_and_tells_the_rate_before_it() {
    let ramp = ramp(true, slows);
    let (stopped, said) = watched(&ramp).await;
    assert!((4000..4010).contains(&stopped.unwrap()), "{stopped:?}");
    let missed = "delivered, p99: wanted ≤ 1000 ms, measured 2000";
    assert!(said[0].starts_with(&format!("20 events a second missed {missed}")));
    let report = told(&ramp);
    assert_eq!(report.steps.len(), 2);
    assert!(report.steps[1].missed[0].starts_with(missed));
    assert_eq!(report.highest_rate.map(f64::round), Some(10.0));
    assert!(report.ended_early);
}

#[tokio::test(start_paused = true)]
async fn a_ramp_that_is_not_to_stop_goes_to_its_end_and_tells_the_same_rate() {
    let ramp = ramp(false, slows);
    let (stopped, said) = watched(&ramp).await;
    assert_eq!((stopped, said.len()), (None, 2));
    let report = told(&ramp);
    let met: Vec<_> = report.steps.iter().map(|step| step.met).collect();
    assert_eq!(met, [true, false, false]);
    assert_eq!(report.highest_rate.map(f64::round), Some(10.0));
    assert!(!report.ended_early);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_has_not_arrived_counts_with_its_age() {
    let since = 3 * SECOND / 2;
    let none_since = |due| if due < since { 10_000 } else { NEVER };
    let ramp = ramp(true, none_since);
    let (stopped, _) = watched(&ramp).await;
    // The oldest is half a second old when the first step ends, which is no miss yet.
    assert!((3000..3010).contains(&stopped.unwrap()), "{stopped:?}");
    assert_eq!(told(&ramp).highest_rate, None);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_lost_one_event_is_missed_when_all_is_settled() {
    let one = |due| if due == 2 * SECOND { NEVER } else { 10_000 };
    let mut ramp = ramp(true, one);
    ramp.objectives.delivered_p99_ms = None;
    let (stopped, _) = watched(&ramp).await;
    assert!((32_000..32_010).contains(&stopped.unwrap()), "{stopped:?}");
    let report = told(&ramp);
    let missed =
        "events accounted for: wanted all, measured 1 not, 0 invented or older than before";
    assert_eq!(report.steps[1].missed, [missed]);
    assert_eq!(report.highest_rate.map(f64::round), Some(10.0));
}

#[tokio::test(start_paused = true)]
async fn a_lag_that_is_too_large_or_not_known_is_a_miss() {
    let mut within = ramp(true, |_| 10_000);
    within.objectives.lag_below = Some(10);
    assert_eq!(watched(&within).await.0, None);
    let mut above = ramp(true, |_| 10_000);
    above.objectives.lag_below = Some(9);
    let (_, said) = watched(&above).await;
    assert!(said[0].contains("consumer lag: wanted < 9, measured 9"));
    let unknown = silent(true, |_| 10_000);
    let (_, said) = watched(&unknown).await;
    assert!(said[0].contains("consumer lag: wanted < 10000, measured not known"));
}

#[test]
fn a_sender_that_is_behind_and_webhooks_that_are_refused_are_a_miss() {
    let mut report = Report::default();
    let all = ramp(true, |_| 10_000);
    let refused = Totals {
        requests: 100,
        answered: 99,
        ..Totals::default()
    };
    all.tell(Duration::from_secs(9), refused, &mut report)
        .unwrap();
    let missed = &report.steps[0].missed;
    assert_eq!(
        missed,
        &["webhooks answered 2xx: wanted > 99.5 %, measured 99.00 %"]
    );
    let late = ramp(true, |_| 10_000);
    let event = Event {
        entity: 2,
        version: 1,
    };
    late.ledger.sends_behind(event, 6 * SECOND - 1, 600_000);
    late.ledger.accepted(event, 6 * SECOND);
    late.ledger.seen(0, event, 6 * SECOND);
    let missed = &told(&late).steps[2].missed;
    assert!(missed[0].starts_with("behind schedule, p99: wanted ≤ 500 ms, measured 600"));
}
