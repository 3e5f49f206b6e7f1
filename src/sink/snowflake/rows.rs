//! A write as lines of a piece. Pure.
//!
//! Guarantee: a line is that of the `file` sink, with the piece that it is in.

use uuid::Uuid;

use crate::sink::line;
use crate::sink::row::COLUMNS;
use crate::sink::{SinkError, Write};

/// Bytes of a VARIANT at most, uncompressed:
/// <https://docs.snowflake.com/en/sql-reference/data-types-semistructured>.
const VARIANT: usize = 16 << 20;

/// The columns of the table: the members of a line.
pub(super) fn columns() -> impl Iterator<Item = &'static str> {
    ["piece"].into_iter().chain(COLUMNS)
}

/// Puts the lines of a write into `lines`, in place of what it held.
///
/// # Errors
/// Rejected if a change can be no row of the table.
pub(super) fn put(lines: &mut Vec<u8>, write: &Write, piece: Uuid) -> Result<(), SinkError> {
    lines.clear();
    line::add_with(lines, write, |lines, _, row| {
        if row.object.as_ref().is_some_and(|it| it.len() > VARIANT) {
            return Err(too_large("object_above_16_mb"));
        }
        lines.extend_from_slice(b",\"piece\":\"");
        lines.extend_from_slice(
            piece
                .simple()
                .encode_lower(&mut Uuid::encode_buffer())
                .as_bytes(),
        );
        lines.push(b'"');
        Ok(())
    })
}

/// What a row counts as that no append takes.
pub(super) fn too_large(code: &str) -> SinkError {
    SinkError::Rejected {
        code: code.to_owned(),
        fields: vec!["object".to_owned()],
        action: "append",
    }
}
