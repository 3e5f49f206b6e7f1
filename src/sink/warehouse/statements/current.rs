//! `golden_records` and `relations`: what a subject is now.

use super::super::dialect::{Dialect, Statement, Type, fixed};
use super::super::staging::Staging;
use super::{KEY, names};
use crate::sink::columns::Columns;

const FACTS: [(&str, Type); 3] = [
    ("object_type", Type::Text),
    ("alive_at", Type::Int),
    ("erased_at", Type::Int),
];
const STATE: [(&str, Type); 10] = [
    ("state", Type::Text),
    ("absorbed_by", Type::Text),
    ("version", Type::Int),
    ("commit_time", Type::Int),
    ("stands_for", Type::Int),
    ("label", Type::Text),
    ("object", Type::Text),
    ("object_exact", Type::Text),
    ("active_from", Type::Int),
    ("active_until", Type::Int),
];
const ENDS: [(&str, Type); 2] = [("start_entity", Type::Text), ("end_entity", Type::Text)];

/// The guard (G4): what a write says the subject is now replaces what is not newer, and no content
/// comes back that was erased. A write that does not say what the subject is now has the state
/// `unknown`.
const NEWER: &str = "excluded.state <> 'unknown' AND excluded.stands_for >= g.stands_for
   AND (excluded.state <> 'alive' OR excluded.stands_for > g.erased_at)";

/// The statements of one current table.
#[derive(Debug)]
pub(in super::super) struct Current {
    /// Whether it is the one of relations, whose rows have two more columns.
    pub(in super::super) of_relations: bool,
    /// Locks the rows of these keys, and makes those that are missing, in one sorted pass. Only
    /// for a batch that has to read before it writes.
    pub(in super::super) lock: Statement,
    /// Reads what a partial snapshot is laid over.
    pub(in super::super) content: Statement,
    /// Writes what is told: always what holds in any order (type, last known life, erasure), and
    /// the state where it is not older than the row's. Locks every row of the batch in one sorted
    /// pass. Returns the key, `erased_at` and `stands_for` after it.
    pub(in super::super) tell: Statement,
}

impl Current {
    pub(super) fn new(dialect: Dialect, table: &str, columns: &Columns, staging: &Staging) -> Self {
        let of_relations = table == "relations";
        Self {
            of_relations,
            lock: lock(dialect, table),
            content: content(dialect, table),
            tell: tell(dialect, table, columns, staging),
        }
    }
}

/// The rows are sorted before they come.
fn lock(dialect: Dialect, table: &str) -> Statement {
    // A row that its WHERE refuses is locked all the same.
    let body = format!(
        " INSERT INTO {table} AS g
  (tenant, subject, object_type, state, stands_for, alive_at, erased_at, updated_at)
 SELECT tenant, subject, '', 'unknown', 0, 0, 0, {} FROM incoming WHERE true ORDER BY n
 ON CONFLICT (tenant, subject) DO UPDATE SET tenant = excluded.tenant WHERE false",
        dialect.now()
    );
    let mut columns = fixed(&[("n", Type::Int)]);
    columns.extend(fixed(&KEY));
    Statement::bound(dialect, columns, &[], &body)
}

fn content(dialect: Dialect, table: &str) -> Statement {
    let body = format!(
        " SELECT g.tenant, g.subject, coalesce(g.object_exact, CAST(g.object AS text))
 FROM {table} AS g JOIN incoming AS i ON g.tenant = i.tenant AND g.subject = i.subject
 WHERE g.state = 'alive'"
    );
    let returns = &[Type::Text, Type::Text, Type::Text];
    Statement::bound(dialect, fixed(&KEY), returns, &body)
}

fn tell(dialect: Dialect, table: &str, typed: &Columns, staging: &Staging) -> Statement {
    let of_relations = table == "relations";
    let ends: &[(&'static str, Type)] = if of_relations { &ENDS } else { &[] };
    let facts = [&KEY[..], &FACTS].concat();
    let columns = [&facts[..], &STATE, ends].concat();
    let mut rows = fixed(&columns);
    let of_staging = names(&rows);
    rows.extend(typed.of_rows());
    let replaced = rows.iter().skip(facts.len()).map(|(name, _)| name.as_ref());
    let replaced: Vec<String> = replaced
        .filter(|name| *name != "commit_time")
        .chain(["updated_at"])
        .map(|name| format!("{name} = CASE WHEN {NEWER} THEN excluded.{name} ELSE g.{name} END"))
        .collect();
    let all = names(&rows);
    // One writer is alone with a SQLite file; in PostgreSQL the order is that of all writers.
    let sorted = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => " ORDER BY n",
    };
    let body = format!(
        " INSERT INTO {table} AS g ({all}, updated_at)
 SELECT {all}, {now} FROM incoming WHERE true{sorted}
 ON CONFLICT (tenant, subject) DO UPDATE SET {replaced},
  commit_time = CASE WHEN NOT ({NEWER}) THEN g.commit_time
   WHEN excluded.stands_for = g.stands_for THEN coalesce(excluded.commit_time, g.commit_time)
   ELSE excluded.commit_time END,
  object_type = CASE WHEN excluded.object_type = '' THEN g.object_type
   WHEN ({NEWER}) OR g.object_type = '' THEN excluded.object_type ELSE g.object_type END,
  alive_at = CASE WHEN excluded.alive_at > g.alive_at THEN excluded.alive_at ELSE g.alive_at END,
  erased_at = CASE WHEN excluded.erased_at > g.erased_at
   THEN excluded.erased_at ELSE g.erased_at END
 RETURNING tenant, subject, erased_at, stands_for",
        now = dialect.now(),
        replaced = replaced.join(", "),
    );
    let is_one = if of_relations { "" } else { "NOT " };
    let typed: Vec<String> = typed.staged().map(|value| format!("{value}, ")).collect();
    let staged = format!(
        "SELECT {of_staging}, {}n FROM {} WHERE tells AND {is_one}relation",
        typed.concat(),
        staging.table
    );
    let returns = &[Type::Text, Type::Text, Type::Int, Type::Int];
    Statement::staged(dialect, rows, returns, &staged, &body)
}
