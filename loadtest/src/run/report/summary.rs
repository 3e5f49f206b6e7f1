//! The report on a terminal.

use super::figure::{
    NONE, accepted_rate, bytes, count, highest, number, outcome, scheduled_rate, time, with,
};
use super::text::{cut, table, wrap};
use super::{Account, Latency, Report, Stage, Verdict};

/// Sinks side by side in a table.
const ABREAST: usize = 4;
/// Characters of a sink's name above its column.
const NAME: usize = 16;

/// The terminal's text: at most 100 columns, no line break at the end.
pub(crate) fn summary(report: &Report) -> String {
    let mut parts = vec![
        head(report),
        sent(report),
        stages(report),
        sinks(report),
        processes(report),
    ];
    parts.extend(steps(report));
    parts.push(verdicts(report));
    parts.push(outcome(report));
    parts.join("\n\n")
}

fn head(report: &Report) -> String {
    let name = if report.scenario.is_empty() {
        "no name"
    } else {
        &report.scenario
    };
    let about = wrap(&format!("{name}: {}", report.about), "  ");
    let began = if report.began.is_empty() {
        "not known"
    } else {
        &report.began
    };
    let run = format!(
        "began {began}, seed {}: events for {}, then {} until nothing was left to do",
        report.seed,
        time(report.seconds),
        time(report.settled)
    );
    format!("{about}\n{}", wrap(&run, "  "))
}

fn sent(report: &Report) -> String {
    let sent = &report.sent;
    let mut lines = vec![
        format!(
            "{} events scheduled ({}), {} accepted ({}), {} refused",
            count(sent.scheduled),
            with("a second", scheduled_rate(report)),
            count(sent.accepted),
            with("a second", accepted_rate(report)),
            count(sent.refused)
        ),
        format!(
            "{} copies, {} after a newer one of their subject; {} of bodies",
            count(sent.copies),
            count(sent.late),
            bytes(sent.bytes)
        ),
        format!("{} ms behind schedule, p99", number(sent.behind_p99_ms)),
    ];
    if sent.webhook_requests > 0 {
        lines.push(format!(
            "{} webhooks, {} answered 2xx",
            count(sent.webhook_requests),
            count(sent.webhook_accepted)
        ));
    }
    section("sent", lines)
}

/// A title, and lines below it.
fn section(title: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines = lines
        .into_iter()
        .map(|line| format!("  {}", wrap(&line, "    ")));
    let lines: Vec<_> = [title.to_owned()].into_iter().chain(lines).collect();
    lines.join("\n")
}

/// Percentiles, as cells; of nothing there are none.
pub(super) fn cells(latency: &Latency) -> Vec<String> {
    let all = [
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p999,
        latency.p9999,
        latency.max,
    ];
    let cell = |value| {
        if latency.count == 0 {
            NONE.to_owned()
        } else {
            number(value)
        }
    };
    all.into_iter().map(cell).collect()
}

fn stages(report: &Report) -> String {
    let title = "latency from the scheduled time, ms";
    if report.stages.is_empty() {
        return section(title, ["not measured".to_owned()]);
    }
    let row = |stage: &Stage| {
        let mut row = vec![stage.name.clone(), count(stage.latency.count)];
        row.extend(cells(&stage.latency));
        row
    };
    let rows: Vec<_> = report.stages.iter().map(row).collect();
    let head = [
        "stage", "events", "p50", "p90", "p99", "p99.9", "p99.99", "max",
    ];
    format!("{title}\n{}", table(&head, &rows))
}

/// What became of events, and where it is counted.
type Outcome = (&'static str, fn(&Account) -> u64);

fn sinks(report: &Report) -> String {
    let title = "what became of the accepted events";
    if report.sinks.is_empty() {
        return section(title, ["no sink was looked at".to_owned()]);
    }
    let outcomes: [Outcome; 9] = [
        ("accepted", |sink| sink.accepted),
        ("= delivered", |sink| sink.delivered),
        ("+ stale", |sink| sink.stale),
        ("+ duplicate", |sink| sink.duplicate),
        ("+ dead letters", |sink| sink.dead_lettered),
        ("+ lost", |sink| sink.lost),
        ("repeated", |sink| sink.repeated),
        ("regressed", |sink| sink.regressed),
        ("invented", |sink| sink.invented),
    ];
    let mut parts = Vec::new();
    for abreast in report.sinks.chunks(ABREAST) {
        let names: Vec<_> = abreast.iter().map(|sink| cut(&sink.sink, NAME)).collect();
        let head: Vec<_> = ["sink"]
            .into_iter()
            .chain(names.iter().map(String::as_str))
            .collect();
        let row = |(name, of): &Outcome| {
            let cells = abreast.iter().map(|sink| count(of(sink)));
            [(*name).to_owned()].into_iter().chain(cells).collect()
        };
        parts.push(table(&head, &outcomes.iter().map(row).collect::<Vec<_>>()));
    }
    let examples = report.sinks.iter().flat_map(|sink| {
        let of = |example| format!("{}: {example}", sink.sink);
        sink.examples.iter().map(of)
    });
    parts.extend(examples.map(|example| format!("  {}", wrap(&example, "    "))));
    format!("{title}\n{}", parts.join("\n"))
}

fn processes(report: &Report) -> String {
    if report.processes.is_empty() {
        return section("processes", ["none was looked at".to_owned()]);
    }
    let rows = report.processes.iter().map(|process| {
        let figures = [
            process.cpu_seconds,
            process.cpu_seconds_per_million,
            process.peak_mib,
        ];
        let name = [process.name.clone()];
        name.into_iter()
            .chain(figures.into_iter().map(number))
            .collect()
    });
    let head = [
        "process",
        "CPU, s",
        "CPU, s per million events",
        "peak memory, MiB",
    ];
    format!("processes\n{}", table(&head, &rows.collect::<Vec<_>>()))
}

fn steps(report: &Report) -> Option<String> {
    if report.steps.is_empty() && report.highest_rate.is_none() {
        return None;
    }
    let rows = report.steps.iter().map(|step| {
        vec![
            number(step.rate),
            number(step.delivered_p99),
            count(step.lag),
            if step.met { "met" } else { "MISSED" }.to_owned(),
        ]
    });
    let head = [
        "events a second",
        "delivered p99, ms",
        "largest lag",
        "objectives",
    ];
    let highest = highest(report).into_iter();
    let highest = highest.map(|line| format!("\n  {}", wrap(&line, "    ")));
    Some(format!(
        "steps\n{}{}",
        table(&head, &rows.collect::<Vec<_>>()),
        highest.collect::<String>()
    ))
}

fn verdicts(report: &Report) -> String {
    if report.verdicts.is_empty() {
        return section("objectives", ["none".to_owned()]);
    }
    let line = |verdict: &Verdict| {
        let Verdict {
            objective,
            wanted,
            measured,
            met,
        } = verdict;
        let mark = if *met { "met" } else { "MISSED" };
        let said = format!("{objective}: wanted {wanted}, measured {measured}");
        format!("  {mark:6}  {}", wrap(&said, "          "))
    };
    let (met, missed): (Vec<_>, Vec<_>) = report.verdicts.iter().partition(|verdict| verdict.met);
    let lines = missed.into_iter().chain(met).map(line);
    format!("objectives\n{}", lines.collect::<Vec<_>>().join("\n"))
}
