//! Two reports side by side.

use super::figure::{NONE, accepted_rate, count, float, largest_lag, number, outcome, ratio};
use super::text::{plain, table, wrap};
use super::{Account, Report};

/// A table of figures: before, after, and their ratio. Where the runs were not of the same load or
/// not on the same machine it says so first. No line break at the end.
pub(crate) fn compare(before: &Report, after: &Report) -> String {
    let mut parts = Vec::new();
    parts.extend(differences(before, after));
    parts.push(runs(before, after));
    parts.push(table(
        &["figure", "before", "after", "ratio"],
        &rows(before, after),
    ));
    parts.push(verdicts(before, after));
    parts.join("\n\n")
}

/// Why the two can hardly be compared.
fn differences(before: &Report, after: &Report) -> Option<String> {
    let machine = |report: &Report| {
        let machine = &report.machine;
        let (cpus, memory) = (machine.cpus, count(machine.memory_mib));
        format!("{cpus} processors, {memory} MiB, {}", machine.system)
    };
    let load = |report: &Report| {
        format!(
            "{} events in {} s",
            count(report.sent.scheduled),
            number(report.seconds)
        )
    };
    let all = [
        ("scenario", before.scenario.clone(), after.scenario.clone()),
        ("seed", before.seed.to_string(), after.seed.to_string()),
        ("load", load(before), load(after)),
        ("machine", machine(before), machine(after)),
    ];
    let differ: Vec<_> = all
        .into_iter()
        .filter(|(_, one, other)| one != other)
        .collect();
    if differ.is_empty() {
        return None;
    }
    let names: Vec<_> = differ.iter().map(|(name, ..)| *name).collect();
    let warning = format!(
        "These runs differ in {}: the ratios say little.",
        names.join(", ")
    );
    let lines = differ.iter().map(|(name, one, other)| {
        format!(
            "\n  {}",
            wrap(&format!("{name}: {one} before, {other} after"), "    ")
        )
    });
    Some(warning + &lines.collect::<String>())
}

fn runs(before: &Report, after: &Report) -> String {
    let line = |name: &str, report: &Report| {
        let said = format!(
            "{}, began {}, {}",
            report.scenario,
            report.began,
            outcome(report)
        );
        format!("{name:6}  {}", wrap(&said, "        "))
    };
    let mut lines = vec![line("before", before), line("after", after)];
    let (one, other) = (&before.versions, &after.versions);
    lines.extend(one.iter().filter_map(|(program, version)| {
        let now = other.get(program).filter(|now| *now != version)?;
        Some(format!(
            "  {}",
            wrap(&format!("{program}: {version} before, {now} after"), "    ")
        ))
    }));
    lines.join("\n")
}

/// The figures that are compared, each by its name.
fn figures(report: &Report) -> Vec<(String, f64)> {
    let sum = |of: fn(&Account) -> u64| float(report.sinks.iter().map(of).sum());
    let mut figures = Vec::new();
    let rate = accepted_rate(report).map(|rate| ("accepted, events a second".to_owned(), rate));
    figures.extend(rate);
    for stage in report.stages.iter().filter(|stage| stage.latency.count > 0) {
        let latency = &stage.latency;
        let all = [
            ("p50", latency.p50),
            ("p99", latency.p99),
            ("p99.9", latency.p999),
        ];
        figures.extend(all.map(|(name, ms)| (format!("{} {name}, ms", plain(&stage.name)), ms)));
    }
    let lag = largest_lag(report).map(|(_, lag)| ("largest lag, records".to_owned(), float(lag)));
    figures.extend(lag);
    if !report.sinks.is_empty() {
        figures.push(("lost".to_owned(), sum(|sink| sink.lost)));
        figures.push(("dead letters".to_owned(), sum(|sink| sink.dead_lettered)));
    }
    for process in &report.processes {
        let name = plain(&process.name);
        let per_million = process.cpu_seconds_per_million;
        figures.push((format!("{name} CPU, s per million events"), per_million));
        figures.push((format!("{name} peak memory, MiB"), process.peak_mib));
    }
    let highest = report.highest_rate;
    figures.extend(highest.map(|rate| ("highest rate, events a second".to_owned(), rate)));
    figures
}

/// A line for each figure: those that the first has, in its order, then those that only the second
/// has.
fn rows(before: &Report, after: &Report) -> Vec<Vec<String>> {
    let (before, after) = (figures(before), figures(after));
    let find = |all: &[(String, f64)], wanted: &str| {
        let found = all.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| *value)
    };
    let new = after
        .iter()
        .filter(|(name, _)| find(&before, name).is_none());
    let names = before.iter().chain(new).map(|(name, _)| name);
    let row = |name: &String| {
        let (one, other) = (find(&before, name), find(&after, name));
        let ratio = one.zip(other).and_then(|(one, other)| ratio(other, one));
        let shown = |value: Option<f64>| value.map_or(NONE.to_owned(), number);
        let ratio = ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.2}"));
        vec![name.clone(), shown(one), shown(other), ratio]
    };
    names.map(row).collect()
}

fn verdicts(before: &Report, after: &Report) -> String {
    let mark = |met: bool| if met { "met" } else { "MISSED" };
    let changed = after.verdicts.iter().filter_map(|now| {
        let mut all = before.verdicts.iter();
        let then = all.find(|then| then.objective == now.objective && then.met != now.met)?;
        let said = format!(
            "{}: {} ({}), now {} ({})",
            now.objective,
            mark(then.met),
            then.measured,
            mark(now.met),
            now.measured
        );
        Some(format!("\n  {}", wrap(&said, "    ")))
    });
    let changed: String = changed.collect();
    if changed.is_empty() {
        return "no verdict changed".to_owned();
    }
    format!("verdicts that changed{changed}")
}
