//! The rows that a write would add to a file.

use super::values;
use crate::sink::columns::Columns;
use crate::sink::line;
use crate::sink::preview::{Preview, PreviewValue, Previewed};
use crate::sink::{Change, Write};

/// # Errors
/// If a change cannot be a row.
pub(super) fn preview(url: &str, write: &Write, columns: &Columns) -> Previewed {
    let mut lines = Vec::new();
    line::add(&mut lines, write)?;
    let text = String::from_utf8_lossy(&lines);
    let of_line = |(line, change): (&str, &Change)| {
        let row = PreviewValue::new(
            "row",
            line,
            "the record's head, and the event's object as it came",
        );
        let values = values::read(columns, change, &write.object_type);
        let columns = columns.0.iter().zip(values).map(|(column, value)| {
            let source = format!("attributes.{}", column.source());
            PreviewValue::new(&column.name, value, source)
        });
        Preview {
            target: format!("files in {url}"),
            action: "append a row".to_owned(),
            values: std::iter::once(row).chain(columns).collect(),
        }
    };
    Ok(text.lines().zip(&write.changes).map(of_line).collect())
}
