//! The rows of a batch as the cells of a statement, for a database to which they are bound.

use std::borrow::Cow;

use super::content::Content;
use super::dialect::{Cell, Row};
use super::row::{ChangeRow, CurrentRow, Key, Prepared};
use crate::time::Millis;

pub(super) fn key_cells((tenant, subject): Key<'_>) -> Row<'_> {
    vec![Cell::of(tenant), Cell::of(subject)]
}

/// What is told of the subject as it is now. `merged` is the content of a partial snapshot after
/// it was laid over the row; a relation has two columns more. The mapping has `typed` columns.
pub(super) fn current_cells<'b>(
    prepared: &'b Prepared<'_>,
    merged: Option<&'b Content<'static>>,
    typed: usize,
) -> Row<'b> {
    let mut cells = key_cells(prepared.key);
    cells.extend([
        Cell::of(&prepared.object_type),
        Cell::Int(Some(prepared.alive_at)),
        Cell::Int(Some(prepared.erased_at)),
    ]);
    let row = prepared.current.as_ref();
    cells.extend([
        Cell::of(row.map_or("unknown", |row| row.state)),
        Cell::maybe(row.and_then(|row| row.absorbed_by.as_ref())),
        Cell::Int(row.and_then(|row| row.version)),
        Cell::Int(row.and_then(|row| row.commit_time)),
        Cell::Int(Some(row.map_or(0, |row| row.content_time))),
    ]);
    let of_relations = prepared.is_relation;
    match merged {
        Some(content) => content_cells(&mut cells, Some(content), of_relations, typed),
        None => content_cells(&mut cells, row.map(content_of), of_relations, typed),
    }
    cells
}

fn content_of<'b, 'a>(row: &'b CurrentRow<'a>) -> &'b Content<'a> {
    &row.content
}

fn content_cells<'b>(
    cells: &mut Row<'b>,
    content: Option<&'b Content<'_>>,
    of_relations: bool,
    typed: usize,
) {
    cells.extend([
        Cell::maybe(content.and_then(|content| content.label.as_ref())),
        Cell::maybe(content.and_then(|content| content.object.as_ref())),
        Cell::maybe(content.and_then(|content| content.exact.as_ref())),
    ]);
    cells.extend(activity_cells(content));
    if of_relations {
        cells.extend([
            Cell::maybe(content.and_then(|content| content.start.as_ref())),
            Cell::maybe(content.and_then(|content| content.end.as_ref())),
        ]);
    }
    cells.extend(typed_cells(content, typed));
}

/// The columns of the mapping; a subject without content has none.
fn typed_cells<'b>(
    content: Option<&'b Content<'_>>,
    typed: usize,
) -> impl Iterator<Item = Cell<'b>> {
    let values = content.map(|content| content.columns.as_slice());
    let values = values.unwrap_or_default().iter();
    let values = values.map(|value| value.as_deref().map(Cow::Borrowed));
    let values = values.chain(std::iter::repeat(None)).take(typed);
    values.map(Cell::Text)
}

fn activity_cells<'b>(content: Option<&Content<'_>>) -> [Cell<'b>; 2] {
    let activity = content.map(|content| content.activity).unwrap_or_default();
    [Cell::Int(activity.from), Cell::Int(activity.until)]
}

/// The changes, except those up to `erased_at` that are no erasures. The mapping has `typed`
/// columns.
pub(super) fn change_cells<'b>(
    prepared: &'b Prepared<'_>,
    erased_at: Millis,
    typed: usize,
) -> impl Iterator<Item = Row<'b>> {
    let stays = move |change: &&ChangeRow<'_>| {
        erased_at == 0 || change.commit_time > erased_at || change.state == "erased"
    };
    prepared.changes.iter().filter(stays).map(move |change| {
        let content = change.content(prepared.current.as_ref());
        let mut cells = key_cells(prepared.key);
        cells.extend([
            Cell::Int(Some(change.commit_time)),
            Cell::Int(Some(change.version)),
            Cell::of(&change.event_id),
            Cell::of(change.kind),
            Cell::of(&change.object_type),
            Cell::of(change.state),
            Cell::maybe(change.absorbed_by.as_ref()),
            Cell::maybe(content.and_then(|content| content.object.as_ref())),
            Cell::maybe(content.and_then(|content| content.exact.as_ref())),
            Cell::Flag(change.observed),
            Cell::Int(Some(change.received_time)),
        ]);
        cells.extend(activity_cells(content));
        cells.extend(typed_cells(content, typed));
        cells
    })
}
