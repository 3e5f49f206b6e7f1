//! Rules of sinks.

use std::collections::BTreeMap;

use std::path::Path;

use super::{At, Rules, bytes, one_kind};
use crate::config::{Dedupe, LogSettings, Period};
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
        match one_kind(&sink, &["salesforce", "warehouse", "file"], rules) {
            Some(("salesforce", section)) => salesforce(top, &section, rules),
            Some(("warehouse", section)) => self::warehouse(&section, rules),
            Some((_, section)) => file(top, &section, rules),
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

fn file(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("dir") {
        directory(top, &at, rules);
    }
    if !section.is_true("keeps_erased_records") {
        let remedy = "add `true` if lines of erased subjects (GDPR) may stay in the files, and \
                      whoever reads them deletes them";
        match section.get("keeps_erased_records") {
            Some(at) => rules.refuse(&at, remedy),
            None => rules.missing(
                section,
                "keeps_erased_records",
                format!("missing; {remedy}"),
            ),
        }
    }
    if let Some(at) = section.get("roll")
        && bytes(Some(&at), "64MiB") < 4096
    {
        rules.refuse(&at, "must be at least 4KiB");
    }
    rules.period(section, &["linger"], ("0s", "10s"));
    window(top, section, rules);
}

/// A directory that nothing else of this configuration is in.
fn directory(top: &At<'_>, at: &At<'_>, rules: &mut Rules<'_>) {
    let Some(text) = at.text() else { return };
    if text.is_empty() {
        rules.refuse(at, "write the path of a directory");
        return;
    }
    let dir = Path::new(text);
    let data = top.get("data_dir").and_then(|data| data.text());
    let data = data.map(Path::new);
    let inside = |name| data.is_some_and(|data| dir.starts_with(data.join(name)));
    if data == Some(dir) || ["log", "inbox", "store"].into_iter().any(inside) {
        rules.refuse(
            at,
            "goldwire keeps its own files there; name another directory",
        );
    }
    let mut others = top.get("sinks").map(|sinks| sinks.entries());
    let others = others.iter_mut().flatten();
    let same = |other: &At<'_>| other.text().map(Path::new) == Some(dir);
    for (name, sink) in others {
        let other = sink.down(&["file", "dir"]);
        if other.is_some_and(|other| same(&other) && other.path < at.path) {
            rules.refuse(at, format!("sinks.{name} has this directory; name another"));
        }
    }
}

/// Ids stay at least as long as a copy may come: Standard Webhooks' example of a schedule repeats
/// for 75 hours, and the log keeps records for `log.keep`.
fn window(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    let written = section.down(&["dedupe", "window"]);
    let window = rules.period(section, &["dedupe", "window"], ("75h", "365d"));
    let keep = top.down(&["log", "keep"]);
    let keep = keep.and_then(|keep| humantime::parse_duration(keep.text()?).ok());
    let keep = keep.unwrap_or_else(|| LogSettings::default().keep.get());
    match (written, window) {
        (Some(at), Some(window)) if window < keep => {
            rules.refuse(&at, "must not be shorter than log.keep");
        }
        (None, _) if Dedupe::default().window.get() < keep => {
            let remedy = "add dedupe.window: log.keep is longer than the default of 7d";
            rules.refuse(section, remedy);
        }
        _ => {}
    }
}
