//! The names of event types in both vocabularies, INT-004's and Reltio's, and what they mean.

use super::Kind;

/// Which family of objects an event type is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// `entities/…`.
    Entity,
    /// `relations/…`.
    Relation,
    /// The subject's URI tells.
    Either,
}

impl Family {
    /// Whether an object of this family may be `other`.
    pub(crate) fn admits(self, other: Self) -> bool {
        self == other || self == Self::Either || other == Self::Either
    }

    /// The family that a URI names; nothing if it is neither an entity's nor a relation's.
    pub(crate) fn of(uri: &str) -> Option<Self> {
        match uri.split_once('/')?.0 {
            "entities" => Some(Self::Entity),
            "relations" => Some(Self::Relation),
            _ => None,
        }
    }
}

/// What an event type's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventType {
    pub(crate) kind: Kind,
    pub(crate) family: Family,
}

impl EventType {
    /// The meaning of `name`, whatever its case. A name that is not known moves nothing.
    pub(crate) fn named(name: &str) -> Self {
        let known = NAMES
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        known.map_or(
            Self {
                kind: Kind::Other,
                family: Family::Either,
            },
            |&(_, kind, family)| Self { kind, family },
        )
    }
}

use Family::{Either, Entity, Relation};

/// Every name that is known. Of the published types that are not for us, those that can be
/// streamed are listed too, so that filters with wildcards can match them.
pub(crate) const NAMES: [(&str, Kind, Family); 37] = [
    // INT-004 section 2.2.
    ("CREATE", Kind::Created, Either),
    ("UPDATE", Kind::Changed, Either),
    ("MERGE", Kind::Merged, Either),
    ("UNMERGE", Kind::Split, Either),
    // Reltio's Events API.
    ("ENTITY_CREATED", Kind::Created, Entity),
    ("ENTITY_CHANGED", Kind::Changed, Entity),
    ("ENTITY_REMOVED", Kind::Removed, Entity),
    ("ENTITY_REMOVED_GDPR", Kind::Erased, Entity),
    ("ENTITY_LOST_MERGE", Kind::Absorbed, Entity),
    ("ENTITIES_MERGED", Kind::Merged, Entity),
    // Internal names; what is streamed is said to be ENTITIES_MERGED always.
    ("ENTITIES_MERGED_MANUALLY", Kind::Merged, Entity),
    ("ENTITIES_MERGED_ON_THE_FLY", Kind::Merged, Entity),
    ("ENTITIES_SPLITTED", Kind::Split, Entity),
    ("RELATIONSHIP_CREATED", Kind::Created, Relation),
    ("RELATIONSHIP_CHANGED", Kind::Changed, Relation),
    ("RELATIONSHIP_REMOVED", Kind::Removed, Relation),
    ("RELATIONSHIP_REMOVED_GDPR", Kind::Erased, Relation),
    ("RELATIONSHIP_MERGED", Kind::Merged, Relation),
    ("RELATION_LOST_MERGE", Kind::Absorbed, Relation),
    // Reltio's, of no consequence to any sink.
    ("ENTITIES_MATCHES_CHANGED", Kind::Other, Either),
    ("ENTITIES_MERGE_FAILED", Kind::Other, Either),
    ("RELATIONS_MERGE_FAILED", Kind::Other, Either),
    ("ENTITY_BUSINESS_PROCESS_CHANGED", Kind::Other, Either),
    ("POTENTIAL_LINK_FOUND", Kind::Other, Either),
    ("AUTO_LINK_FOUND", Kind::Other, Either),
    ("INTERACTION_CREATED", Kind::Other, Either),
    ("INTERACTION_CHANGED", Kind::Other, Either),
    ("INTERACTION_REMOVED", Kind::Other, Either),
    ("GROUP_CREATED", Kind::Other, Either),
    ("GROUP_CHANGED", Kind::Other, Either),
    ("GROUP_REMOVED", Kind::Other, Either),
    ("CHANGE_REQUEST_CREATED", Kind::Other, Either),
    ("CHANGE_REQUEST_CHANGED", Kind::Other, Either),
    ("CHANGE_REQUEST_REMOVED", Kind::Other, Either),
    // Said not to be streamed; listed because their names begin like those of others.
    ("ENTITY_LOSER_REMOVED", Kind::Other, Either),
    ("RELATION_WOULD_CHANGE", Kind::Other, Either),
    ("RELATION_WOULD_DELETE", Kind::Other, Either),
];
