//! Which kinds and types pass. A stand-in with the interface of `crate::ingest::filter::Filter`:
//! where that exists, this file goes and `mod.rs` names that one.

use crate::event::Kind;

/// Patterns of event types and object types.
#[derive(Debug)]
pub(super) struct Filter {
    object_types: Option<Vec<String>>,
    event_types: Option<Vec<String>>,
    relations: bool,
}

impl Filter {
    /// A filter; `None` passes everything.
    pub(super) fn new(
        object_types: Option<&[String]>,
        event_types: Option<&[String]>,
        relations: bool,
    ) -> Self {
        Self {
            object_types: object_types.map(<[String]>::to_vec),
            event_types: event_types.map(<[String]>::to_vec),
            relations,
        }
    }

    /// Whether a kind passes, by its name in either vocabulary.
    pub(super) fn passes_kind(&self, kind: Kind, is_relation: bool) -> bool {
        (self.relations || !is_relation)
            && self.event_types.as_ref().is_none_or(|patterns| {
                let names = names(kind, is_relation);
                names.iter().any(|name| any(patterns, name))
            })
    }

    /// Whether a type passes. An unknown one, empty, does.
    pub(super) fn passes_type(&self, object_type: &str) -> bool {
        object_type.is_empty()
            || self
                .object_types
                .as_ref()
                .is_none_or(|patterns| any(patterns, object_type))
    }
}

fn names(kind: Kind, is_relation: bool) -> &'static [&'static str] {
    match (kind, is_relation) {
        (Kind::Created, false) => &["CREATE", "ENTITY_CREATED"],
        (Kind::Created, true) => &["CREATE", "RELATIONSHIP_CREATED"],
        (Kind::Changed, false) => &["UPDATE", "ENTITY_CHANGED"],
        (Kind::Changed, true) => &["UPDATE", "RELATIONSHIP_CHANGED"],
        (Kind::Removed, false) => &["DELETE", "ENTITY_REMOVED"],
        (Kind::Removed, true) => &["DELETE", "RELATIONSHIP_REMOVED"],
        (Kind::Erased, false) => &["DELETE", "ENTITY_REMOVED_GDPR"],
        (Kind::Erased, true) => &["DELETE", "RELATIONSHIP_REMOVED_GDPR"],
        (Kind::Merged, false) => &["MERGE", "ENTITIES_MERGED"],
        (Kind::Merged, true) => &["MERGE", "RELATIONSHIP_MERGED"],
        (Kind::Absorbed, false) => &["MERGE", "ENTITIES_MERGED", "ENTITY_LOST_MERGE"],
        (Kind::Absorbed, true) => &["MERGE", "RELATION_LOST_MERGE"],
        (Kind::Split | Kind::Spawned, _) => &["UNMERGE", "ENTITIES_SPLITTED"],
        (Kind::Other, _) => &[],
    }
}

fn any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// `*` stands for any text, `?` for one character.
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
            let mut tails = ends.filter_map(|at| name.get(at..));
            tails.any(|tail| matches(rest.as_str(), tail))
        }
        Some(wanted) => {
            let mut chars = name.chars();
            let first = chars.next();
            first.is_some_and(|first| wanted == '?' || wanted == first)
                && matches(rest.as_str(), chars.as_str())
        }
    }
}
