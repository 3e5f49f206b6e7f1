//! What only several keys together, or a value's meaning, can violate in a `file` sink.

use std::path::Path;

use crate::config::{At, Rules, bytes};
use crate::sink::append;

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
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
    append::window(top, section, rules);
    if let Some(at) = section.get("roll")
        && bytes(Some(&at), "64MiB") < 4096
    {
        rules.refuse(&at, "must be at least 4KiB");
    }
    rules.period(section, &["linger"], ("0s", "10s"));
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
