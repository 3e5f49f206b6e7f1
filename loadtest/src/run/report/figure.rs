//! Figures of a report as text, and those that follow from others.

use super::{Report, Stage};

/// What is shown where nothing was measured.
pub(super) const NONE: &str = "–";

/// A count, to calculate with.
#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^52"
)]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// `1234567` as `1,234,567`.
pub(super) fn count(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits, or all before the point: `0.123`, `1.23`, `12.3`, `1,234`; a whole number as it is.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = if size >= 1e15 {
        return format!("{value:.2e}");
    } else if size >= 99.95 || value.fract() == 0.0 {
        grouped(&format!("{size:.0}"))
    } else if size >= 9.995 {
        format!("{size:.1}")
    } else if size >= 0.9995 {
        format!("{size:.2}")
    } else if size >= 0.0005 {
        format!("{size:.3}")
    } else {
        return "0".to_owned();
    };
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}

/// A number with a name after it: `1.23 ms`; nothing known is no `– ms`.
pub(super) fn with(unit: &str, value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => format!("{} {unit}", number(value)),
        None => NONE.to_owned(),
    }
}

/// A round number, with no more digits than it has.
pub(super) fn round(value: f64) -> String {
    let text = format!("{value:.6}");
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    let part = part.trim_end_matches('0');
    let whole = grouped(whole);
    if part.is_empty() {
        whole
    } else {
        format!("{whole}.{part}")
    }
}

/// A length of time: `1.2 s`, `12 min 5 s`.
pub(super) fn time(seconds: f64) -> String {
    if !seconds.is_finite() {
        return NONE.to_owned();
    }
    if seconds < 120.0 {
        return format!("{} s", round((seconds * 10.0).round() / 10.0));
    }
    let minutes = (seconds / 60.0).floor();
    let rest = (seconds - minutes * 60.0).floor();
    format!("{minutes:.0} min {rest:.0} s")
}

/// Bytes: `1.23 MiB`.
pub(super) fn bytes(bytes: u64) -> String {
    let mut value = float(bytes);
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if value >= 1024.0 {
            value /= 1024.0;
            unit = larger;
        }
    }
    with(unit, Some(value))
}

/// Part of a whole; none of nothing.
pub(super) fn ratio(part: f64, whole: f64) -> Option<f64> {
    let ratio = part / whole;
    ratio.is_finite().then_some(ratio)
}

/// Events scheduled a second.
pub(super) fn scheduled_rate(report: &Report) -> Option<f64> {
    ratio(float(report.sent.scheduled), report.seconds)
}

/// Events accepted a second, until the last was scheduled or accepted, whichever was later.
pub(super) fn accepted_rate(report: &Report) -> Option<f64> {
    let last = report.timeline.iter().filter(|second| second.accepted > 0);
    let last = last.map(|second| float(second.at)).fold(0.0, f64::max);
    ratio(float(report.sent.accepted), report.seconds.max(last))
}

/// The group that was behind most, and by how many records.
pub(super) fn largest_lag(report: &Report) -> Option<(&str, u64)> {
    let all = report.timeline.iter().flat_map(|second| &second.lag);
    let largest = all.max_by_key(|(_, lag)| **lag);
    largest.map(|(group, lag)| (group.as_str(), *lag))
}

/// The sink's stage that took longest, p99.
pub(super) fn slowest(report: &Report) -> Option<&Stage> {
    let stages = report
        .stages
        .iter()
        .filter(|stage| stage.name.starts_with("delivered") && stage.latency.count > 0);
    stages.max_by(|one, other| one.latency.p99.total_cmp(&other.latency.p99))
}

/// Of a ramp: the highest rate that met the objectives, and what the next step missed.
pub(super) fn highest(report: &Report) -> Vec<String> {
    let rate = |rate| with("events/s", Some(rate));
    let mut lines = vec![match report.highest_rate {
        Some(met) => format!("highest rate that met the targets: {}", rate(met)),
        None => "not even the first step met the targets".to_owned(),
    }];
    let next = report.steps.iter().find(|step| !step.met);
    lines.extend(
        next.filter(|step| !step.missed.is_empty())
            .map(|step| format!("{} missed {}", rate(step.rate), step.missed.join("; "))),
    );
    if report.ended_early {
        lines.push("sending ended early: a step had missed the targets".to_owned());
    }
    lines
}

/// `passed`, or how many objectives were missed.
pub(super) fn outcome(report: &Report) -> String {
    let missed = report
        .verdicts
        .iter()
        .filter(|verdict| !verdict.met)
        .count();
    match (missed, report.verdicts.len()) {
        (0, 0) => "passed: there were no objectives".to_owned(),
        (0, _) => "passed".to_owned(),
        (missed, 1) => format!("failed: {missed} of 1 objective missed"),
        (missed, all) => format!("failed: {missed} of {all} objectives missed"),
    }
}
