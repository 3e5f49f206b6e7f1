//! One transaction for many deliveries.
//!
//! Guarantee: all of it is committed or none, and the rows of one subject are locked by its row in
//! `golden_records` or `relations` before its history is touched, so that two writers never
//! compute the same subject's intervals at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::connection::{Connection, Failed};
use super::content::Content;
use super::dialect::{Cell, Statement};
use super::fault::Phase;
use super::row::{ChangeRow, CurrentRow, Key, Prepared, text, word};
use super::statements::{Current, Statements};
use crate::sink::Effect;
use crate::time::Millis;

/// A failure, and where it happened.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) phase: Phase,
    pub(super) failed: Failed,
}

fn at(phase: Phase) -> impl Fn(Failed) -> Broken {
    move |failed| Broken { phase, failed }
}

/// Writes `batch`, no subject twice, and commits it. One effect for each, in the same order.
pub(super) async fn write(
    connection: &mut Connection,
    statements: &Statements,
    batch: &[&Prepared],
) -> Result<Vec<Effect>, Broken> {
    let begin = connection.dialect().begin().to_owned();
    connection.command(begin).await.map_err(at(Phase::Begin))?;
    let mut writing = Writing {
        connection,
        erased: HashMap::new(),
        written: HashSet::new(),
    };
    let done = writing.everything(statements, batch).await;
    done.map_err(at(Phase::Work))?;
    let Writing {
        connection,
        written,
        ..
    } = writing;
    let commit = connection.command("COMMIT".to_owned()).await;
    commit.map_err(at(Phase::Commit))?;
    let effect = |prepared: &&Prepared| {
        let refused = prepared.asserts && !written.contains(&prepared.key);
        if refused && prepared.changes.is_empty() {
            Effect::Stale
        } else {
            Effect::Delivered
        }
    };
    Ok(batch.iter().map(effect).collect())
}

struct Writing<'a> {
    connection: &'a mut Connection,
    /// Content up to here is gone for good.
    erased: HashMap<Key, Millis>,
    /// Subjects whose current row was written; the others are older than it.
    written: HashSet<Key>,
}

impl Writing<'_> {
    async fn everything(
        &mut self,
        statements: &Statements,
        batch: &[&Prepared],
    ) -> Result<(), Failed> {
        let (relations, records): (Vec<&Prepared>, Vec<&Prepared>) =
            batch.iter().partition(|prepared| prepared.is_relation);
        self.current(&statements.records, &records).await?;
        self.current(&statements.relations, &relations).await?;
        self.history(statements, batch).await?;
        self.merges(statements, &records).await
    }

    async fn current(&mut self, table: &Current, batch: &[&Prepared]) -> Result<(), Failed> {
        let before = self.before(&table.content, batch).await?;
        let ends = table
            .assert
            .columns
            .iter()
            .any(|(name, _)| *name == "start_entity");
        let mut rows = Vec::new();
        for prepared in batch {
            let Some(row) = &prepared.current else {
                continue;
            };
            let merged = row
                .partial
                .as_ref()
                .map(|partial| partial.over(before.get(&prepared.key).map(String::as_str)));
            let content = merged.as_ref().unwrap_or(&row.content);
            rows.push(current_cells(prepared, row, content, ends));
        }
        for (key, erased_at) in marks(self.connection.run(&table.assert, &rows).await?) {
            self.written.insert(key.clone());
            self.erased.insert(key, erased_at);
        }
        let rest = batch
            .iter()
            .filter(|prepared| !self.written.contains(&prepared.key));
        let rows: Vec<_> = rest.map(|prepared| fact_cells(prepared)).collect();
        self.erased
            .extend(marks(self.connection.run(&table.facts, &rows).await?));
        Ok(())
    }

    /// The JSON that partial snapshots are laid over.
    async fn before(
        &mut self,
        statement: &Statement,
        batch: &[&Prepared],
    ) -> Result<HashMap<Key, String>, Failed> {
        let partial = batch.iter().filter(|prepared| {
            let current = prepared.current.as_ref();
            current.is_some_and(|row| row.partial.is_some())
        });
        let rows: Vec<_> = partial.map(|prepared| key_cells(&prepared.key)).collect();
        let answers = self.connection.run(statement, &rows).await?;
        let before = answers.iter().filter_map(|row| match row.as_slice() {
            [tenant, subject, object] => {
                let key = (Arc::clone(tenant.text()?), Arc::clone(subject.text()?));
                Some((key, object.text()?.as_ref().to_owned()))
            }
            _ => None,
        });
        Ok(before.collect())
    }

    async fn history(
        &mut self,
        statements: &Statements,
        batch: &[&Prepared],
    ) -> Result<(), Failed> {
        let mut rows = Vec::new();
        let mut keys = Vec::new();
        let mut blank = Vec::new();
        for prepared in batch {
            let erased_at = self.erased.get(&prepared.key).copied().unwrap_or_default();
            for change in &prepared.changes {
                rows.push(change_cells(prepared, change, erased_at));
                let mut key = key_cells(&prepared.key);
                key.extend([
                    Cell::Int(Some(change.commit_time)),
                    Cell::Int(Some(change.version)),
                ]);
                keys.push(key);
            }
            if prepared.erased_at > 0 {
                let mut key = key_cells(&prepared.key);
                key.push(Cell::Int(Some(erased_at)));
                blank.push(key);
            }
        }
        self.connection.run(&statements.append, &rows).await?;
        self.connection.run(&statements.blank, &blank).await?;
        self.connection.run(&statements.intervals, &keys).await?;
        Ok(())
    }

    async fn merges(&mut self, statements: &Statements, batch: &[&Prepared]) -> Result<(), Failed> {
        let mut rows = Vec::new();
        for prepared in batch {
            for (winner, (first, last)) in &prepared.absorbed {
                let mut row = key_cells(&prepared.key);
                row.extend([
                    text(winner),
                    Cell::Int(Some(*first)),
                    Cell::Int(Some(*last)),
                ]);
                rows.push(row);
            }
        }
        let keys: Vec<_> = batch
            .iter()
            .map(|prepared| key_cells(&prepared.key))
            .collect();
        self.connection.run(&statements.absorbed, &rows).await?;
        self.connection.run(&statements.merges, &keys).await?;
        Ok(())
    }
}

/// What the current tables say after a write: who, and when it was erased.
fn marks(answers: Vec<Vec<Cell>>) -> impl Iterator<Item = (Key, Millis)> {
    answers.into_iter().filter_map(|row| match row.as_slice() {
        [tenant, subject, erased_at] => {
            let key = (Arc::clone(tenant.text()?), Arc::clone(subject.text()?));
            Some((key, erased_at.int()?))
        }
        _ => None,
    })
}

fn key_cells(key: &Key) -> Vec<Cell> {
    vec![text(&key.0), text(&key.1)]
}

fn fact_cells(prepared: &Prepared) -> Vec<Cell> {
    let mut cells = key_cells(&prepared.key);
    cells.extend([
        text(&prepared.object_type),
        Cell::Int(Some(prepared.alive_at)),
        Cell::Int(Some(prepared.erased_at)),
    ]);
    cells
}

fn current_cells(
    prepared: &Prepared,
    row: &CurrentRow,
    content: &Content,
    ends: bool,
) -> Vec<Cell> {
    let mut cells = fact_cells(prepared);
    cells.extend([
        word(row.state),
        Cell::Text(row.absorbed_by.clone()),
        Cell::Int(row.version),
        Cell::Int(row.commit_time),
        Cell::Int(Some(row.stands_for)),
        Cell::Text(content.label.clone()),
        Cell::Text(content.object.clone()),
        Cell::Text(content.exact.clone()),
    ]);
    if ends {
        cells.extend([
            Cell::Text(content.start.clone()),
            Cell::Text(content.end.clone()),
        ]);
    }
    cells
}

fn change_cells(prepared: &Prepared, change: &ChangeRow, erased_at: Millis) -> Vec<Cell> {
    let nothing = Content::default();
    let content = if erased_at > 0 && change.commit_time <= erased_at {
        &nothing
    } else {
        &change.content
    };
    let mut cells = key_cells(&prepared.key);
    cells.extend([
        Cell::Int(Some(change.commit_time)),
        Cell::Int(Some(change.version)),
        text(&change.event_id),
        word(change.kind),
        text(&change.object_type),
        word(change.state),
        Cell::Text(change.absorbed_by.clone()),
        Cell::Text(content.object.clone()),
        Cell::Text(content.exact.clone()),
        Cell::Flag(change.observed),
        Cell::Int(Some(change.received_time)),
    ]);
    cells
}
