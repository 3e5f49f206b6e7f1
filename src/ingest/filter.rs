//! Which events are taken: by type of object and by what happened. Pure.

use crate::decode::kinds_called;
use crate::event::{EventRecord, Kind, short_name};

/// A filter over events.
#[derive(Debug, Clone)]
pub struct Filter {
    types: Option<Vec<String>>,
    events: Option<Vec<String>>,
    relations: bool,
}

impl Filter {
    /// A filter of patterns.
    pub fn new(
        entity_types: Option<&[String]>,
        event_types: Option<&[String]>,
        include_relationships: bool,
    ) -> Self {
        let all = |patterns: &[String]| patterns.iter().any(|pattern| pattern == "*");
        let types = entity_types.filter(|patterns| !all(patterns));
        let events = event_types.filter(|patterns| !all(patterns));
        Self {
            types: types.map(|types| types.iter().map(|t| short_name(t).to_owned()).collect()),
            events: events.map(<[String]>::to_vec),
            relations: include_relationships,
        }
    }

    /// Whether an event passes.
    pub fn passes(&self, event: &EventRecord) -> bool {
        event.kind() == Kind::Erased
            || (self.passes_kind(event.kind(), event.is_relation())
                && (event.is_relation()
                    || event.object_type.is_empty()
                    || self.passes_type(&event.object_type)))
    }

    /// Whether what happened passes.
    pub fn passes_kind(&self, kind: Kind, is_relation: bool) -> bool {
        if kind == Kind::Erased {
            return true;
        }
        if is_relation && !self.relations {
            return false;
        }
        let Some(patterns) = &self.events else {
            return true;
        };
        let names = kinds_called(kind, is_relation);
        patterns.iter().any(|pattern| {
            let pattern = pattern.to_ascii_uppercase();
            names.iter().any(|name| matches(&pattern, name))
        })
    }

    /// Whether a type passes.
    pub fn passes_type(&self, object_type: &str) -> bool {
        let Some(patterns) = &self.types else {
            return true;
        };
        patterns.iter().any(|pattern| matches(pattern, object_type))
    }

    /// Whether it takes a read to know whether an event passes.
    pub fn needs_type(&self, event: &EventRecord) -> bool {
        self.types.is_some()
            && event.object_type.is_empty()
            && !event.is_relation()
            && event.kind() != Kind::Erased
            && event.kind() != Kind::Other
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    match pattern.as_bytes() {
        [] => text.is_empty(),
        [b'*', ..] => {
            let rest = pattern.get(1..).unwrap_or_default();
            matches(rest, text) || text.get(1..).is_some_and(|text| matches(pattern, text))
        }
        [head, ..] => {
            let same = text
                .as_bytes()
                .first()
                .is_some_and(|byte| *head == b'?' || byte == head);
            same && matches(
                pattern.get(1..).unwrap_or_default(),
                text.get(1..).unwrap_or_default(),
            )
        }
    }
}
