//! The page's tables.

use super::figure::{NONE, count, highest, number};
use super::markup::{Cells, Row, escape, table};
use super::summary::cells;
use super::{Account, Process, Report, Stage, Step};

const STAGE: [&str; 9] = [
    "stage", "events", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "longest",
];

const SINK: [&str; 10] = [
    "sink",
    "accepted",
    "delivered",
    "stale",
    "duplicate",
    "dead letters",
    "lost",
    "repeated",
    "regressed",
    "invented",
];

const SINK_NOTE: &str = "<p class=\"note\">Delivered, stale, duplicate, dead letters and lost add up \
    to accepted. Stale: not seen, and a newer version was. Duplicate: a copy of an event that is \
    counted elsewhere. Repeated: seen again. Regressed: older than what the sink had already. \
    Invented: seen and never sent.</p>\n";

const STEP: [&str; 4] = [
    "events a second",
    "delivered p99, ms",
    "largest lag",
    "objectives",
];

const PROCESS: [&str; 4] = [
    "process",
    "CPU, s",
    "CPU, s per million events",
    "peak memory, MiB",
];

/// All of them.
pub(super) fn tables(report: &Report) -> String {
    let stages: Vec<_> = report.stages.iter().map(stage).collect();
    let mut tables = vec![figures(
        "Latency from the scheduled time, ms",
        &STAGE,
        &stages,
    )];
    let sinks: Vec<_> = report.sinks.iter().map(sink).collect();
    tables.push(figures("What became of the accepted events", &SINK, &sinks));
    if !report.sinks.is_empty() {
        tables.push(SINK_NOTE.to_owned());
    }
    let examples = report.sinks.iter().flat_map(|sink| {
        sink.examples
            .iter()
            .map(|example| row(false, &sink.sink, vec![example.clone()]))
    });
    let examples: Vec<_> = examples.collect();
    if !examples.is_empty() {
        tables.push(table(
            "Examples",
            Cells::Words,
            &["sink", "what was seen"],
            &examples,
        ));
    }
    if !report.steps.is_empty() {
        let steps: Vec<_> = report.steps.iter().map(step).collect();
        tables.push(figures("Steps of the ramp", &STEP, &steps));
        let highest = highest(report).into_iter();
        tables.extend(highest.map(|line| format!("<p>{}</p>\n", escape(&line))));
    }
    let processes: Vec<_> = report.processes.iter().map(process).collect();
    tables.push(figures("Processes", &PROCESS, &processes));
    tables.concat()
}

fn figures(caption: &str, head: &[&str], rows: &[Row]) -> String {
    table(caption, Cells::Figures, head, rows)
}

fn row(bad: bool, name: &str, cells: Vec<String>) -> Row {
    let cells = [name.to_owned()].into_iter().chain(cells).collect();
    Row { bad, cells }
}

fn stage(stage: &Stage) -> Row {
    let latency = &stage.latency;
    let mean = if latency.count == 0 {
        NONE.to_owned()
    } else {
        number(latency.mean)
    };
    let mut all = vec![count(latency.count), mean];
    all.extend(cells(latency));
    row(false, &stage.name, all)
}

fn sink(sink: &Account) -> Row {
    let all = [
        sink.accepted,
        sink.delivered,
        sink.stale,
        sink.duplicate,
        sink.dead_lettered,
        sink.lost,
        sink.repeated,
        sink.regressed,
        sink.invented,
    ];
    let bad = sink.lost > 0 || sink.regressed > 0 || sink.invented > 0;
    row(bad, &sink.sink, all.map(count).into())
}

fn step(step: &Step) -> Row {
    let met = if step.met { "met" } else { "MISSED" }.to_owned();
    let all = vec![number(step.delivered_p99), count(step.lag), met];
    row(!step.met, &number(step.rate), all)
}

fn process(process: &Process) -> Row {
    let all = [
        process.cpu_seconds,
        process.cpu_seconds_per_million,
        process.peak_mib,
    ];
    row(false, &process.name, all.map(number).into())
}
