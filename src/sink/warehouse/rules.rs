//! What a value's meaning can violate in a `warehouse` sink.

use crate::config::{At, Rules};
use crate::sink::columns;

/// What tables and views have themselves, and what the databases do.
const TAKEN: [&str; 43] = [
    "tenant",
    "subject",
    "object_type",
    "state",
    "absorbed_by",
    "version",
    "commit_time",
    "stands_for",
    "label",
    "object",
    "object_exact",
    "active_from",
    "active_until",
    "start_entity",
    "end_entity",
    "alive_at",
    "erased_at",
    "updated_at",
    "event_id",
    "kind",
    "observed",
    "received_time",
    "valid_from",
    "valid_to",
    "is_current",
    "commit_time_ts",
    "stands_for_ts",
    "updated_at_ts",
    "active_from_ts",
    "active_until_ts",
    "valid_from_ts",
    "valid_to_ts",
    "received_time_ts",
    "n",
    "rowid",
    "oid",
    "_rowid_",
    "tableoid",
    "xmin",
    "cmin",
    "xmax",
    "cmax",
    "ctid",
];

pub(super) fn check(_: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("url")
        && let Some(text) = at.text()
        && let Err(why) = super::check_url(text, section.is_true("insecure_plaintext"))
    {
        rules.refuse(&at, format!("it {why}"));
    }
    columns::check(section, &TAKEN, rules);
    rules.period(section, &["linger"], ("0s", "10s"));
    rules.period(section, &["statement_timeout"], ("100ms", "1h"));
}
