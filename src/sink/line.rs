//! A change as a line of JSON. Pure.
//!
//! Guarantee: a line holds what its [`Row`] holds, and is the only line of it.

use super::row::{self, Row};
use super::{Change, SinkError, Write};

/// Bytes of a common head.
const HEAD: usize = 384;
/// The end of a line.
const CLOSE: &[u8] = b"}\n";

/// Adds the lines of a write, each with its end; none if it brings no change.
///
/// # Errors
/// Rejected if a change cannot be written as JSON; `lines` then holds what it held before.
pub(super) fn add(lines: &mut Vec<u8>, write: &Write) -> Result<(), SinkError> {
    add_with(lines, write, |_, _, _| Ok(()))
}

/// As [`add`], and `members` puts more of them behind a line's own, each after a comma.
pub(super) fn add_with(
    lines: &mut Vec<u8>,
    write: &Write,
    members: impl Fn(&mut Vec<u8>, &Change, &Row<'_>) -> serde_json::Result<()>,
) -> Result<(), SinkError> {
    let before = lines.len();
    for change in &write.changes {
        let made = Row::of(write, change).is_some_and(|row| {
            let added = unclosed(lines, &row).and_then(|()| members(lines, change, &row));
            lines.extend_from_slice(CLOSE);
            added.is_ok()
        });
        if !made {
            lines.truncate(before);
            return Err(no_json());
        }
    }
    Ok(())
}

/// What a change counts as that is no JSON.
pub(super) fn no_json() -> SinkError {
    SinkError::Rejected {
        code: "no_json".to_owned(),
        fields: Vec::new(),
        action: "append",
    }
}

/// About how many bytes the lines of a write take.
pub(super) fn room(write: &Write) -> usize {
    row::room(write, HEAD)
}

/// Adds the line of a row.
///
/// # Errors
/// If the row cannot be written as JSON; `lines` then holds a part of it.
pub(super) fn line(lines: &mut Vec<u8>, row: &Row<'_>) -> serde_json::Result<()> {
    unclosed(lines, row)?;
    lines.extend_from_slice(CLOSE);
    Ok(())
}

/// A line up to its closing brace.
fn unclosed(lines: &mut Vec<u8>, row: &Row<'_>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *lines, &row.head)?;
    // The object takes the place of the closing brace.
    lines.pop();
    lines.extend_from_slice(b",\"object\":");
    match &row.object {
        Some(text) => {
            let start = lines.len();
            lines.extend_from_slice(text.as_bytes());
            let added = lines.get_mut(start..).unwrap_or_default();
            // Between tokens a line's end is white space like any other. A search is much quicker
            // than a look at each byte, and senders seldom print any.
            if added.contains(&b'\n') || added.contains(&b'\r') {
                let ends = |byte: &&mut u8| matches!(byte, b'\n' | b'\r');
                added.iter_mut().filter(ends).for_each(|byte| *byte = b' ');
            }
        }
        None => lines.extend_from_slice(b"null"),
    }
    Ok(())
}
