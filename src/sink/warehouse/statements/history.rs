//! `golden_record_changes`: a row for every distinct change. The intervals between them are what the
//! view `golden_record_history` computes.

use super::super::columns::staged;
use super::super::dialect::{Dialect, Statement, Type, fixed};
use super::super::staging::Staging;
use super::{KEY, names};
use crate::sink::columns::Columns;

/// The statements of the history, in the order in which they run.
#[derive(Debug)]
pub(in super::super) struct History {
    /// Appends the new ones.
    pub(in super::super) append: Statement,
    /// Takes the content out of what an erasure is about.
    pub(in super::super) blank: Statement,
    /// The same in the staging table, before it is appended.
    pub(in super::super) blank_staged: Option<Statement>,
}

impl History {
    pub(super) fn new(dialect: Dialect, columns: &Columns, staging: &Staging) -> Self {
        let stored = "h.commit_time <= i.erased_at AND h.object IS NOT NULL";
        let blank_staged = || {
            let typed = (0..columns.count()).map(staged);
            blank(
                dialect,
                &staging.table,
                typed,
                "h.changed_at <= i.erased_at",
            )
        };
        Self {
            append: append(dialect, columns, staging),
            blank: blank(dialect, "golden_record_changes", columns.names(), stored),
            blank_staged: (dialect == Dialect::Postgres).then(blank_staged),
        }
    }
}

/// Takes the content, and the columns that are made of it, out of the rows of a table.
fn blank(
    dialect: Dialect,
    table: &str,
    columns: impl Iterator<Item = String>,
    which: &str,
) -> Statement {
    let content = ["object", "object_exact", "active_from", "active_until"];
    let content = content.into_iter().map(ToOwned::to_owned).chain(columns);
    let content: Vec<String> = content.map(|name| format!("{name} = NULL")).collect();
    let mut rows = fixed(&KEY);
    rows.extend(fixed(&[("erased_at", Type::Int)]));
    let body = format!(
        " UPDATE {table} AS h SET {}
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject AND {which}",
        content.join(", ")
    );
    Statement::bound(dialect, rows, &[], &body)
}

/// A row for every distinct change (G5). Of two with the same clocks a payload wins over what was
/// read, then what was received first.
fn append(dialect: Dialect, columns: &Columns, staging: &Staging) -> Statement {
    let mut kept = fixed(&[
        ("tenant", Type::Text),
        ("subject", Type::Text),
        ("commit_time", Type::Int),
        ("version", Type::Int),
        ("event_id", Type::Text),
        ("kind", Type::Text),
        ("object_type", Type::Text),
        ("state", Type::Text),
        ("absorbed_by", Type::Text),
        ("object", Type::Text),
        ("object_exact", Type::Text),
        ("observed", Type::Flag),
        ("received_time", Type::Int),
        ("active_from", Type::Int),
        ("active_until", Type::Int),
    ]);
    kept.extend(columns.of_rows());
    let replaced: Vec<String> = kept
        .iter()
        .skip(4)
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    let all = names(&kept);
    let body = format!(
        " INSERT INTO golden_record_changes AS h ({all})
 SELECT {all} FROM incoming WHERE true
 ON CONFLICT (tenant, subject, commit_time, version) DO UPDATE SET {replaced}
 WHERE (excluded.observed, excluded.received_time, excluded.event_id)
  < (h.observed, h.received_time, h.event_id)",
        replaced = replaced.join(", "),
    );
    let typed: Vec<String> = columns.staged().map(|value| format!(", {value}")).collect();
    let staged = format!(
        "SELECT tenant, subject, changed_at, changed_version, event_id, kind, change_type,
   change_state, change_absorbed_by, object, object_exact, observed, received_time,
   active_from, active_until{}
  FROM {} WHERE changed_at IS NOT NULL",
        typed.concat(),
        staging.table
    );
    Statement::staged(dialect, kept, &[], &staged, &body)
}
