//! Plots of latency: over time, and by percentile.

use std::collections::BTreeSet;

use super::figure::{float, number, round};
use super::plot::Plot;
use super::plots::{highest, line, over_time};
use super::scale::Scale;
use super::{Latency, Report};

/// The least latency that is drawn, ms: a logarithmic axis has no 0.
const LEAST: f64 = 0.01;

/// One for each sink, all of the same height.
pub(super) fn latency(report: &Report) -> Vec<Plot> {
    let y = ("ms, log", Scale::Log);
    let mut also = Vec::new();
    let mut plots = Vec::new();
    let sinks: BTreeSet<_> = report
        .timeline
        .iter()
        .flat_map(|second| second.latency.keys())
        .collect();
    for sink in sinks {
        let known = || {
            report.timeline.iter().filter_map(|second| {
                let [p50, p99, longest] = *second.latency.get(sink)?;
                Some((
                    float(second.at),
                    [p50, p99, longest].map(|it| it.max(LEAST)),
                ))
            })
        };
        let series = vec![
            line(
                "longest",
                known().map(|(at, [_, _, longest])| (at, longest)),
            ),
            line("p99", known().map(|(at, [_, p99, _])| (at, p99))),
            line("p50", known().map(|(at, [p50, _, _])| (at, p50))),
        ];
        also.extend(series.iter().flat_map(|series| series.points.clone()));
        let caption = highest(&series).map_or_else(String::new, |(_, at, longest)| {
            format!(
                "From the scheduled time of an event until it was at {sink}, by the second it was \
                 scheduled in: half of the events took less than p50, 99 of 100 less than p99. \
                 The longest took {} ms, scheduled in second {}.",
                number(longest),
                round(at)
            )
        });
        let mut plot = over_time(report, &format!("Latency over time: {sink}"), y);
        (plot.series, plot.caption) = (series, caption);
        plots.push(plot);
    }
    if plots.is_empty() {
        plots.push(over_time(report, "Latency over time", y));
    }
    let low = also
        .iter()
        .map(|point| point.1)
        .fold(f64::INFINITY, f64::min);
    // As wide as the other plots, which show what comes after the last event too.
    let last = report.timeline.last();
    also.extend(last.map(|second| (float(second.at), low)));
    for plot in &mut plots {
        plot.also.clone_from(&also);
    }
    plots
}

/// The curve, or what is known of it.
fn curve(latency: &Latency) -> Vec<(f64, f64)> {
    let Latency {
        p50,
        p90,
        p99,
        p999,
        p9999,
        max,
        ..
    } = *latency;
    let coarse = [
        (50.0, p50),
        (90.0, p90),
        (99.0, p99),
        (99.9, p999),
        (99.99, p9999),
        (100.0, max),
    ];
    let known = match latency.curve.as_slice() {
        _ if latency.count == 0 => &[],
        [] => coarse.as_slice(),
        curve => curve,
    };
    known
        .iter()
        .map(|(percentile, ms)| (*percentile, ms.max(LEAST)))
        .collect()
}

/// All stages.
pub(super) fn percentiles(report: &Report) -> Plot {
    let series = report
        .stages
        .iter()
        .map(|stage| line(&stage.name, curve(&stage.latency)));
    Plot {
        title: "Latency by percentile".to_owned(),
        caption: "How many of 100 events took less than so many ms, from their scheduled time to \
                  each stage; the farther to the right, the rarer. The longest is at 100."
            .to_owned(),
        x: ("percentile, log", Scale::Percentile),
        y: ("ms, log", Scale::Log),
        also: Vec::new(),
        series: series.filter(|series| !series.points.is_empty()).collect(),
        mark: None,
        gap: f64::INFINITY,
    }
}
