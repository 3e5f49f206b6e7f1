//! `golden_record_changes`: a row for every distinct change. The intervals between them are what the
//! view `golden_record_history` computes.

use super::super::dialect::{Dialect, Statement, Type};
use super::{KEY, names};

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
    pub(super) fn new(dialect: Dialect) -> Self {
        let table = "pg_temp.goldwire_incoming_3 AS h
 SET object = NULL, object_exact = NULL, active_from = NULL, active_until = NULL
 FROM incoming AS i WHERE h.tenant = i.tenant AND h.subject = i.subject
  AND h.changed_at <= i.erased_at";
        Self {
            append: append(dialect),
            blank: blank(
                dialect,
                "golden_record_changes AS h
 SET object = NULL, object_exact = NULL, active_from = NULL, active_until = NULL
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

/// A row for every distinct change (G5). Of two with the same clocks a payload wins over what was
/// read, then what was received first.
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
        ("active_from", Type::Int),
        ("active_until", Type::Int),
    ];
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
    let staged = "SELECT tenant, subject, changed_at, changed_version, event_id, kind, change_type,
   change_state, change_absorbed_by, object, object_exact, observed, received_time,
   active_from, active_until
  FROM pg_temp.goldwire_incoming_3 WHERE changed_at IS NOT NULL";
    Statement::staged(dialect, kept.to_vec(), &[], staged, &body)
}
