//! `golden_record_history`: a row for every distinct change, and the intervals between them.
//!
//! The rows of a subject are exact before and after each pair of [`History::close`] and
//! [`History::append`]. Only these change them, under the lock of the subject's current row.

use super::super::dialect::{Dialect, Statement, Type};
use super::{KEY, names};

/// The statements of the history, in the order in which they run.
#[derive(Debug)]
pub(in super::super) struct History {
    /// Ends the interval of each row that a new one comes after.
    pub(in super::super) close: Statement,
    /// Appends the new ones, each with the end of its own interval.
    pub(in super::super) append: Statement,
    /// Takes the content out of what an erasure is about.
    pub(in super::super) blank: Statement,
    /// The same in the staging table, before it is appended.
    pub(in super::super) blank_staged: Option<Statement>,
}

impl History {
    pub(super) fn new(dialect: Dialect) -> Self {
        let table = "pg_temp.goldwire_incoming AS h SET object = NULL, object_exact = NULL
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject
  AND h.changed_at <= i.erased_at";
        Self {
            close: close(dialect),
            append: append(dialect),
            blank: blank(
                dialect,
                "golden_record_history AS h SET object = NULL, object_exact = NULL
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject
  AND h.commit_time <= i.erased_at AND h.object IS NOT NULL",
            ),
            blank_staged: (dialect == Dialect::Postgres).then(|| blank(dialect, table)),
        }
    }
}

fn blank(dialect: Dialect, what: &str) -> Statement {
    let mut columns = KEY.to_vec();
    columns.push(("erased_at", Type::Int));
    Statement::bound(dialect, columns, &[], &format!(" UPDATE {what}"))
}

/// A row ends where the first of those begins that come after it. An interval only ever gets
/// shorter: whatever comes in pieces or twice ends the same.
fn close(dialect: Dialect) -> Statement {
    // A row that comes first has no row before it: the group without an id meets no row.
    let mut columns = KEY.to_vec();
    columns.extend([("commit_time", Type::Int), ("version", Type::Int)]);
    let id = dialect.row_id();
    let body = format!(
        ", closed(id, valid_to) AS MATERIALIZED (
  SELECT b.id, min(b.commit_time) FROM (SELECT i.commit_time AS commit_time,
   (SELECT p.{id} FROM golden_record_history AS p
    WHERE p.tenant = i.tenant AND p.subject = i.subject
     AND (p.commit_time, p.version) < (i.commit_time, i.version)
    ORDER BY p.commit_time DESC, p.version DESC LIMIT 1) AS id FROM incoming AS i) AS b
  GROUP BY b.id)
 UPDATE golden_record_history AS h SET valid_to = c.valid_to, is_current = false
 FROM closed AS c WHERE h.{id} = c.id AND (h.valid_to IS NULL OR h.valid_to > c.valid_to)"
    );
    let staged = "SELECT tenant, subject, changed_at, changed_version
  FROM pg_temp.goldwire_incoming WHERE changed_at IS NOT NULL";
    Statement::staged(dialect, columns, &[], staged, &body)
}

/// A row for every distinct change (G5). Of two with the same clocks a payload wins over what was
/// read, then what was received first. `next_at` is the change after it in the same batch.
fn append(dialect: Dialect) -> Statement {
    let kept = [
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
    ];
    let replaced: Vec<String> = kept
        .iter()
        .skip(4)
        .map(|(name, _)| format!("{name} = excluded.{name}"))
        .collect();
    let all = names(&kept);
    let body = format!(
        ", placed({all}, valid_to) AS MATERIALIZED (
  SELECT {all}, coalesce(
   (SELECT n.commit_time FROM golden_record_history AS n
    WHERE n.tenant = i.tenant AND n.subject = i.subject
     AND (n.commit_time, n.version) > (i.commit_time, i.version)
     AND (i.next_at IS NULL OR n.commit_time < i.next_at)
    ORDER BY n.commit_time, n.version LIMIT 1), i.next_at) FROM incoming AS i)
 INSERT INTO golden_record_history AS h ({all}, valid_from, valid_to, is_current)
 SELECT {all}, commit_time, valid_to, valid_to IS NULL FROM placed WHERE true
 ON CONFLICT (tenant, subject, commit_time, version) DO UPDATE SET {replaced}
 WHERE (excluded.observed, excluded.received_time, excluded.event_id)
  < (h.observed, h.received_time, h.event_id)",
        replaced = replaced.join(", "),
    );
    let mut columns = kept.to_vec();
    columns.push(("next_at", Type::Int));
    let staged = "SELECT tenant, subject, changed_at, changed_version, event_id, kind, change_type,
   change_state, change_absorbed_by, object, object_exact, observed, received_time, next_at
  FROM pg_temp.goldwire_incoming WHERE changed_at IS NOT NULL";
    Statement::staged(dialect, columns, &[], staged, &body)
}
