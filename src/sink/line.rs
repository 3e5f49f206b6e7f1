//! A change as a line of JSON. Pure.
//!
//! Guarantee: a line holds what its [`Row`] holds, and is the only line of it.

use super::row::{self, Row};
use super::{Change, SinkError, Write};

/// Bytes of a common head.
const HEAD: usize = 384;

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
    members: impl Fn(&mut Vec<u8>, &Change, &Row<'_>) -> Result<(), SinkError>,
) -> Result<(), SinkError> {
    let before = lines.len();
    for change in &write.changes {
        let added = Row::of(write, change).ok_or_else(no_json).and_then(|row| {
            line(lines, &row).map_err(|_| no_json())?;
            members(lines, change, &row)
        });
        if let Err(error) = added {
            lines.truncate(before);
            return Err(error);
        }
        lines.extend_from_slice(b"}\n");
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

/// A line up to its closing brace.
fn line(lines: &mut Vec<u8>, row: &Row<'_>) -> serde_json::Result<()> {
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
