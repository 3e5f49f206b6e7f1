//! A write as rows, before any database is asked. Pure; it borrows all text from the write.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::content::Content;
use crate::event::SubjectState;
use crate::sink::columns::{Columns, plain};
use crate::sink::partial::Partial;
use crate::sink::{Change, Current, SinkError, Write};
use crate::time::Millis;

/// Tenant and URI.
pub(super) type Key<'a> = (&'a str, &'a str);

/// Everything that a write wants written.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    /// Its place in the batch that was handed in.
    pub(super) place: usize,
    pub(super) key: Key<'a>,
    pub(super) is_relation: bool,
    pub(super) object_type: Cow<'a, str>,
    pub(super) current: Option<CurrentRow<'a>>,
    /// Whether the write itself brought a current state.
    pub(super) asserts: bool,
    /// In the order of their clocks.
    pub(super) changes: Vec<ChangeRow<'a>>,
    /// Newest time at which the subject is known to have lived; 0 if it is not.
    pub(super) alive_at: Millis,
    /// Newest time at which it is known to have been erased; 0 if it is not.
    pub(super) erased_at: Millis,
    /// Winner → earliest and newest time at which the subject is known to have been absorbed by it.
    pub(super) absorbed: BTreeMap<Cow<'a, str>, (Millis, Millis)>,
}

/// A row of `golden_records` or `relations`.
#[derive(Debug)]
pub(super) struct CurrentRow<'a> {
    pub(super) state: &'static str,
    pub(super) absorbed_by: Option<Cow<'a, str>>,
    pub(super) version: Option<i64>,
    pub(super) commit_time: Option<Millis>,
    pub(super) content_time: Millis,
    /// Of a partial snapshot only what it brought: it is laid over what the table holds.
    pub(super) content: Content<'a>,
    pub(super) partial: Option<Partial<'a>>,
}

/// A row of `golden_record_changes`.
#[derive(Debug)]
pub(super) struct ChangeRow<'a> {
    pub(super) event_id: Cow<'a, str>,
    pub(super) kind: &'static str,
    pub(super) object_type: Cow<'a, str>,
    pub(super) state: &'static str,
    pub(super) absorbed_by: Option<Cow<'a, str>>,
    pub(super) version: i64,
    pub(super) commit_time: Millis,
    pub(super) received_time: Millis,
    pub(super) observed: bool,
    /// Nothing: the content that the current row brings.
    pub(super) content: Option<Content<'a>>,
}

impl<'a> Prepared<'a> {
    /// The rows of `write`.
    ///
    /// # Errors
    /// Rejected if the subject's name cannot be a key, or a snapshot not be kept.
    pub(super) fn of(write: &'a Write, place: usize, columns: &Columns) -> Result<Self, SinkError> {
        let subject = &write.subject;
        if subject.uri().contains('\0') {
            return Err(SinkError::Rejected {
                code: "nul_in_key".to_owned(),
                fields: vec!["subject".to_owned()],
                action: "append",
            });
        }
        let object_type = plain(&write.object_type);
        let current = current_row(write, columns)?;
        let mut prepared = Self {
            place,
            key: (subject.tenant(), subject.uri()),
            is_relation: subject.is_relation(),
            changes: change_rows(write, current.as_ref(), &object_type, columns)?,
            object_type,
            current,
            asserts: write.current.is_some(),
            alive_at: 0,
            erased_at: 0,
            absorbed: BTreeMap::new(),
        };
        for (state, time) in observations(write) {
            prepared.note(state, time);
        }
        Ok(prepared)
    }

    /// Its current state, if that has to be laid over what the table holds.
    pub(super) fn partial(&self) -> Option<Partial<'a>> {
        self.current.as_ref()?.partial
    }

    /// Books what is true of the subject at `time` whatever else is: these never depend on the
    /// order in which writes come.
    fn note(&mut self, state: &'a SubjectState, time: Millis) {
        match state {
            SubjectState::Alive(_) => self.alive_at = self.alive_at.max(time),
            SubjectState::Erased => self.erased_at = self.erased_at.max(time),
            SubjectState::Absorbed { by: Some(winner) } if !self.is_relation => {
                let span = self.absorbed.entry(plain(winner)).or_insert((time, time));
                *span = (span.0.min(time), span.1.max(time));
            }
            SubjectState::Absorbed { .. } | SubjectState::Removed | SubjectState::Gone => {}
        }
    }
}

/// Every state that the write tells, with its time.
fn observations(write: &Write) -> impl Iterator<Item = (&SubjectState, Millis)> {
    let current = write.current.iter();
    let current = current.map(|current| (&current.state, current.content_time));
    let changes = write.changes.iter();
    current.chain(changes.map(|change| (&change.state, change.commit_time)))
}

/// The newest of what the write says the subject is now, and its erasures: those count whatever
/// the fence made of them.
fn current_row<'a>(
    write: &'a Write,
    columns: &Columns,
) -> Result<Option<CurrentRow<'a>>, SinkError> {
    let current = write.current.as_ref();
    let erasures = write.changes.iter();
    let erasures = erasures.filter(|change| change.state == SubjectState::Erased);
    let erasure = erasures.max_by_key(|change| (change.commit_time, change.version));
    match (current, erasure) {
        (current, Some(erasure))
            if current.is_none_or(|row| row.content_time <= erasure.commit_time) =>
        {
            Ok(Some(CurrentRow {
                state: "erased",
                version: Some(erasure.version),
                commit_time: Some(erasure.commit_time),
                content_time: erasure.commit_time,
                ..CurrentRow::unknown()
            }))
        }
        (Some(current), _) => CurrentRow::of(current, write, columns).map(Some),
        (None, _) => Ok(None),
    }
}

impl<'a> CurrentRow<'a> {
    /// Of a write that does not say what the subject is now.
    pub(super) fn unknown() -> Self {
        Self {
            state: "unknown",
            absorbed_by: None,
            version: None,
            commit_time: None,
            content_time: 0,
            content: Content::default(),
            partial: None,
        }
    }

    fn of(current: &'a Current, write: &'a Write, columns: &Columns) -> Result<Self, SinkError> {
        let changes = write.changes.iter();
        let brought = changes.filter(|change| Some(change.version) == current.version);
        let partial = match (&current.state, &current.fields) {
            (SubjectState::Alive(object), Some(fields)) => Some(Partial { fields, object }),
            (_, _) => None,
        };
        let content = match partial {
            // Its columns are read when it was laid over what the table holds.
            Some(_) => content_of(&current.state, &Columns::default(), "")?,
            None => content_of(&current.state, columns, &write.object_type)?,
        };
        Ok(Self {
            state: current.state.word(),
            absorbed_by: winner(&current.state),
            version: current.version,
            commit_time: brought.map(|change| change.commit_time).max(),
            content_time: current.content_time,
            content,
            partial,
        })
    }
}

/// One row for each pair of clocks, in their order.
fn change_rows<'a>(
    write: &'a Write,
    current: Option<&CurrentRow<'a>>,
    object_type: &Cow<'a, str>,
    columns: &Columns,
) -> Result<Vec<ChangeRow<'a>>, SinkError> {
    let mut rows: Vec<ChangeRow<'a>> = Vec::with_capacity(write.changes.len());
    for change in &write.changes {
        let content = match current.filter(|row| brings(write, row, change)) {
            Some(_) => None,
            None => Some(content_of(&change.state, columns, object_type)?),
        };
        keep(&mut rows, change_row(change, current, content, object_type));
    }
    rows.sort_by_key(ChangeRow::clocks);
    Ok(rows)
}

/// A change whose content is `content`, or that of the current row.
fn change_row<'a>(
    change: &'a Change,
    current: Option<&CurrentRow<'a>>,
    content: Option<Content<'a>>,
    object_type: &Cow<'a, str>,
) -> ChangeRow<'a> {
    let shown = content.as_ref().or(current.map(|row| &row.content));
    let own_type = shown.and_then(|content| content.object_type.clone());
    ChangeRow {
        event_id: plain(&change.id),
        kind: change.kind.word(),
        object_type: own_type.unwrap_or_else(|| object_type.clone()),
        state: change.state.word(),
        absorbed_by: winner(&change.state),
        version: change.version,
        commit_time: change.commit_time,
        received_time: change.received_time,
        observed: change.observed,
        content,
    }
}

/// Whether the current row brings the very content of `change`: mostly so, and it is not written
/// out twice then.
fn brings(write: &Write, row: &CurrentRow<'_>, change: &Change) -> bool {
    let current = write.current.as_ref().map(|current| &current.state);
    match (current, &change.state) {
        (Some(SubjectState::Alive(now)), SubjectState::Alive(then)) => {
            row.state == "alive" && row.partial.is_none() && now.text() == then.text()
        }
        (_, _) => false,
    }
}

impl<'a> ChangeRow<'a> {
    fn clocks(&self) -> (Millis, i64) {
        (self.commit_time, self.version)
    }

    /// Of two rows with the same clocks the lower stays: a payload before what was read, then
    /// what came first. The table's own rule is the same.
    fn rank(&self) -> (bool, Millis, &str) {
        (self.observed, self.received_time, &self.event_id)
    }

    /// Its content, where the current row is `current`.
    pub(super) fn content<'b>(
        &'b self,
        current: Option<&'b CurrentRow<'a>>,
    ) -> Option<&'b Content<'a>> {
        self.content
            .as_ref()
            .or_else(|| current.map(|row| &row.content))
    }
}

fn keep<'a>(rows: &mut Vec<ChangeRow<'a>>, row: ChangeRow<'a>) {
    let known = rows.iter_mut().find(|known| known.clocks() == row.clocks());
    match known {
        Some(known) if row.rank() < known.rank() => *known = row,
        Some(_) => {}
        None => rows.push(row),
    }
}

fn content_of<'a>(
    state: &'a SubjectState,
    columns: &Columns,
    object_type: &str,
) -> Result<Content<'a>, SinkError> {
    match state {
        SubjectState::Alive(object) => Ok(Content {
            columns: columns.read(object, object_type),
            ..Content::of(object)?
        }),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => Ok(Content::default()),
    }
}

fn winner(state: &SubjectState) -> Option<Cow<'_, str>> {
    match state {
        SubjectState::Absorbed { by } => by.as_deref().map(plain),
        SubjectState::Alive(_)
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    }
}
