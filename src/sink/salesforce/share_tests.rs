//! Tests of the sink's share of the org's calls.

use super::*;

fn share(share: f64) -> Share {
    Share::new("crm", share, Portion::whole(), Arc::new(Metrics::noop()))
}

fn usage(used: u32, total: u32) -> Usage {
    Usage { used, total }
}

fn code(answer: &Result<(), SinkError>) -> Option<(&str, Duration)> {
    match answer {
        Err(SinkError::Throttled { code, pause }) => Some((code, *pause)),
        _ => None,
    }
}

#[test]
fn the_org_s_usage_is_read_from_every_form_of_the_header() {
    let read = Some(usage(10_018, 100_000));
    for header in [
        "api-usage=10018/100000",
        "api-usage=10018/100000; per-app-api-usage=17/250(appName=x)",
        "api-bursts=1/750, api-usage=10018/100000",
    ] {
        assert_eq!(Usage::parse(header), read, "{header}");
    }
    for header in ["per-app-api-usage=17/250(appName=x)", "api-usage=1/0", ""] {
        assert_eq!(Usage::parse(header), None, "{header}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_24_hours_hold_more_calls_than_the_share_and_it_is_used_to_the_end() {
    let share = share(0.5);
    share.note(usage(0, 1000));
    let begun = Instant::now();
    let mut calls: Vec<Duration> = Vec::new();
    while begun.elapsed() < 4 * DAY {
        match share.admit() {
            Ok(()) => {
                share.called();
                calls.push(begun.elapsed());
            }
            Err(SinkError::Throttled { pause, .. }) => tokio::time::advance(pause).await,
            Err(other) => panic!("{other}"),
        }
    }
    for (at, end) in calls.iter().enumerate() {
        let within = calls[..=at].iter().filter(|call| **call + DAY > *end);
        assert!(within.count() <= 500);
    }
    let at_once = calls.iter().filter(|call| call.is_zero()).count();
    assert!((250..=252).contains(&at_once), "{at_once}");
    assert!(calls.len() > 1200, "{} in four days", calls.len());
}

#[tokio::test(start_paused = true)]
async fn the_sink_pauses_while_little_is_left_for_others_and_looks_again() {
    let share = share(0.5);
    assert!(share.admit().is_ok(), "nothing is known yet");
    share.note(usage(90_000, 100_000));
    for _ in 0..3 {
        assert_eq!(code(&share.admit()), Some(("daily_reserve", LOOK)));
    }
    tokio::time::advance(LOOK).await;
    assert!(share.admit().is_ok(), "one turn looks");
    assert_eq!(code(&share.admit()), Some(("daily_reserve", LOOK)));
    share.note(usage(60_000, 100_000));
    assert!(share.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_may_use_all_leaves_no_reserve() {
    let share = share(1.0);
    share.note(usage(99_999, 100_000));
    assert!(share.admit().is_ok());
    share.note(usage(100_000, 100_000));
    assert!(share.admit().is_err());
}

#[tokio::test(start_paused = true)]
async fn three_instances_share_the_calls_of_a_day_by_what_they_own() {
    let portions = [6, 3, 3].map(|owned| {
        let portion = Portion::whole();
        portion.set(owned, 12);
        portion
    });
    let shares = portions.each_ref().map(|portion| {
        let metrics = Arc::new(Metrics::noop());
        Share::new("crm", 0.5, portion.clone(), metrics)
    });
    let mut calls = [0; 3];
    for (share, calls) in shares.iter().zip(&mut calls) {
        share.note(usage(0, 1000));
        // The half that may be used at any speed.
        while share.admit().is_ok() {
            share.called();
            *calls += 1;
        }
    }
    assert_eq!(calls, [126, 63, 63]);
    portions[2].set(0, 12);
    portions[1].set(6, 12);
    tokio::time::advance(Duration::from_hours(1)).await;
    while shares[1].admit().is_ok() {
        shares[1].called();
        calls[1] += 1;
    }
    assert_eq!(calls[1], 126, "its part of the day grew at once");
}
