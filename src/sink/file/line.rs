//! A change as a line of JSON. Pure.
//!
//! Guarantee: a line's object is copied as it came, or, where many readers of JSON would refuse
//! the file for it, shown as [`shown`] tells, with its exact text beside it.

use serde::Serialize;
use serde::ser::Error as _;

use crate::event::shown::shown;
use crate::event::{SubjectState, short_name};
use crate::sink::{Change, SinkError, Write};
use crate::time::Millis;

/// Bytes of a common head.
const HEAD: usize = 384;

/// What a line says before its object, its members in this order.
#[derive(Debug, Serialize)]
struct Head<'a> {
    id: &'a str,
    tenant: &'a str,
    subject: &'a str,
    object_type: &'a str,
    kind: &'static str,
    version: i64,
    commit_time: Millis,
    received_time: Millis,
    observed: bool,
    state: &'static str,
    absorbed_by: Option<&'a str>,
    /// The object's text where `object` differs from it.
    object_exact: Option<&'a str>,
}

/// The one member that a line needs of its object.
#[derive(Debug, serde::Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    object_type: Option<std::borrow::Cow<'a, str>>,
}

/// Adds the lines of a write, each with its end; none if it brings no change.
///
/// # Errors
/// Rejected if a change cannot be written as JSON; `lines` then holds what it held before.
pub(super) fn add(lines: &mut Vec<u8>, write: &Write) -> Result<(), SinkError> {
    let before = lines.len();
    for change in &write.changes {
        if line(lines, write, change).is_err() {
            lines.truncate(before);
            return Err(SinkError::Rejected {
                code: "no_json".to_owned(),
                fields: Vec::new(),
                action: "append",
            });
        }
    }
    Ok(())
}

/// About how many bytes the lines of a write take.
pub(super) fn room(write: &Write) -> usize {
    let object = |change: &Change| match &change.state {
        SubjectState::Alive(object) => object.text().len(),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => 0,
    };
    write.changes.iter().map(|it| HEAD + object(it)).sum()
}

fn line(lines: &mut Vec<u8>, write: &Write, change: &Change) -> serde_json::Result<()> {
    let object = match &change.state {
        SubjectState::Alive(object) => Some(object),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    };
    let absorbed_by = match &change.state {
        SubjectState::Absorbed { by } => by.as_deref(),
        SubjectState::Alive(_)
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => None,
    };
    let text = object.map(|object| std::str::from_utf8(object.text()));
    let text = text.transpose().map_err(serde_json::Error::custom)?;
    let shown = text.and_then(shown);
    let object_exact = text.filter(|_| shown.is_some());
    let text = shown.as_deref().or(text);
    let own_type = text.filter(|_| write.object_type.is_empty());
    let own_type = own_type.and_then(type_of);
    let head = Head {
        id: &change.id,
        tenant: write.subject.tenant(),
        subject: write.subject.uri(),
        object_type: own_type.as_deref().unwrap_or(&write.object_type),
        kind: change.kind.word(),
        version: change.version,
        commit_time: change.commit_time,
        received_time: change.received_time,
        observed: change.observed,
        state: change.state.word(),
        absorbed_by,
        object_exact,
    };
    serde_json::to_writer(&mut *lines, &head)?;
    // The object takes the place of the closing brace.
    lines.pop();
    lines.extend_from_slice(b",\"object\":");
    match text {
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
    lines.extend_from_slice(b"}\n");
    Ok(())
}

fn type_of(object: &str) -> Option<String> {
    let typed: Typed<'_> = serde_json::from_str(object).ok()?;
    Some(short_name(&typed.object_type?).to_owned())
}
