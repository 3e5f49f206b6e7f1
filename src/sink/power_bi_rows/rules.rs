//! What only several keys together, or a value's meaning, can violate in a `power_bi_rows` sink.

use std::time::Duration;

use super::rows::OWN;
use crate::config::{At, Rules};
use crate::sink::append;

/// Columns of a table at most
/// (<https://learn.microsoft.com/en-us/power-bi/developer/embedded/push-datasets-limitations>).
const COLUMNS: usize = 75;
/// Rows of a dataset in an hour at most; same source.
const HOURLY: f64 = 1_000_000.0;
const HOUR: Duration = Duration::from_hours(1);

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    for key in ["url", "login_url"] {
        rules.https(section, key);
    }
    for key in ["tenant_id", "group_id", "dataset_id"] {
        id(section, key, rules);
    }
    if let Some(at) = section.get("table")
        && at.text().is_some_and(|name| name.trim().is_empty())
    {
        rules.refuse(&at, "name the table of the dataset");
    }
    if !section.is_true("keeps_erased_records") {
        let remedy = "add `true` if rows of erased subjects (GDPR) may stay in the table until all of \
                      its rows are deleted: Power BI deletes no single row";
        match section.get("keeps_erased_records") {
            Some(at) => rules.refuse(&at, remedy),
            None => rules.missing(
                section,
                "keeps_erased_records",
                format!("missing; {remedy}"),
            ),
        }
    }
    columns(section, rules);
    append::window(top, section, rules);
    rules.period(section, &["linger"], ("0s", "10s"));
    rules.period(section, &["request_timeout"], ("1s", "1m"));
    rate(section, rules);
}

/// It becomes a part of an address.
fn id(section: &At<'_>, key: &str, rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if let Some(at) = section.get(key)
        && at
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(&at, "write the id alone: letters, digits, `-`, `_` and `.`");
    }
}

fn columns(section: &At<'_>, rules: &mut Rules<'_>) {
    let Some(columns) = section.get("columns") else {
        return;
    };
    let entries = columns.entries();
    let room = COLUMNS - OWN.len();
    if entries.len() > room {
        let count = entries.len();
        rules.refuse(&columns, format!("has {count} columns; {room} at most"));
    }
    for (name, at) in entries {
        if name.trim().is_empty() || name.trim() != name {
            rules.refuse(&at, "name the column, without a blank around it");
        } else if OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            let remedy = format!("`{name}` is a column of goldwire's own; choose another name");
            rules.refuse(&at, remedy);
        }
        let steps = |path: &str| path.split('.').all(|step| !step.trim().is_empty());
        let is_path = |path: &str| !path.starts_with("attributes.") && steps(path);
        if at.text().is_some_and(|path| !is_path(path)) {
            let remedy = "write an attribute's name, nested ones with dots (`Email.Email`), \
                          without `attributes.` before it";
            rules.refuse(&at, remedy);
        }
    }
}

/// No more requests and rows than Power BI takes.
fn rate(section: &At<'_>, rules: &mut Rules<'_>) {
    let written = section.get("min_interval");
    let interval = match written {
        Some(_) => rules.period(section, &["min_interval"], ("500ms", "1h")),
        None => Some(Duration::from_millis(500)),
    };
    let Some(at) = section.get("batch") else {
        return;
    };
    let rows = at.value.as_u64().and_then(|rows| u32::try_from(rows).ok());
    let (Some(interval), Some(rows)) = (interval, rows) else {
        return;
    };
    if f64::from(rows) * HOUR.div_duration_f64(interval) > HOURLY {
        rules.refuse(
            &at,
            "may become more than 1,000,000 rows an hour, which Power BI refuses; raise \
             min_interval, or write less: 138 rows each 500ms, 8300 each 30s",
        );
    }
}
