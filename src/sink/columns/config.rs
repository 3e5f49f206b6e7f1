//! The key `columns` of a sink.

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
    /// The value as it is.
    #[default]
    Text,
    /// Whole numbers of 64 bits.
    Integer,
    /// `numeric` in a warehouse: every digit in PostgreSQL; SQLite makes a 64-bit float of what has a
    /// fraction. `DECIMAL(38, 18)` in a lake: 20 digits before the point, 18 after it.
    Decimal,
    /// `true` and `false`.
    Boolean,
    /// A date; text `2026-03-01` in SQLite. The day as written, whatever the time zone.
    Date,
    /// A moment, in UTC; text `2026-03-01T12:00:00.000Z` in SQLite.
    Timestamp,
}

/// Columns at most: SQLite binds a few hundred values for each row, and PostgreSQL has 1,600 columns.
const MOST: usize = 100;

/// Bytes of a name at most: PostgreSQL cuts what is longer.
const LONGEST: usize = 63;

/// What a column's name or source can violate; `taken` are names of the sink's own.
pub(in super::super) fn check(section: &At<'_>, taken: &[&str], rules: &mut Rules<'_>) {
    let Some(columns) = section.get("columns") else {
        return;
    };
    let entries = columns.entries();
    if entries.len() > MOST {
        let count = entries.len();
        rules.refuse(&columns, format!("has {count} columns; {MOST} at most"));
    }
    for (name, at) in entries {
        if !is_name(name) {
            let remedy = format!(
                "name the column with small letters, digits and `_`, {LONGEST} at most, and no \
                 digit first"
            );
            rules.refuse(&at, remedy);
        } else if taken.contains(&name) {
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
