//! Rules of sinks: what every kind has in common. Each has its own beside it.

use super::{At, Rules, one_kind};
use crate::sink::registry::KINDS;

pub(super) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    for (name, sink) in top
        .get("sinks")
        .map(|sinks| sinks.entries())
        .unwrap_or_default()
    {
        // The inbox has a group of that name, and ingest has dead letters of its own.
        self::name(name, &sink, &["inbox", "ingest"], rules);
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let Some((name, section)) = one_kind(&sink, &names, rules) else {
            continue;
        };
        if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
            (kind.check)(top, &section, rules);
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
