//! A change as a line of JSON. Pure.

use serde::Serialize;
use serde_json::Value;

use crate::event::SubjectState;
use crate::sink::{Change, Delivery, SinkError};
use crate::time::Millis;

/// One line, its members in this order.
#[derive(Debug, Serialize)]
struct Line<'a> {
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
    object: Option<&'a Value>,
}

impl<'a> Line<'a> {
    fn of(delivery: &'a Delivery, change: &'a Change) -> Self {
        let object = match &change.state {
            SubjectState::Alive(object) => Some(object),
            SubjectState::Absorbed { .. }
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        let own_type = object.and_then(|object| object.object_type());
        let absorbed_by = match &change.state {
            SubjectState::Absorbed { by } => by.as_deref(),
            SubjectState::Alive(_)
            | SubjectState::Removed
            | SubjectState::Erased
            | SubjectState::Gone => None,
        };
        Self {
            id: &change.id,
            tenant: delivery.subject.tenant(),
            subject: delivery.subject.uri(),
            object_type: own_type.unwrap_or(&delivery.object_type),
            kind: change.kind.word(),
            version: change.version,
            commit_time: change.commit_time,
            received_time: change.received_time,
            observed: change.observed,
            state: change.state.word(),
            absorbed_by,
            object: object.map(|object| object.json()),
        }
    }
}

/// The lines of a delivery, each with its end; empty if it brings no change.
///
/// # Errors
/// Rejected if a change cannot be written as JSON.
pub(super) fn lines(delivery: &Delivery) -> Result<Vec<u8>, SinkError> {
    let mut lines = Vec::new();
    for change in &delivery.changes {
        let written = serde_json::to_writer(&mut lines, &Line::of(delivery, change));
        written.map_err(|_| SinkError::Rejected {
            code: "no_json".to_owned(),
            fields: Vec::new(),
            action: "append",
        })?;
        lines.push(b'\n');
    }
    Ok(lines)
}
