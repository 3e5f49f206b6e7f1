//! What a sink would write, without a target: what `goldwire map` prints.

use serde::Serialize;
use serde_json::Value;

use super::{SinkError, Write};
use crate::event::{Filter, Kind, Subject, SubjectState};

/// One record, row or line that a write would make.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// Where it goes: a table, an sObject, a topic, a directory.
    pub target: String,
    /// What would be done there.
    pub action: String,
    /// Its values, in the target's order.
    pub values: Vec<PreviewValue>,
}

/// A value, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PreviewValue {
    /// The target's name of it.
    pub field: String,
    /// The value. JSON text that is written as such is a text here, every digit as it came.
    pub value: Value,
    /// Where it comes from: an attribute's path and the value chosen there, a default, a clock.
    pub from: String,
}

impl PreviewValue {
    /// A value of `field`.
    pub fn new(field: &str, value: impl Into<Value>, from: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            value: value.into(),
            from: from.into(),
        }
    }
}

/// What every sink is given of a write, for one that says no more.
pub(super) fn given(target: &str, write: &Write) -> Vec<Preview> {
    let Some(current) = &write.current else {
        return Vec::new();
    };
    let mut values = vec![
        PreviewValue::new("subject", write.subject.uri(), "the event"),
        PreviewValue::new("object_type", &*write.object_type, "the event"),
        PreviewValue::new("state", current.state.word(), "the event"),
    ];
    if let SubjectState::Alive(object) = &current.state {
        let text = String::from_utf8_lossy(object.text());
        values.push(PreviewValue::new("object", text, "the event's object"));
    }
    vec![Preview {
        target: target.to_owned(),
        action: "write".to_owned(),
        values,
    }]
}

/// A preview, or why the record would be a dead letter.
pub type Previewed = Result<Vec<Preview>, SinkError>;

/// Whether a sink of tables or files takes records like this: erasures always.
pub(super) fn takes(filter: &Filter, subject: &Subject, object_type: &str, kind: Kind) -> bool {
    kind == Kind::Erased
        || filter.passes_kind(kind, subject.is_relation())
            && (object_type.is_empty() || filter.passes_type(object_type))
}
