//! The rows that a write would tell the tables.

use serde_json::Value;

use super::cells::{change_cells, current_cells};
use super::dialect::{Cell, Dialect, Row, Statement};
use super::row::Prepared;
use super::statements::Statements;
use crate::sink::Write;
use crate::sink::columns::Columns;
use crate::sink::preview::{Preview, PreviewValue, Previewed};

/// # Errors
/// If a snapshot cannot be kept.
pub(super) fn preview(write: &Write, columns: &Columns) -> Previewed {
    let prepared = Prepared::of(write, 0, columns)?;
    // The columns are the same in both databases.
    let statements = Statements::new(Dialect::Sqlite, columns);
    let mut previews = Vec::new();
    if prepared.asserts {
        let (table, of_table) = if prepared.is_relation {
            ("relations", &statements.relations)
        } else {
            ("golden_records", &statements.records)
        };
        let action = if prepared.partial().is_some() {
            "upsert, laid over what the row holds, if no newer content is there"
        } else {
            "upsert, if no newer content is there"
        };
        let cells = current_cells(&prepared, None, columns.count());
        previews.push(row(table, action, &of_table.tell, cells, columns));
    }
    for cells in change_cells(&prepared, prepared.erased_at, columns.count()) {
        let action = "append, if these clocks of the subject have no row yet";
        let append = &statements.history.append;
        previews.push(row("golden_record_changes", action, append, cells, columns));
    }
    for (winner, (since, _)) in &prepared.absorbed {
        let from = "the event";
        previews.push(Preview {
            target: "merges".to_owned(),
            action: "upsert".to_owned(),
            values: vec![
                PreviewValue::new("loser", prepared.key.1, from),
                PreviewValue::new("winner", winner.as_ref(), from),
                PreviewValue::new("merged_at", *since, from),
            ],
        });
    }
    Ok(previews)
}

fn row(
    table: &str,
    action: &str,
    statement: &Statement,
    cells: Row<'_>,
    columns: &Columns,
) -> Preview {
    let values = statement.columns.iter().zip(cells);
    let values = values.map(|((column, _), cell)| {
        let value = match cell {
            Cell::Text(text) => text.map_or(Value::Null, |text| text.into_owned().into()),
            Cell::Int(number) => number.into(),
            Cell::Flag(flag) => flag.into(),
        };
        let name = column.trim_matches('"');
        match columns.source(name) {
            Some(source) => PreviewValue::new(name, value, format!("attributes.{source}")),
            None => PreviewValue::new(name, value, origin(name)),
        }
    });
    Preview {
        target: table.to_owned(),
        action: action.to_owned(),
        values: values.collect(),
    }
}

/// Where a column's value comes from, where its name does not say so.
fn origin(column: &str) -> &'static str {
    match column {
        "object" => "the event's object as it came",
        "object_exact" => "the object's JSON, where no jsonb can hold it",
        "label" => "object.label",
        "active_from" => "the object's start dates",
        "active_until" => "the object's end dates and crosswalks",
        "start_entity" => "object.startObject",
        "end_entity" => "object.endObject",
        "stands_for" => "the guard: commit time, or when Reltio was read",
        "alive_at" => "newest time at which it is known to live",
        "erased_at" => "newest time at which it is known to be erased",
        "event_id" => "identity of the change",
        "observed" => "whether it was read from Reltio",
        "received_time" => "when goldwire received it",
        "tenant" => "the configuration",
        _ => "the event",
    }
}
