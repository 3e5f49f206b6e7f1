//! The rows that a write would append.

use crate::sink::Write;
use crate::sink::line;
use crate::sink::preview::{Preview, PreviewValue, Previewed};

/// # Errors
/// If a change cannot be a row.
pub(super) fn preview(place: &str, write: &Write) -> Previewed {
    let mut lines = Vec::new();
    line::add(&mut lines, write)?;
    let text = String::from_utf8_lossy(&lines);
    let of_line = |line: &str| Preview {
        target: place.to_owned(),
        action: "append a row".to_owned(),
        values: vec![PreviewValue::new(
            "row",
            line,
            "the record's head, and the event's object as it came",
        )],
    };
    Ok(text.lines().map(of_line).collect())
}
