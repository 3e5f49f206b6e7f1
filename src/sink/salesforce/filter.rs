//! Which kinds of change are delivered, in either vocabulary. Stands in for `ingest::filter`.

use crate::event::Kind;

/// Patterns of event types.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    event_types: Option<Vec<String>>,
    relations: bool,
}

impl Filter {
    /// A filter by entity types (not looked at here), event types, and whether relations pass.
    pub(super) fn new(
        _: Option<&[String]>,
        event_types: Option<&[String]>,
        relations: bool,
    ) -> Self {
        Self {
            event_types: event_types.map(<[String]>::to_vec),
            relations,
        }
    }

    /// Whether a change of this kind passes.
    pub(super) fn passes_kind(&self, kind: Kind, is_relation: bool) -> bool {
        let Some(patterns) = &self.event_types else {
            return true;
        };
        (self.relations || !is_relation)
            && names(kind)
                .iter()
                .any(|name| patterns.iter().any(|pattern| matches(pattern, name)))
    }
}

/// What a kind is called by INT-004 and by Reltio.
fn names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Created => &["CREATE", "ENTITY_CREATED"],
        Kind::Changed => &["UPDATE", "ENTITY_CHANGED"],
        Kind::Removed => &["DELETE", "ENTITY_REMOVED"],
        Kind::Erased => &["DELETE", "ENTITY_REMOVED_GDPR"],
        Kind::Merged => &["MERGE", "ENTITIES_MERGED"],
        Kind::Absorbed => &["MERGE", "ENTITIES_MERGED", "ENTITY_LOST_MERGE"],
        Kind::Split | Kind::Spawned => &["UNMERGE", "ENTITIES_SPLITTED"],
        Kind::Other => &[],
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern.get(1..).unwrap_or_default();
            matches(rest, name)
                || name
                    .get(1..)
                    .is_some_and(|shorter| matches(pattern, shorter))
        }
        Some(first) => name.chars().next().is_some_and(|letter| {
            (first == '?' || first.eq_ignore_ascii_case(&letter))
                && matches(
                    pattern.get(first.len_utf8()..).unwrap_or_default(),
                    name.get(letter.len_utf8()..).unwrap_or_default(),
                )
        }),
    }
}
