//! The event types that the tenant sends, in both vocabularies.

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// An entity was made, or split off another.
    Created,
    /// An entity changed.
    Changed,
    /// An entity was removed.
    Removed,
    /// An entity was removed under GDPR.
    Erased,
    /// An entity won a merge.
    Merged,
    /// An entity lost a merge.
    LostMerge,
    /// Something was split off an entity.
    Split,
    /// A relation was made.
    RelationCreated,
    /// A relation changed.
    RelationChanged,
    /// A relation was removed.
    RelationRemoved,
}

impl EventType {
    /// Reltio's published name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "ENTITY_CREATED",
            Self::Changed => "ENTITY_CHANGED",
            Self::Removed => "ENTITY_REMOVED",
            Self::Erased => "ENTITY_REMOVED_GDPR",
            Self::Merged => "ENTITIES_MERGED",
            Self::LostMerge => "ENTITY_LOST_MERGE",
            Self::Split => "ENTITIES_SPLITTED",
            Self::RelationCreated => "RELATIONSHIP_CREATED",
            Self::RelationChanged => "RELATIONSHIP_CHANGED",
            Self::RelationRemoved => "RELATIONSHIP_REMOVED",
        }
    }

    /// INT-004's name, where it has one.
    pub fn int004(self) -> Option<&'static str> {
        match self {
            Self::Created => Some("CREATE"),
            Self::Changed => Some("UPDATE"),
            Self::Merged => Some("MERGE"),
            Self::Split => Some("UNMERGE"),
            Self::Removed
            | Self::Erased
            | Self::LostMerge
            | Self::RelationCreated
            | Self::RelationChanged
            | Self::RelationRemoved => None,
        }
    }

    /// Whether the event says only who took part, in `uris`.
    pub(super) fn names_participants(self) -> bool {
        matches!(self, Self::Merged | Self::Split)
    }
}
