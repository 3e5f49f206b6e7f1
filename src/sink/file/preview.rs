//! The lines that a write would append.

use super::config::FileSink;
use crate::sink::Write;
use crate::sink::line;
use crate::sink::preview::{Preview, PreviewValue, Previewed};

/// # Errors
/// If a change cannot be a line.
pub(super) fn preview(config: &FileSink, write: &Write) -> Previewed {
    let mut lines = Vec::new();
    line::add(&mut lines, write)?;
    let text = String::from_utf8_lossy(&lines);
    let of_line = |line: &str| Preview {
        target: format!("{}/*.ndjson", config.dir.display()),
        action: "append a line".to_owned(),
        values: vec![PreviewValue::new(
            "line",
            line,
            "the record's head, and the event's object as it came",
        )],
    };
    Ok(text.lines().map(of_line).collect())
}
