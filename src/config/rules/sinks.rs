//! Rules of sinks.

use std::collections::BTreeMap;

use super::{At, Rules, one_kind};
use crate::config::Period;
use crate::event::short_name;
use crate::sink::warehouse;

pub(super) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    for (name, sink) in top
        .get("sinks")
        .map(|sinks| sinks.entries())
        .unwrap_or_default()
    {
        // The inbox has a group of that name, and ingest has dead letters of its own.
        self::name(name, &sink, &["inbox", "ingest"], rules);
        match one_kind(&sink, ["salesforce", "warehouse"], rules) {
            Some(("salesforce", section)) => salesforce(top, &section, rules),
            Some((_, section)) => self::warehouse(&section, rules),
            None => {}
        }
    }
}

/// Names become parts of groups, keys, labels and URLs.
pub(super) fn name(name: &str, at: &At<'_>, taken: &[&str], rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        rules.refuse(at, "name it with at most 64 letters, digits, `-` and `_`");
    } else if taken.contains(&name) {
        rules.refuse(at, "name it otherwise; goldwire uses this name itself");
    }
}

fn salesforce(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if top.get("reltio").is_none() {
        let remedy = "missing; add Reltio's API: who survived a merge is read there";
        rules.missing(top, "reltio", remedy);
    }
    rules.https(section, "login_url");
    if let Some(at) = section.get("api_version")
        && at.text().is_some_and(|text| !is_version(text))
    {
        rules.refuse(&at, "write a version such as v66.0");
    }
    if let Some(at) = section.down(&["quota", "per_second"])
        && at.value.as_u64() == Some(0)
    {
        rules.refuse(&at, "must be at least 1");
    }
    let mut types = BTreeMap::new();
    for (name, at) in section
        .get("objects")
        .map(|objects| objects.entries())
        .unwrap_or_default()
    {
        if let Some(other) = types.insert(short_name(name), name) {
            rules.refuse(
                &at,
                format!("is the same type as `{other}`; keep one of them"),
            );
        }
    }
    rules.period(section, &["linger"], ("0s", "10s"));
    let request = rules.period(section, &["request_timeout"], ("1s", "10m"));
    let longest = rules.period(section, &["longest_request"], ("100ms", "1h"));
    let request = request.unwrap_or_else(|| Period::from("60s").get());
    if let (Some(longest), Some(at)) = (longest, section.get("longest_request"))
        && longest < request
        && section.get("request_timeout").is_some()
    {
        rules.refuse(&at, "must not be shorter than request_timeout");
    }
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

fn warehouse(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("url")
        && let Some(text) = at.text()
        && let Err(why) = warehouse::check_url(text)
    {
        rules.refuse(&at, format!("it {why}"));
    }
    rules.period(section, &["linger"], ("0s", "10s"));
    rules.period(section, &["statement_timeout"], ("100ms", "1h"));
}
