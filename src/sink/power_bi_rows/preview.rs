//! The rows that a write would add.

use super::config::PowerBiRowsSink;
use super::rows::{Cells, rows};
use crate::sink::Write;
use crate::sink::preview::{Preview, PreviewValue, Previewed};

/// # Errors
/// If Power BI can never take a row.
pub(super) fn preview(config: &PowerBiRowsSink, write: &Write) -> Previewed {
    let from = |column: &str| match config.columns.get(column) {
        Some(path) => format!("attribute {path}"),
        None => "the event".to_owned(),
    };
    let of_row = |cells: Cells| Preview {
        target: config.shown(),
        action: "add a row".to_owned(),
        values: cells
            .into_iter()
            .map(|(column, value)| PreviewValue::new(&column, value, from(&column)))
            .collect(),
    };
    Ok(rows(config, write)?.into_iter().map(of_row).collect())
}
