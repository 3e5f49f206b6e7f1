//! What only several keys together, or a value's meaning, can violate in a `file` sink.

use crate::config::{At, Rules, bytes};
use crate::sink::{append, directory};

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("dir") {
        directory::own(top, &at, rules);
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
