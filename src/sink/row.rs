//! A change as a row of an append-only history: what its columns hold. Pure.
//!
//! Guarantee: a row's object is the text as it came, or, where many readers of JSON would refuse it,
//! shown as [`shown`] tells, with the exact text beside it.

use std::borrow::Cow;

use serde::Serialize;

use super::{Change, Write};
use crate::event::shown::shown;
use crate::event::{SubjectState, short_name};
use crate::time::Millis;

/// What a row has, in the order in which it is written.
pub(super) const COLUMNS: [&str; 13] = [
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

/// What a row says before its object, its members in this order.
#[derive(Debug, Serialize)]
pub(super) struct Head<'a> {
    pub(super) id: &'a str,
    pub(super) tenant: &'a str,
    pub(super) subject: &'a str,
    pub(super) object_type: Cow<'a, str>,
    pub(super) kind: &'a str,
    pub(super) version: i64,
    pub(super) commit_time: Millis,
    pub(super) received_time: Millis,
    pub(super) observed: bool,
    pub(super) state: &'a str,
    pub(super) absorbed_by: Option<&'a str>,
    /// The object's text where `object` differs from it.
    pub(super) object_exact: Option<&'a str>,
}

/// A change as a row.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) head: Head<'a>,
    /// JSON; nothing where the subject does not live.
    pub(super) object: Option<Cow<'a, str>>,
}

/// The one member that a row needs of its object.
#[derive(Debug, serde::Deserialize)]
struct Typed<'a> {
    #[serde(borrow, rename = "type")]
    object_type: Option<Cow<'a, str>>,
}

impl<'a> Row<'a> {
    /// The row of one of the write's changes; nothing if its object is no text.
    pub(super) fn of(write: &'a Write, change: &'a Change) -> Option<Self> {
        let (text, absorbed_by) = match &change.state {
            SubjectState::Alive(object) => (Some(std::str::from_utf8(object.text()).ok()?), None),
            SubjectState::Absorbed { by } => (None, by.as_deref()),
            SubjectState::Removed | SubjectState::Erased | SubjectState::Gone => (None, None),
        };
        let shown = text.and_then(shown);
        let object_exact = text.filter(|_| shown.is_some());
        let object = shown.map(Cow::Owned).or(text.map(Cow::Borrowed));
        let object_type = if write.object_type.is_empty() {
            let own = object.as_deref().and_then(type_of);
            Cow::Owned(own.unwrap_or_default())
        } else {
            Cow::Borrowed(&*write.object_type)
        };
        let head = Head {
            id: &change.id,
            tenant: write.subject.tenant(),
            subject: write.subject.uri(),
            object_type,
            kind: change.kind.word(),
            version: change.version,
            commit_time: change.commit_time,
            received_time: change.received_time,
            observed: change.observed,
            state: change.state.word(),
            absorbed_by,
            object_exact,
        };
        Some(Self { head, object })
    }
}

/// About how many bytes the rows of a write take, each with a head of `head`.
pub(super) fn room(write: &Write, head: usize) -> usize {
    let object = |change: &Change| match &change.state {
        SubjectState::Alive(object) => object.text().len(),
        SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => 0,
    };
    write.changes.iter().map(|it| head + object(it)).sum()
}

fn type_of(object: &str) -> Option<String> {
    let typed: Typed<'_> = serde_json::from_str(object).ok()?;
    Some(short_name(&typed.object_type?).to_owned())
}
