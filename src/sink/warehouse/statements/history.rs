//! `golden_record_changes`: a row for every distinct change. The intervals between them are what the
//! view `golden_record_history` computes.

use super::super::dialect::{Dialect, Name, Statement, Type, fixed};
use super::super::staging::Staging;
use super::{KEY, names};
use crate::sink::columns::Columns;

/// The statements of the history, in the order in which they run.
#[derive(Debug)]
pub(in super::super) struct History {
    /// Deletes what an erasure is about, except erasures. Before anything is appended: a row with the
    /// erasure's own clocks must not be in its place.
    pub(in super::super) delete: Statement,
    /// Keeps such rows of the staging table from being appended.
    pub(in super::super) drop_staged: Option<Statement>,
    /// Appends the new ones.
    pub(in super::super) append: Statement,
}

impl History {
    pub(super) fn new(dialect: Dialect, columns: &Columns, staging: &Staging) -> Self {
        let is_postgres = dialect == Dialect::Postgres;
        Self {
            delete: delete(dialect),
            drop_staged: is_postgres.then(|| drop_staged(&staging.table)),
            append: append(dialect, columns, staging),
        }
    }
}

/// A subject, and up to when its content is erased.
fn erasures() -> Vec<(Name, Type)> {
    let mut rows = fixed(&KEY);
    rows.extend(fixed(&[("erased_at", Type::Int)]));
    rows
}

/// The row of an erasure has no content, and tells that there was one.
fn delete(dialect: Dialect) -> Statement {
    // SQLite has no USING; its rows are found by the key in either form.
    let body = match dialect {
        Dialect::Sqlite => {
            " DELETE FROM golden_record_changes
 WHERE (tenant, subject, commit_time, version) IN (
  SELECT h.tenant, h.subject, h.commit_time, h.version
  FROM incoming AS i JOIN golden_record_changes AS h
   ON h.tenant = i.tenant AND h.subject = i.subject AND h.commit_time <= i.erased_at
  WHERE h.state <> 'erased')"
        }
        Dialect::Postgres => {
            " DELETE FROM golden_record_changes AS h USING incoming AS i
 WHERE h.tenant = i.tenant AND h.subject = i.subject AND h.commit_time <= i.erased_at
  AND h.state <> 'erased'"
        }
    };
    Statement::bound(dialect, erasures(), &[], body)
}

fn drop_staged(table: &str) -> Statement {
    let body = format!(
        " UPDATE {table} AS h SET changed_at = NULL
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject
  AND h.changed_at <= i.erased_at AND h.change_state <> 'erased'"
    );
    Statement::bound(Dialect::Postgres, erasures(), &[], &body)
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
