//! A write as lines of a piece. Pure.
//!
//! Guarantee: a line is that of the `file` sink, with the piece that it is in.

use uuid::Uuid;

use crate::sink::line::{self, no_json};
use crate::sink::row::Row;
use crate::sink::{SinkError, Write};

/// Bytes of a VARIANT at most, uncompressed:
/// <https://docs.snowflake.com/en/sql-reference/data-types-semistructured>.
const VARIANT: usize = 16 << 20;

/// The columns of the table: the members of a line.
pub(super) const COLUMNS: [&str; 14] = [
    "piece",
    "id",
    "tenant",
    "subject",
    "object_type",
    "kind",
    "version",
    "commit_time",
    "received_time",
    "observed",
    "state",
    "absorbed_by",
    "object_exact",
    "object",
];

/// Puts the lines of a write into `lines`, in place of what it held.
///
/// # Errors
/// Rejected if a change can be no row of the table.
pub(super) fn put(lines: &mut Vec<u8>, write: &Write, piece: Uuid) -> Result<(), SinkError> {
    lines.clear();
    let piece = format!("{{\"piece\":\"{}\",", piece.simple());
    for change in &write.changes {
        let row = Row::of(write, change).ok_or_else(no_json)?;
        if row.object.as_ref().is_some_and(|it| it.len() > VARIANT) {
            return Err(too_large("object_above_16_mb"));
        }
        let start = lines.len();
        line::line(lines, &row).map_err(|_| no_json())?;
        // In place of the opening brace.
        lines.splice(start..=start, piece.bytes());
    }
    Ok(())
}

/// What a row counts as that no append takes.
pub(super) fn too_large(code: &str) -> SinkError {
    SinkError::Rejected {
        code: code.to_owned(),
        fields: vec!["object".to_owned()],
        action: "append",
    }
}
