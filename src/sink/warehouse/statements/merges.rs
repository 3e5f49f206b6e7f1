//! `merges`: which loser is absorbed by which winner.

use super::super::dialect::{Dialect, Statement, Type, fixed};
use super::super::staging::Staging;
use super::KEY;

/// The statements of the merges, in the order in which they run.
#[derive(Debug)]
pub(in super::super) struct Merges {
    /// Notes that losers were absorbed. Whether they still are is decided by [`Merges::decide`].
    pub(in super::super) note: Statement,
    /// Tells which subjects of the batch were ever absorbed: hardly any.
    pub(in super::super) losers: Statement,
    /// Says of each merge of these subjects whether it is active.
    pub(in super::super) decide: Statement,
}

impl Merges {
    pub(super) fn new(dialect: Dialect, staging: &Staging) -> Self {
        Self {
            note: note(dialect),
            losers: losers(dialect, staging),
            decide: decide(dialect),
        }
    }
}

fn note(dialect: Dialect) -> Statement {
    let columns = fixed(&[
        ("tenant", Type::Text),
        ("loser", Type::Text),
        ("winner", Type::Text),
        ("merged_at", Type::Int),
        ("last_seen_at", Type::Int),
    ]);
    let body = format!(
        " INSERT INTO merges AS m
  (tenant, loser, winner, merged_at, last_seen_at, active, updated_at)
 SELECT tenant, loser, winner, merged_at, last_seen_at, false, {} FROM incoming WHERE true
 ON CONFLICT (tenant, loser, winner) DO UPDATE SET
  merged_at = CASE WHEN excluded.merged_at < m.merged_at
   THEN excluded.merged_at ELSE m.merged_at END,
  last_seen_at = CASE WHEN excluded.last_seen_at > m.last_seen_at
   THEN excluded.last_seen_at ELSE m.last_seen_at END",
        dialect.now()
    );
    Statement::bound(dialect, columns, &[], &body)
}

fn losers(dialect: Dialect, staging: &Staging) -> Statement {
    // One look at the index for each subject, however many merges there are: a join could be
    // planned the other way round.
    let body = " SELECT i.tenant, i.subject FROM incoming AS i
 WHERE (SELECT 1 FROM merges AS m
  WHERE m.tenant = i.tenant AND m.loser = i.subject LIMIT 1) IS NOT NULL";
    let staged = format!(
        "SELECT tenant, subject FROM {} WHERE tells AND NOT relation",
        staging.table
    );
    let returns = &[Type::Text, Type::Text];
    Statement::staged(dialect, fixed(&KEY), returns, &staged, body)
}

/// A merge is active while the loser was not seen alive, or absorbed by another, later than by
/// this winner. That a subject is gone or removed does not undo its merge.
fn decide(dialect: Dialect) -> Statement {
    // At the same time, what the current table says counts.
    let lives = "(g.alive_at > m.last_seen_at
   OR g.alive_at = m.last_seen_at AND g.state = 'alive')";
    let overtaken = "EXISTS (SELECT 1 FROM merges AS o
   WHERE o.tenant = m.tenant AND o.loser = m.loser
    AND (o.last_seen_at, o.winner) > (m.last_seen_at, m.winner))";
    let body = format!(
        " UPDATE merges AS m SET
  active = NOT {lives} AND NOT {overtaken},
  unmerged_at = CASE WHEN {lives} THEN coalesce(
   (SELECT h.commit_time FROM golden_record_changes AS h
    WHERE h.tenant = m.tenant AND h.subject = m.loser AND h.state = 'alive'
     AND h.commit_time > m.last_seen_at
    ORDER BY h.commit_time LIMIT 1), g.alive_at) END,
  updated_at = {}
 FROM incoming AS i JOIN golden_records AS g
  ON g.tenant = i.tenant AND g.subject = i.subject
 WHERE m.tenant = i.tenant AND m.loser = i.subject",
        dialect.now()
    );
    Statement::bound(dialect, fixed(&KEY), &[], &body)
}
