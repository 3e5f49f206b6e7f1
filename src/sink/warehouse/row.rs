//! A delivery as rows, before any database is asked. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::{Content, Partial, plain};
use super::dialect::Cell;
use crate::event::SubjectState;
use crate::sink::{Change, Current, Delivery, SinkError};
use crate::time::Millis;

/// Tenant and URI.
pub(super) type Key = (Arc<str>, Arc<str>);

/// Everything that a delivery wants written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) key: Key,
    pub(super) is_relation: bool,
    pub(super) object_type: Arc<str>,
    pub(super) current: Option<CurrentRow>,
    /// Whether the delivery itself brought a current state.
    pub(super) asserts: bool,
    pub(super) changes: Vec<ChangeRow>,
    /// Newest time at which the subject is known to have lived; 0 if it is not.
    pub(super) alive_at: Millis,
    /// Newest time at which it is known to have been erased; 0 if it is not.
    pub(super) erased_at: Millis,
    /// Winner → earliest and newest time at which the subject is known to have been absorbed by it.
    pub(super) absorbed: BTreeMap<Arc<str>, (Millis, Millis)>,
    pub(super) bytes: usize,
}

/// A row of `golden_records` or `relations`.
#[derive(Debug)]
pub(super) struct CurrentRow {
    pub(super) state: &'static str,
    pub(super) absorbed_by: Option<Arc<str>>,
    pub(super) version: Option<i64>,
    pub(super) commit_time: Option<Millis>,
    pub(super) stands_for: Millis,
    pub(super) content: Content,
    /// Set if `content` is to be laid over what the table holds.
    pub(super) partial: Option<Partial>,
}

/// A row of `golden_record_history`.
#[derive(Debug)]
pub(super) struct ChangeRow {
    pub(super) event_id: Arc<str>,
    pub(super) kind: &'static str,
    pub(super) object_type: Arc<str>,
    pub(super) state: &'static str,
    pub(super) absorbed_by: Option<Arc<str>>,
    pub(super) version: i64,
    pub(super) commit_time: Millis,
    pub(super) received_time: Millis,
    pub(super) observed: bool,
    pub(super) content: Content,
}

impl Prepared {
    /// The rows of `delivery`.
    ///
    /// # Errors
    /// Rejected if the subject's name cannot be a key.
    pub(super) fn of(delivery: &Delivery) -> Result<Self, SinkError> {
        let subject = &delivery.subject;
        if subject.uri().contains('\0') {
            return Err(SinkError::Rejected {
                code: "nul_in_key".to_owned(),
                fields: vec!["subject".to_owned()],
                action: "append",
            });
        }
        let object_type = plain(&delivery.object_type);
        let current = current_row(delivery);
        let mut changes: Vec<ChangeRow> = Vec::new();
        for change in &delivery.changes {
            let content = same_content(delivery, current.as_ref(), change);
            let content = content.unwrap_or_else(|| content_of(&change.state));
            keep(&mut changes, ChangeRow::of(change, &object_type, content));
        }
        let bytes = current.iter().map(|row| row.content.bytes());
        let bytes =
            bytes.sum::<usize>() + changes.iter().map(|row| row.content.bytes()).sum::<usize>();
        let mut prepared = Self {
            key: (plain(subject.tenant()), plain(subject.uri())),
            is_relation: subject.is_relation(),
            object_type,
            current,
            asserts: delivery.current.is_some(),
            changes,
            alive_at: 0,
            erased_at: 0,
            absorbed: BTreeMap::new(),
            bytes,
        };
        for (state, time) in observations(delivery) {
            prepared.note(state, time);
        }
        Ok(prepared)
    }

    /// Books what is true of the subject at `time` whatever else is: these never depend on the
    /// order in which deliveries come.
    fn note(&mut self, state: &SubjectState, time: Millis) {
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

/// Every state that the delivery tells, with its time.
fn observations(delivery: &Delivery) -> impl Iterator<Item = (&SubjectState, Millis)> {
    let current = delivery.current.iter();
    let current = current.map(|current| (&current.state, current.stands_for));
    let changes = delivery.changes.iter();
    current.chain(changes.map(|change| (&change.state, change.commit_time)))
}

/// The newest of what the delivery says the subject is now, and its erasures: those count
/// whatever the fence made of them.
fn current_row(delivery: &Delivery) -> Option<CurrentRow> {
    let current = delivery.current.as_ref();
    let erasures = delivery.changes.iter();
    let erasures = erasures.filter(|change| change.state == SubjectState::Erased);
    let erasure = erasures.max_by_key(|change| (change.commit_time, change.version));
    match (current, erasure) {
        (current, Some(erasure))
            if current.is_none_or(|row| row.stands_for <= erasure.commit_time) =>
        {
            Some(CurrentRow {
                state: "erased",
                absorbed_by: None,
                version: Some(erasure.version),
                commit_time: Some(erasure.commit_time),
                stands_for: erasure.commit_time,
                content: Content::default(),
                partial: None,
            })
        }
        (Some(current), _) => Some(CurrentRow::of(current, &delivery.changes)),
        (None, _) => None,
    }
}

impl CurrentRow {
    fn of(current: &Current, changes: &[Change]) -> Self {
        let brought = changes
            .iter()
            .filter(|change| Some(change.version) == current.version);
        let partial = match (&current.state, &current.fields) {
            (SubjectState::Alive(object), Some(fields)) => Some(Partial {
                fields: fields.clone(),
                object: Arc::clone(object),
            }),
            (_, _) => None,
        };
        Self {
            state: current.state.word(),
            absorbed_by: winner(&current.state),
            version: current.version,
            commit_time: brought.map(|change| change.commit_time).max(),
            stands_for: current.stands_for,
            content: content_of(&current.state),
            partial,
        }
    }
}

impl ChangeRow {
    fn of(change: &Change, object_type: &Arc<str>, content: Content) -> Self {
        let own_type = match &change.state {
            SubjectState::Alive(object) => object.object_type().map(plain),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        Self {
            event_id: plain(&change.id),
            kind: change.kind.word(),
            object_type: own_type.unwrap_or_else(|| Arc::clone(object_type)),
            state: change.state.word(),
            absorbed_by: winner(&change.state),
            version: change.version,
            commit_time: change.commit_time,
            received_time: change.received_time,
            observed: change.observed,
            content,
        }
    }

    /// Of two rows with the same clocks the lower stays: a payload before what was read, then
    /// what came first. The table's own rule is the same.
    fn rank(&self) -> (bool, Millis, &str) {
        (self.observed, self.received_time, &self.event_id)
    }
}

fn keep(rows: &mut Vec<ChangeRow>, row: ChangeRow) {
    let clocks = (row.commit_time, row.version);
    let known = rows
        .iter_mut()
        .find(|known| (known.commit_time, known.version) == clocks);
    match known {
        Some(known) if row.rank() < known.rank() => *known = row,
        Some(_) => {}
        None => rows.push(row),
    }
}

/// The current row's content, where the change brought the same: mostly so, and it is not written
/// out twice then.
fn same_content(delivery: &Delivery, row: Option<&CurrentRow>, change: &Change) -> Option<Content> {
    let state = &delivery.current.as_ref()?.state;
    let same = *state == change.state && row?.state == state.word();
    same.then(|| row.map(|row| row.content.clone())).flatten()
}

fn content_of(state: &SubjectState) -> Content {
    match state {
        SubjectState::Alive(object) => Content::of(object),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => Content::default(),
    }
}

fn winner(state: &SubjectState) -> Option<Arc<str>> {
    match state {
        SubjectState::Absorbed { by } => by.as_deref().map(plain),
        SubjectState::Alive(_)
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    }
}

/// A text that is there.
pub(super) fn text(text: &Arc<str>) -> Cell {
    Cell::Text(Some(Arc::clone(text)))
}

/// A word of ours.
pub(super) fn word(word: &'static str) -> Cell {
    Cell::Text(Some(word.into()))
}
