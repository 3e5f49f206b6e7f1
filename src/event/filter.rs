//! Which events are taken, by entity type and by event type in either vocabulary.
//!
//! Guarantee: an erasure passes every filter, and nothing is dropped because its type is not
//! known.

use super::vocabulary::{Family, NAMES};
use super::{EventRecord, Kind, short_name};

const KINDS: [Kind; 9] = [
    Kind::Other,
    Kind::Created,
    Kind::Changed,
    Kind::Removed,
    Kind::Erased,
    Kind::Merged,
    Kind::Absorbed,
    Kind::Split,
    Kind::Spawned,
];

/// A filter of events. `*` and `?` match as in file names.
#[derive(Debug, Clone)]
pub struct Filter {
    entity_types: Option<Vec<String>>,
    kinds: Vec<(Kind, Family)>,
}

impl Filter {
    /// A filter that takes entities whose type and events whose type match one of the patterns
    /// (all without patterns), and relations only with `include_relationships`. The types of
    /// relations are not looked at: `entity_types` does not speak of them.
    ///
    /// A dotted name is reduced to its last part: `com.example.Individual` means `Individual`.
    pub fn new(
        entity_types: Option<&[String]>,
        event_types: Option<&[String]>,
        include_relationships: bool,
    ) -> Self {
        let short = |types: &[String]| {
            types
                .iter()
                .map(|name| short_name(name).to_owned())
                .collect()
        };
        let mut kinds = Vec::new();
        for kind in KINDS {
            for family in [Family::Entity, Family::Relation] {
                let taken = event_types.is_none_or(|patterns| names(kind, family, patterns));
                if taken && (include_relationships || family == Family::Entity) {
                    kinds.push((kind, family));
                }
            }
        }
        Self {
            entity_types: entity_types.map(short),
            kinds,
        }
    }

    /// Whether the event is taken. One of unknown type is: after [`needs_type`](Self::needs_type)
    /// and a read, only what Reltio has no object of any more is still without a type. A subject
    /// that died is news to a sink that has it, whatever its type was, and nothing to one that
    /// has not; to drop it would leave the dead one standing at the first.
    pub fn passes(&self, event: &EventRecord) -> bool {
        let (kind, is_relation) = (event.kind(), event.is_relation());
        kind == Kind::Erased
            || self.passes_kind(kind, is_relation)
                && (is_relation
                    || event.object_type.is_empty()
                    || self.passes_type(&event.object_type))
    }

    /// Whether events of this kind about entities, or about relations, are taken. The absorbed
    /// pass with the merged and the spawned with the split, whose names they share.
    pub fn passes_kind(&self, kind: Kind, is_relation: bool) -> bool {
        let family = if is_relation {
            Family::Relation
        } else {
            Family::Entity
        };
        kind == Kind::Erased || self.kinds.contains(&(kind, family))
    }

    /// Whether entities of this type are taken.
    pub fn passes_type(&self, entity_type: &str) -> bool {
        let Some(patterns) = &self.entity_types else {
            return true;
        };
        let entity_type = short_name(entity_type);
        patterns.iter().any(|pattern| matches(pattern, entity_type))
    }

    /// Whether the event cannot be judged before its subject's type is known.
    pub fn needs_type(&self, event: &EventRecord) -> bool {
        let kind = event.kind();
        self.entity_types.is_some()
            && event.object_type.is_empty()
            && !event.is_relation()
            && !matches!(kind, Kind::Erased | Kind::Other)
            && self.passes_kind(kind, false)
    }
}

/// Whether a pattern matches a name of this kind of event about this family.
fn names(kind: Kind, family: Family, patterns: &[String]) -> bool {
    let with = match kind {
        Kind::Absorbed => Kind::Merged,
        Kind::Spawned => Kind::Split,
        Kind::Other
        | Kind::Created
        | Kind::Changed
        | Kind::Removed
        | Kind::Erased
        | Kind::Merged
        | Kind::Split => kind,
    };
    let mut own = NAMES
        .iter()
        .filter(|(_, of, about)| (*of == kind || *of == with) && family.admits(*about));
    own.any(|(name, ..)| {
        patterns
            .iter()
            .any(|pattern| matches(&pattern.to_ascii_uppercase(), name))
    })
}

/// Whether `text` is of the form `pattern`: `*` stands for any text, `?` for one character. Goes
/// back to the last `*` only, so that no pattern takes more than length times length steps.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    let mut retry = None;
    loop {
        let before = text.clone();
        match (pattern.next(), text.next()) {
            (Some('*'), _) => {
                retry = Some((pattern.clone(), before.clone()));
                text = before;
            }
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            _ => {
                let Some((after_star, mut skipped)) = retry else {
                    return false;
                };
                if skipped.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = skipped.clone();
                retry = Some((after_star, skipped));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_in_file_names() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "a"),
            ("a*c", "abbc"),
            ("?b*", "ab"),
            ("*a*b", "xaab"),
            ("é?", "éa"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "abcd"),
            ("a?", "a"),
            ("*b", "a"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        assert!(!matches(&"*a".repeat(500), &"a".repeat(499)));
    }
}
