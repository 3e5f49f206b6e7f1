//! Event types: Reltio's published names, and INT-004's.

use crate::event::Kind;

/// What an event type is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Entities only.
    Entity,
    /// Relations only.
    Relation,
    /// Either: the subject tells.
    Any,
}

/// What happened, seen from the subject that the event names first.
pub(super) fn meaning(event_type: &str) -> (Family, Kind) {
    let upper = event_type.trim().to_ascii_uppercase();
    if let Some(kind) = shared(&upper) {
        return (Family::Any, kind);
    }
    for (prefix, family) in [
        ("ENTITY_", Family::Entity),
        ("RELATIONSHIP_", Family::Relation),
        ("RELATION_", Family::Relation),
    ] {
        if let Some(rest) = upper.strip_prefix(prefix) {
            return (family, act(rest));
        }
    }
    match upper.as_str() {
        "ENTITIES_MERGED" | "ENTITIES_MERGED_MANUALLY" | "ENTITIES_MERGED_ON_THE_FLY" => {
            (Family::Entity, Kind::Merged)
        }
        "ENTITIES_SPLITTED" => (Family::Entity, Kind::Split),
        _ => (Family::Any, Kind::Other),
    }
}

/// INT-004's words.
fn shared(upper: &str) -> Option<Kind> {
    Some(match upper {
        "CREATE" => Kind::Created,
        "UPDATE" => Kind::Changed,
        "DELETE" => Kind::Removed,
        "MERGE" => Kind::Merged,
        "UNMERGE" => Kind::Split,
        _ => return None,
    })
}

/// Reltio's words after `ENTITY_` and `RELATIONSHIP_`.
fn act(rest: &str) -> Kind {
    match rest {
        "CREATED" => Kind::Created,
        "CHANGED" => Kind::Changed,
        "REMOVED" => Kind::Removed,
        "REMOVED_GDPR" => Kind::Erased,
        "LOST_MERGE" => Kind::Absorbed,
        "MERGED" => Kind::Merged,
        _ => Kind::Other,
    }
}

/// Every name that a filter may match, with what it lets through. A merge is also what it did to
/// the loser, a split what it did to the spawned: absorbed and spawned pass with them.
pub fn kinds_called(kind: Kind, relation: bool) -> &'static [&'static str] {
    match (kind, relation) {
        (Kind::Created, false) => &["CREATE", "ENTITY_CREATED"],
        (Kind::Created, true) => &["CREATE", "RELATIONSHIP_CREATED"],
        (Kind::Changed, false) => &["UPDATE", "ENTITY_CHANGED"],
        (Kind::Changed, true) => &["UPDATE", "RELATIONSHIP_CHANGED"],
        (Kind::Removed, false) => &["DELETE", "ENTITY_REMOVED"],
        (Kind::Removed, true) => &["DELETE", "RELATIONSHIP_REMOVED"],
        (Kind::Erased, false) => &["DELETE", "ENTITY_REMOVED_GDPR"],
        (Kind::Erased, true) => &["DELETE", "RELATIONSHIP_REMOVED_GDPR"],
        (Kind::Merged | Kind::Absorbed, false) => {
            &["MERGE", "ENTITIES_MERGED", "ENTITY_LOST_MERGE"]
        }
        (Kind::Merged | Kind::Absorbed, true) => {
            &["MERGE", "RELATIONSHIP_MERGED", "RELATION_LOST_MERGE"]
        }
        (Kind::Split | Kind::Spawned, _) => &["UNMERGE", "ENTITIES_SPLITTED"],
        (Kind::Other, _) => &[],
    }
}
