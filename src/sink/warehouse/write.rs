//! One transaction for one batch.
//!
//! Guarantee: all of it is committed or none. The first statement locks the rows of all subjects in
//! `golden_records`, sorted by key, and makes those that are missing; then the same in `relations`.
//! A subject's changes and merges are touched only under that lock. So two writers never decide
//! the same subject's merges at once, and never wait for each other in a circle.

use std::borrow::Cow;
use std::collections::HashMap;

use super::cells::{change_cells, current_cells, key_cells};
use super::connection::{Connection, Failed};
use super::content::{Content, Unfit};
use super::dialect::{Cell, Dialect, Row};
use super::fault::Phase;
use super::row::{CurrentRow, Key, Prepared};
use super::staging;
use super::statements::{Current, Statements};
use crate::sink::Effect;
use crate::sink::columns::Columns;
use crate::sink::partial::NoObject;
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

/// Writes `batch`, sorted by key and no subject twice, and commits it. One effect for each, in the
/// same order.
pub(super) async fn write(
    connection: &mut Connection,
    statements: &Statements,
    columns: &Columns,
    batch: &[Prepared<'_>],
) -> Result<Vec<Effect>, Broken> {
    let begun = connection.begin_batch(&statements.staging).await;
    begun.map_err(at(Phase::Begin))?;
    let mut writing = Writing {
        connection,
        statements,
        columns,
        batch,
        merged: HashMap::new(),
        marks: HashMap::new(),
    };
    writing.everything().await.map_err(at(Phase::Work))?;
    let effects = batch.iter().map(|prepared| writing.effect(prepared));
    let effects = effects.collect();
    connection.commit().await.map_err(at(Phase::Commit))?;
    Ok(effects)
}

struct Writing<'w, 'a> {
    connection: &'w mut Connection,
    statements: &'w Statements,
    columns: &'w Columns,
    batch: &'w [Prepared<'a>],
    /// Partial snapshots, laid over what the tables held.
    merged: HashMap<Key<'a>, Content<'static>>,
    /// What the current rows say after the write, where it matters.
    marks: HashMap<Key<'a>, Mark>,
}

/// What a current row says after a write.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// Content up to here is gone for good.
    erased_at: Millis,
    content_time: Millis,
}

impl Mark {
    /// Whether the table took `row`: else it holds what is newer, or an erasure that covers it.
    fn took(self, row: &CurrentRow<'_>) -> bool {
        row.content_time >= self.content_time
            && (row.state != "alive" || row.content_time > self.erased_at)
    }
}

impl<'a> Writing<'_, 'a> {
    async fn everything(&mut self) -> Result<(), Failed> {
        let statements = self.statements;
        let tables = [&statements.records, &statements.relations];
        if self.batch.iter().any(|row| row.partial().is_some()) {
            // What is read must not change before it is written, and a lock on these rows alone
            // would be a second pass over the tables.
            for table in tables {
                self.lock(table).await?;
            }
            for table in tables {
                self.overlay(table).await?;
            }
        }
        if self.connection.dialect() == Dialect::Postgres {
            let (batch, merged) = (self.batch, &self.merged);
            let unknown = CurrentRow::unknown();
            let rows = batch
                .iter()
                .flat_map(|prepared| staging::rows(prepared, merged.get(&prepared.key), &unknown));
            self.connection.stage(&statements.staging, rows).await?;
        }
        for table in tables {
            self.tell(table).await?;
        }
        self.history().await?;
        self.merges().await
    }

    /// The writes that are about `table`.
    fn of(&self, table: &Current) -> impl Iterator<Item = &'_ Prepared<'a>> + use<'_, 'a> {
        let of_relations = table.of_relations;
        let all = self.batch.iter();
        all.filter(move |prepared| prepared.is_relation == of_relations)
    }

    /// Locks all rows of the batch in `table`; in SQLite the transaction itself is the lock.
    async fn lock(&mut self, table: &Current) -> Result<(), Failed> {
        if self.connection.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let numbered = self.of(table).zip(0..);
        let keys = numbered.map(|(prepared, n)| {
            let (tenant, subject) = prepared.key;
            vec![Cell::Int(Some(n)), Cell::of(tenant), Cell::of(subject)]
        });
        let keys: Vec<Row<'a>> = keys.collect();
        self.connection.run(&table.lock, || keys).await.map(drop)
    }

    /// Lays partial snapshots over what the table holds.
    async fn overlay(&mut self, table: &Current) -> Result<(), Failed> {
        let batch = self.batch;
        let partials = || {
            let mine = batch
                .iter()
                .filter(|row| row.is_relation == table.of_relations);
            mine.filter_map(|row| Some((row, row.partial()?)))
        };
        let keys = || partials().map(|(row, _)| key_cells(row.key)).collect();
        let answers = self.connection.run(&table.content, keys).await?;
        let before: HashMap<Key<'_>, &str> = answers.iter().filter_map(found).collect();
        for (row, partial) in partials() {
            let text = partial.over(before.get(&row.key).copied());
            let text = text.map_err(|NoObject| Unfit("no_object"))?;
            let mut content = Content::of_text(Cow::Owned(text))?;
            content.read_columns(self.columns, &row.object_type);
            self.merged.insert(row.key, content);
        }
        Ok(())
    }

    async fn tell(&mut self, table: &Current) -> Result<(), Failed> {
        if self.of(table).next().is_none() {
            return Ok(());
        }
        let (batch, merged) = (self.batch, &self.merged);
        let (of_relations, typed) = (table.of_relations, self.columns.count());
        let told = || {
            let told = batch.iter().filter(|row| row.is_relation == of_relations);
            told.map(|row| current_cells(row, merged.get(&row.key), typed))
                .collect()
        };
        let answers = self.connection.run(&table.tell, told).await?;
        // Hardly any row has to be looked at again.
        let asserted = batch
            .iter()
            .any(|row| row.asserts && row.changes.is_empty());
        let seen: HashMap<Key<'_>, Mark> = answers
            .iter()
            .filter_map(mark)
            .filter(|(_, mark)| asserted || mark.erased_at > 0)
            .collect();
        if seen.is_empty() {
            return Ok(());
        }
        for prepared in batch.iter().filter(|row| row.is_relation == of_relations) {
            if let Some(mark) = seen.get(&prepared.key) {
                self.marks.insert(prepared.key, *mark);
            }
        }
        Ok(())
    }

    /// Content of the subject up to here is gone for good.
    fn erased_at(&self, prepared: &Prepared<'a>) -> Millis {
        let mark = self.marks.get(&prepared.key);
        mark.map_or(0, |mark| mark.erased_at)
    }

    async fn history(&mut self) -> Result<(), Failed> {
        let (batch, statements) = (self.batch, &self.statements.history);
        let erased = |of: &Prepared<'a>| {
            let mut cells = key_cells(of.key);
            cells.push(Cell::Int(Some(self.erased_at(of))));
            cells
        };
        let late = batch.iter().filter(|of| self.erased_at(of) > 0);
        let late: Vec<Row<'a>> = late.map(erased).collect();
        let erasures = batch.iter().filter(|of| of.erased_at > 0);
        let erasures: Vec<Row<'a>> = erasures.map(erased).collect();
        self.connection.run(&statements.delete, || erasures).await?;
        if let Some(drop) = &statements.drop_staged {
            self.connection.run(drop, || late).await?;
        }
        let (marks, typed) = (&self.marks, self.columns.count());
        let erased = |row: &Prepared<'a>| marks.get(&row.key).map_or(0, |mark| mark.erased_at);
        let rows = || {
            let rows = batch.iter();
            rows.flat_map(|row| change_cells(row, erased(row), typed))
                .collect()
        };
        self.connection.run(&statements.append, rows).await?;
        Ok(())
    }

    async fn merges(&mut self) -> Result<(), Failed> {
        let (batch, statements) = (self.batch, &self.statements.merges);
        let entities = || batch.iter().filter(|prepared| !prepared.is_relation);
        let mut absorbed = Vec::new();
        for prepared in entities() {
            for (winner, (first, last)) in &prepared.absorbed {
                let mut row = key_cells(prepared.key);
                row.extend([
                    Cell::of(winner),
                    Cell::Int(Some(*first)),
                    Cell::Int(Some(*last)),
                ]);
                absorbed.push(row);
            }
        }
        self.connection.run(&statements.note, || absorbed).await?;
        let keys = || entities().map(|prepared| key_cells(prepared.key)).collect();
        let losers = self.connection.run(&statements.losers, keys).await?;
        self.connection.run(&statements.decide, || losers).await?;
        Ok(())
    }

    fn effect(&self, prepared: &Prepared<'a>) -> Effect {
        let mark = self.marks.get(&prepared.key);
        let refused = match (&prepared.current, mark) {
            (Some(row), Some(mark)) => !mark.took(row),
            (_, _) => false,
        };
        if refused && prepared.asserts && prepared.changes.is_empty() {
            Effect::Stale
        } else {
            Effect::Delivered
        }
    }
}

fn found<'r>(row: &'r Row<'_>) -> Option<(Key<'r>, &'r str)> {
    match row.as_slice() {
        [tenant, subject, object] => Some(((tenant.text()?, subject.text()?), object.text()?)),
        _ => None,
    }
}

fn mark<'r>(row: &'r Row<'_>) -> Option<(Key<'r>, Mark)> {
    match row.as_slice() {
        [tenant, subject, erased_at, content_time] => {
            let (erased_at, content_time) = (erased_at.int()?, content_time.int()?);
            let mark = Mark {
                erased_at,
                content_time,
            };
            Some(((tenant.text()?, subject.text()?), mark))
        }
        _ => None,
    }
}
