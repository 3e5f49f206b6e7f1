//! The report as one HTML page: what was missed first, then figures, plots, tables, and where all of
//! that was measured. It needs no script and nothing from outside.

use super::figure::{
    NONE, accepted_rate, bytes, count, largest_lag, number, outcome, scheduled_rate, slowest, time,
    with,
};
use super::markup::{Cells, Row, each, escape, facts, section, table};
use super::plots::plots;
use super::tables::tables;
use super::{Process, Report};

/// The page.
pub(crate) fn html(report: &Report) -> String {
    let named = if report.scenario.is_empty() {
        "no name"
    } else {
        &report.scenario
    };
    let title = format!("Load test {named}: {}", outcome(report));
    let began = if report.began.is_empty() {
        "an unknown time"
    } else {
        &report.began
    };
    let sections = [
        verdicts(report),
        section("figures", "Key figures", &figures(report)),
        section("plots", "Over time, and by percentile", &plots(report)),
        section("tables", "Tables", &tables(report)),
        section("machine", "How it was measured", &measured(report)),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"note\">goldwire load test, began {began}</p>\n<h1>{named}</h1>\n\
         <p>{about}</p>\n</header>\n<main>\n{sections}</main>\n</body>\n</html>\n",
        title = escape(&title),
        style = include_str!("page.css"),
        began = escape(began),
        named = escape(named),
        about = escape(&report.about),
        sections = sections.concat(),
    )
}

fn verdicts(report: &Report) -> String {
    let (met, missed): (Vec<_>, Vec<_>) = report.verdicts.iter().partition(|verdict| verdict.met);
    let rows = missed.into_iter().chain(met).map(|verdict| Row {
        bad: !verdict.met,
        cells: vec![
            if verdict.met { "met" } else { "MISSED" }.to_owned(),
            verdict.objective.clone(),
            verdict.wanted.clone(),
            verdict.measured.clone(),
        ],
    });
    let head = ["", "objective", "wanted", "measured"];
    let rows: Vec<_> = rows.collect();
    let outcome = outcome(report);
    let mut outcome = outcome.chars();
    let first = outcome.next().map(|c| c.to_ascii_uppercase());
    let title: String = first.into_iter().chain(outcome).collect();
    let content = table("Objectives", Cells::Words, &head, &rows);
    let class = if report.passed() { "passed" } else { "missed" };
    format!(
        "<div class=\"verdict {class}\">\n{}</div>\n",
        section("verdict", &title, &content)
    )
}

/// The few numbers that say most.
fn figures(report: &Report) -> String {
    let sent = &report.sent;
    let mut all = vec![
        (
            "Accepted",
            count(sent.accepted),
            format!(
                "of {} events, in {}",
                count(sent.scheduled),
                time(report.seconds)
            ),
        ),
        (
            "Rate",
            accepted_rate(report).map_or(NONE.to_owned(), number),
            format!(
                "accepted a second; {} scheduled",
                scheduled_rate(report).map_or(NONE.to_owned(), number)
            ),
        ),
    ];
    if let Some(stage) = slowest(report) {
        let name = &stage.name;
        let latency = &stage.latency;
        all.push(("Latency p50", with("ms", Some(latency.p50)), name.clone()));
        all.push(("Latency p99", with("ms", Some(latency.p99)), name.clone()));
        all.push((
            "Latency p99.9",
            with("ms", Some(latency.p999)),
            name.clone(),
        ));
    }
    if let Some((group, lag)) = largest_lag(report) {
        all.push(("Largest lag", count(lag), format!("records, of {group}")));
    }
    let sum = |of: fn(&super::Account) -> u64| report.sinks.iter().map(of).sum::<u64>();
    let letters = format!(
        "and {} dead letters, at all sinks",
        count(sum(|it| it.dead_lettered))
    );
    all.push(("Lost", count(sum(|it| it.lost)), letters));
    if let Some(rate) = report.highest_rate {
        all.push((
            "Highest rate",
            number(rate),
            "events a second that met the objectives".to_owned(),
        ));
    }
    let most = |of: fn(&Process) -> f64| {
        report
            .processes
            .iter()
            .max_by(|one, other| of(one).total_cmp(&of(other)))
    };
    if let Some(process) = most(|it| it.cpu_seconds_per_million) {
        let cpu = with("s", Some(process.cpu_seconds_per_million));
        all.push(("CPU per million events", cpu, process.name.clone()));
    }
    if let Some(process) = most(|it| it.peak_mib) {
        all.push((
            "Peak memory",
            with("MiB", Some(process.peak_mib)),
            process.name.clone(),
        ));
    }
    let settled = "from the last event until nothing was left to do".to_owned();
    all.push(("Settled", time(report.settled), settled));
    facts("key", &all)
}

fn measured(report: &Report) -> String {
    let sent = &report.sent;
    let plain = |name, fact: String| (name, fact, String::new());
    let mut load = vec![
        plain("Scheduled", count(sent.scheduled)),
        plain("Accepted", count(sent.accepted)),
        plain("Refused", count(sent.refused)),
        plain("Copies of earlier events", count(sent.copies)),
        plain("After a newer one of their subject", count(sent.late)),
        plain("Bodies", bytes(sent.bytes)),
        plain(
            "Sender behind schedule, p99",
            with("ms", Some(sent.behind_p99_ms)),
        ),
        plain("Seed", report.seed.to_string()),
    ];
    if sent.webhook_requests > 0 {
        load.push(plain("Webhooks", count(sent.webhook_requests)));
        load.push(plain("Webhooks answered 2xx", count(sent.webhook_accepted)));
    }
    let machine = &report.machine;
    let mut place = vec![
        plain("Processors", machine.cpus.to_string()),
        plain("Memory", format!("{} MiB", count(machine.memory_mib))),
        plain("System", machine.system.clone()),
    ];
    let versions = report.versions.iter();
    place.extend(versions.map(|(program, version)| plain(program, version.clone())));
    let parts = [
        ("What was sent", facts("plain", &load)),
        ("Machine and versions", facts("plain", &place)),
    ];
    let command = if report.command.is_empty() {
        "not known"
    } else {
        &report.command
    };
    format!(
        "<div class=\"sides\">{}</div>\n<h3>Command</h3>\n\
         <pre class=\"scroll\" tabindex=\"0\"><code>{}</code></pre>\n",
        each(parts, |(title, facts)| format!(
            "<div><h3>{title}</h3>\n{facts}</div>\n"
        )),
        escape(command)
    )
}
