//! Which plots a report has, and what each of them says.

use std::collections::{BTreeMap, BTreeSet};

use super::figure::{count, float, largest_lag, number, round, scheduled_rate, with};
use super::latency::{latency, percentiles};
use super::markup::each;
use super::plot::{Plot, Series};
use super::scale::Scale;
use super::{Report, Second};

/// The x axis of what happens over time.
const TIME: (&str, Scale) = ("seconds since sending began", Scale::Time);
/// All plots, as figures.
pub(super) fn plots(report: &Report) -> String {
    let mut plots = latency(report);
    plots.extend([
        percentiles(report),
        throughput(report),
        lag(report),
        memory(report),
        cpu(report),
    ]);
    format!(
        "<div class=\"plots\">\n{}</div>\n",
        each(plots, |plot| plot.figure())
    )
}

/// A plot over the time of the run, without its lines.
pub(super) fn over_time(report: &Report, title: &str, y: (&'static str, Scale)) -> Plot {
    let last = report
        .timeline
        .last()
        .map_or(0.0, |second| float(second.at));
    let settling = last - report.seconds;
    let shown = settling > report.seconds * 0.02 && report.seconds > 0.0;
    Plot {
        title: title.to_owned(),
        caption: String::new(),
        x: TIME,
        y,
        also: Vec::new(),
        series: Vec::new(),
        mark: shown.then_some((report.seconds, "all sent")),
        // Wider than what is left out where a line has many points.
        gap: (last / 100.0).max(5.0),
    }
}

pub(super) fn line(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Series {
    Series {
        name: name.to_owned(),
        points: points.into_iter().collect(),
        filled: false,
    }
}

/// A line for each name of what was measured every second.
fn lines<T: Copy>(
    report: &Report,
    of: impl Fn(&Second) -> &BTreeMap<String, T>,
    value: impl Fn(T) -> f64,
) -> Vec<Series> {
    let names: BTreeSet<&String> = report
        .timeline
        .iter()
        .flat_map(|second| of(second).keys())
        .collect();
    let points = |name: &String| {
        let known = report.timeline.iter().filter_map(|second| {
            of(second)
                .get(name)
                .map(|measured| (float(second.at), value(*measured)))
        });
        known.collect::<Vec<_>>()
    };
    names
        .into_iter()
        .map(|name| line(name, points(name)))
        .collect()
}

/// The point that is highest, and whose it is.
pub(super) fn highest(series: &[Series]) -> Option<(&str, f64, f64)> {
    let all = series.iter().flat_map(|series| {
        series
            .points
            .iter()
            .map(|(x, y)| (series.name.as_str(), *x, *y))
    });
    all.filter(|point| point.2.is_finite())
        .max_by(|one, other| one.2.total_cmp(&other.2))
}

fn throughput(report: &Report) -> Plot {
    let counted = |of: fn(&Second) -> u64| {
        report
            .timeline
            .iter()
            .map(move |second| (float(second.at), float(of(second))))
    };
    let scheduled = line("scheduled", counted(|second| second.scheduled));
    let mut series = vec![Series {
        filled: true,
        ..scheduled
    }];
    series.push(line("accepted", counted(|second| second.accepted)));
    let sinks: BTreeSet<_> = report
        .timeline
        .iter()
        .flat_map(|second| second.delivered.keys())
        .collect();
    series.extend(sinks.into_iter().map(|sink| {
        let seen = report.timeline.iter().map(|second| {
            let seen = second.delivered.get(sink).copied().unwrap_or(0);
            (float(second.at), float(seen))
        });
        line(&format!("delivered to {sink}"), seen)
    }));
    let mut plot = over_time(report, "Throughput", ("events a second", Scale::Count));
    plot.series = series;
    plot.caption = format!(
        "{} scheduled on average. Where a line is below the area, events wait; where it is above, \
         it catches up. Copies and versions that are old already are not delivered.",
        with("events a second", scheduled_rate(report))
    );
    plot
}

fn lag(report: &Report) -> Plot {
    let mut plot = over_time(report, "Lag by consumer group", ("records", Scale::Count));
    plot.series = lines(report, |second| &second.lag, float);
    plot.caption = largest_lag(report).map_or_else(String::new, |(group, lag)| {
        format!(
            "Records that were not done yet. At most {}, of {group}.",
            count(lag)
        )
    });
    plot
}

fn memory(report: &Report) -> Plot {
    let mut plot = over_time(report, "Resident memory by process", ("MiB", Scale::Linear));
    plot.series = lines(report, |second| &second.memory_mib, |mib| mib);
    plot.caption = highest(&plot.series).map_or_else(String::new, |(process, at, mib)| {
        format!(
            "At most {} MiB, of {process}, in second {}.",
            number(mib),
            round(at)
        )
    });
    plot
}

fn cpu(report: &Report) -> Plot {
    let title = "Processors in use by process";
    let mut plot = over_time(report, title, ("processors", Scale::Linear));
    plot.series = lines(report, |second| &second.cpu, |cpu| cpu);
    plot.caption = highest(&plot.series).map_or_else(String::new, |(process, at, cpu)| {
        let has = match report.machine.cpus {
            0 => String::new(),
            cpus => format!(" The machine has {cpus}."),
        };
        format!(
            "1 is one processor for the whole second. At most {}, of {process}, in second \
             {}.{has}",
            number(cpu),
            round(at)
        )
    });
    plot
}
