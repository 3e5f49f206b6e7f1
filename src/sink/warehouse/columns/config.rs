//! The key `columns` of a `warehouse` sink.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Rules};

/// A column: the path of its attribute, `Email.Email`, for a column of texts; or a mapping.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ColumnConfig {
    /// Path of an attribute, nested ones with dots. The column holds text.
    Attribute(String),
    /// Path, type, and whose attribute it is.
    Typed(TypedColumn),
}

/// A column of another type than text, or of one entity or relation type only.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedColumn {
    /// Path of the attribute, nested ones with dots: `Email.Email`.
    pub attribute: String,
    /// What the column holds.
    #[serde(default, rename = "type")]
    pub kind: ColumnType,
    /// Short name of the one entity or relation type whose attribute it is; NULL elsewhere. Left out:
    /// of every type that has the attribute.
    pub object_type: Option<String>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `text`: the value as it is.
    #[default]
    Text,
    /// `bigint`: whole numbers of 64 bits.
    Integer,
    /// `numeric`: every digit in PostgreSQL; SQLite makes a 64-bit float of what has a fraction.
    Decimal,
    /// `boolean`.
    Boolean,
    /// `date` in PostgreSQL, text `2026-03-01` in SQLite. The day as written, whatever the time zone.
    Date,
    /// `timestamptz` in PostgreSQL, text `2026-03-01T12:00:00.000Z` in SQLite.
    Timestamp,
}

/// Columns at most: SQLite binds a few hundred values for each row, and PostgreSQL has 1,600 columns.
const MOST: usize = 100;

/// Bytes of a name at most: PostgreSQL cuts what is longer.
const LONGEST: usize = 63;

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

/// What a column's name or source can violate.
pub(in super::super) fn check(section: &At<'_>, rules: &mut Rules<'_>) {
    let Some(columns) = section.get("columns") else {
        return;
    };
    let entries = columns.entries();
    if entries.len() > MOST {
        let count = entries.len();
        rules.refuse(&columns, format!("has {count} columns; {MOST} at most"));
    }
    let taken = BTreeSet::from(TAKEN);
    for (name, at) in entries {
        if !is_name(name) {
            let remedy = format!(
                "name the column with small letters, digits and `_`, {LONGEST} at most, and no \
                 digit first"
            );
            rules.refuse(&at, remedy);
        } else if taken.contains(name) {
            let remedy = format!("`{name}` is a column of goldwire's own; choose another name");
            rules.refuse(&at, remedy);
        }
        let path = at.get("attribute").unwrap_or(at);
        if path.text().is_some_and(|path| !is_path(path)) {
            let remedy = "write an attribute's name, nested ones with dots (`Email.Email`), \
                          without `attributes.` before it";
            rules.refuse(&path, remedy);
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let starts_well = !name.starts_with(|first: char| first.is_ascii_digit());
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed) && starts_well
}

fn is_path(path: &str) -> bool {
    let mut steps = path.split('.');
    let is_prefixed = path.starts_with("attributes.");
    !is_prefixed && steps.all(|step| !step.is_empty() && step.trim() == step)
}
