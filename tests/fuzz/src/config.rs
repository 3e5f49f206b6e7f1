//! The text of a configuration file.

use std::collections::BTreeSet;

use goldwire::config::LoadError;
use goldwire::topology::Topology;
use goldwire::topology::{Config, parse};
use serde_json::Value;

/// What every variable holds: seen nowhere but where it was meant to go (G10).
const CANARY: &str = "c4n4ry-0f-a-s3cret";

/// A configuration file: understood, or every problem with its path and a remedy.
pub fn config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    let read = || parse(text, &|name| (name != "UNSET").then(|| CANARY.to_owned()));
    match (read(), read()) {
        (Ok(config), Ok(again)) => understood(&config, &again),
        (Err(problems), Err(again)) => {
            assert_eq!(problems, again, "read twice");
            refused(&problems);
        }
        _ => panic!("taken once and refused once"),
    }
}

fn understood(config: &Config, again: &Config) {
    let shown = format!("{config:?}");
    assert_eq!(shown, format!("{again:?}"), "read twice");
    assert!(!config.tenant.is_empty() && !config.sinks.is_empty() && !config.sources.is_empty());
    for (written, is_none) in units(config) {
        assert!(
            !is_none || !written.contains(|digit| ('1'..='9').contains(&digit)),
            "{written} is none"
        );
    }
    let topology = Topology::of(config);
    assert_eq!(topology, Topology::of(again));
    assert!(!topology.describe().is_empty());
}

/// Durations and sizes as they were written, and whether nothing came of them.
fn units(config: &Config) -> Vec<(String, bool)> {
    let Config {
        delivery,
        log,
        inbox,
        ..
    } = config;
    let text = |written: Result<Value, serde_json::Error>| {
        written.map(|text| text.to_string()).unwrap_or_default()
    };
    let periods = [
        &delivery.commit_interval,
        &delivery.drain_timeout,
        &delivery.retry.longest,
        &log.keep,
    ];
    let sizes = [
        &delivery.in_flight_bytes,
        &log.quota,
        &log.segment,
        &log.disk_reserve,
        &inbox.quota,
    ];
    let periods =
        periods.map(|period| (text(serde_json::to_value(period)), period.get().is_zero()));
    let sizes = sizes.map(|size| (text(serde_json::to_value(size)), size.get() == 0));
    periods.into_iter().chain(sizes).collect()
}

fn refused(LoadError(problems): &LoadError) {
    assert!(!problems.is_empty(), "refused without a problem");
    for problem in problems {
        let line = problem.to_string();
        assert!(!problem.path.is_empty(), "no path: {line}");
        assert!(!problem.remedy.is_empty(), "no remedy: {line}");
        assert!(!line.contains(CANARY), "a secret is shown: {line}");
        assert!(
            !line.contains("report this"),
            "schema and types disagree: {line}"
        );
    }
    let lines: BTreeSet<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), problems.len(), "a problem is told twice");
}
