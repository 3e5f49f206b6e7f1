use std::fs;

use super::hostile::{assert_well_formed, hostile};
use super::html::html;
use super::sample::{ramp, sample};
use super::*;

#[test]
fn a_hostile_name_is_escaped_everywhere() {
    let html = html(&hostile());
    assert_well_formed(&html);
    let text = html.to_lowercase();
    assert!(!text.contains("<script") && !text.contains("onload='") && !text.contains('\u{1b}'));
    assert!(html.contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39; onload=&#39;"));
    assert!(
        !summary(&hostile()).contains('\u{1b}'),
        "a terminal obeys it"
    );
    assert!(
        !compare(&hostile(), &sample()).contains('\u{1b}'),
        "a terminal obeys it"
    );
}

#[test]
fn a_page_is_well_formed_and_needs_nothing_from_outside() {
    for report in [sample(), ramp()] {
        let html = html(&report);
        assert_well_formed(&html);
        for outside in [
            "http:", "https:", "<script", "<link", "<img", "url(", "@import",
        ] {
            assert!(!html.contains(outside), "{outside}");
        }
        // Two for each sink, and five more, each for two widths of a screen.
        assert_eq!(html.matches("role=\"img\"").count(), 2 * 7);
        assert_eq!(html.matches("<figcaption>").count(), 7);
        assert!(!html.contains("NaN"));
    }
}

#[test]
fn an_empty_report_is_shown_as_such() {
    let empty = Report::default();
    let html = html(&empty);
    assert_well_formed(&html);
    assert!(html.contains("Lag by consumer group: nothing was measured."));
    assert!(!html.contains("NaN") && !html.contains("inf"));
    assert!(summary(&empty).ends_with("\npassed: there were no objectives"));
    assert!(compare(&empty, &empty).contains("no verdict changed"));
}

#[test]
fn figures_that_are_not_numbers_are_not_shown() {
    let mut report = sample();
    report.seconds = 0.0;
    report.stages[0].latency.curve = vec![(f64::NAN, f64::NAN), (50.0, f64::INFINITY)];
    report.stages[0].latency.p50 = f64::NAN;
    report.timeline[3]
        .memory_mib
        .insert("goldwire".to_owned(), f64::NAN);
    report.timeline.truncate(4);
    let html = html(&report);
    assert_well_formed(&html);
    assert!(!html.contains("NaN") && !summary(&report).contains("NaN"));
}

#[test]
fn a_missed_objective_is_shown_first() {
    let html = html(&sample());
    let place = |text: &str| html.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(html.contains("<title>Load test slow-sink: failed: 2 of 5 objectives missed</title>"));
    assert!(place("Failed: 2 of 5 objectives missed") < place("Key figures"));
    assert!(place("consumer lag</td>") < place("every event accounted for at every sink</td>"));
    let summary = summary(&sample());
    let place = |text: &str| summary.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(place("  MISSED  consumer lag") < place("  met     every event accounted"));
    assert!(summary.ends_with("\n\nfailed: 2 of 5 objectives missed"));
}

#[test]
fn a_passed_run_ends_with_one_word() {
    let mut report = sample();
    report.verdicts.retain(|verdict| verdict.met);
    assert!(summary(&report).ends_with("\n\npassed"));
    assert!(html(&report).contains("<title>Load test slow-sink: passed</title>"));
}

#[test]
fn a_terminal_of_a_hundred_columns_is_wide_enough() {
    let mut long = ramp();
    long.about = "word ".repeat(90) + &"x".repeat(250);
    long.sinks = vec![long.sinks[1].clone(); 7];
    long.stages[2].name = "delivered to ".to_owned() + &"y".repeat(150);
    long.processes[0].name = "z".repeat(150);
    for text in [
        summary(&long),
        summary(&hostile()),
        compare(&long, &sample()),
    ] {
        for line in text.lines() {
            assert!(
                line.chars().count() <= 100,
                "{}: {line}",
                line.chars().count()
            );
        }
    }
}

#[test]
fn the_summary_shows_what_a_ramp_reached_and_what_was_lost() {
    let summary = summary(&ramp());
    for shown in [summary.clone(), html(&ramp())] {
        assert!(shown.contains("highest rate that met the targets: 8,000 events/s"));
        assert!(shown.contains("9,000 events/s missed consumer lag: wanted"));
    }
    assert!(summary.contains("warehouse: event 0 of entities/0k0Zq is lost"));
    assert!(summary.contains("1,000 webhooks, 998 answered 2xx"));
}

#[test]
fn a_report_survives_write_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("new/run");
    write(&ramp(), &dir).unwrap();
    assert_eq!(read(&dir).unwrap(), ramp());
    assert_eq!(read(&dir.join("report.json")).unwrap(), ramp());
    assert_eq!(
        fs::read_to_string(dir.join("report.html")).unwrap(),
        html(&ramp())
    );
}

#[test]
fn what_cannot_be_read_is_said_with_the_name_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.json");
    let wrong = |content: &str| {
        fs::write(&file, content).unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(error.starts_with(file.to_str().unwrap()), "{error}");
        error
    };
    assert!(
        read(dir.path())
            .unwrap_err()
            .to_string()
            .contains("report.json: No such file")
    );
    assert!(wrong("{").contains("no report: EOF"));
    assert!(wrong("{}").contains("missing field `format`"));
    assert!(wrong("{\"format\":2}").contains("no report of format 2: missing field"));
    let newer = wrong(&format!("{{\"format\":{},\"new\":[]}}", FORMAT + 1));
    assert!(
        newer.contains("it is of format 3, and this loadtest reads 2 at most"),
        "{newer}"
    );
}

#[test]
fn runs_are_compared_figure_by_figure() {
    let mut after = sample();
    after.stages[3].latency.p99 *= 2.0;
    after.verdicts[1].met = true;
    after.verdicts[1].measured = "12".to_owned();
    let text = compare(&sample(), &after);
    let line = |name: &str| {
        text.lines()
            .find(|line| line.trim().starts_with(name))
            .unwrap()
    };
    assert!(
        line("delivered to warehouse p99, ms").ends_with("2.00"),
        "{text}"
    );
    assert!(
        line("accepted, events a second").ends_with("1.00"),
        "{text}"
    );
    assert!(
        line("consumer lag").ends_with("MISSED (5522), now met (12)"),
        "{text}"
    );
    assert!(
        text.starts_with("before  slow-sink"),
        "nothing to warn of: {text}"
    );
}

#[test]
fn runs_of_other_loads_or_machines_are_compared_with_a_warning() {
    let mut after = ramp();
    after.seed = 7;
    after.machine.cpus = 64;
    let text = compare(&sample(), &after);
    let warning = "These runs differ in scenario, seed, machine: the ratios say little.\n";
    assert!(text.starts_with(warning), "{text}");
    assert!(
        text.contains("scenario: slow-sink before, ramp after"),
        "{text}"
    );
}

#[test]
fn a_peak_survives_in_a_plot_of_many_points() {
    let mut report = sample();
    let second = report.timeline[0].clone();
    report.timeline = (0..5000)
        .map(|at| Second {
            at,
            ..second.clone()
        })
        .collect();
    report.timeline[4321]
        .lag
        .insert("goldwire-crm".to_owned(), 1_000_000);
    let html = html(&report);
    assert!(html.contains(">1,000,000</text>"));
    assert!(html.len() < 400_000, "{}", html.len());
    let (_, lag) = html.split_once("<h3>Lag by consumer group").unwrap();
    let (lag, _) = lag.split_once("</figure>").unwrap();
    let mut lines = lag.split("<path class=\"line").skip(1);
    assert!(
        lines.any(|line| line.contains(" 30.0L")),
        "no line reaches the top"
    );
}
