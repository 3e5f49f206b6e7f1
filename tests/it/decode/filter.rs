//! Which events are taken.

use goldwire::event::Filter;
use goldwire::event::{EventRecord, Kind};

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

fn list(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn event(kind: Kind, uri: &str, object_type: &str) -> EventRecord {
    EventRecord {
        subject: uri.to_owned(),
        kind: kind.into(),
        object_type: object_type.to_owned(),
        ..EventRecord::default()
    }
}

fn kinds_of(pattern: &str, is_relation: bool) -> Vec<Kind> {
    let filter = Filter::new(None, Some(&list(&[pattern])), true);
    KINDS
        .into_iter()
        .filter(|kind| filter.passes_kind(*kind, is_relation))
        .collect()
}

#[test]
fn event_types_match_in_either_vocabulary_and_erasures_always() {
    use Kind::{Absorbed, Changed, Created, Erased, Merged, Other, Removed, Spawned, Split};
    let table: [(&str, &[Kind], &[Kind]); 14] = [
        ("CREATE", &[Created, Erased], &[Created, Erased]),
        ("UPDATE", &[Changed, Erased], &[Changed, Erased]),
        ("update", &[Changed, Erased], &[Changed, Erased]),
        (
            "MERGE",
            &[Erased, Merged, Absorbed],
            &[Erased, Merged, Absorbed],
        ),
        (
            "UNMERGE",
            &[Erased, Split, Spawned],
            &[Erased, Split, Spawned],
        ),
        ("ENTITY_CHANGED", &[Changed, Erased], &[Erased]),
        ("ENTITIES_MERGED", &[Erased, Merged, Absorbed], &[Erased]),
        ("ENTITIES_SPLITTED", &[Erased, Split, Spawned], &[Erased]),
        ("ENTITY_LOST_MERGE", &[Erased, Absorbed], &[Erased]),
        ("RELATIONSHIP_REMOVED", &[Erased], &[Removed, Erased]),
        (
            "ENTITY_*",
            &[Other, Created, Changed, Removed, Erased, Absorbed],
            &[Other, Erased],
        ),
        (
            "*MERGE?",
            &[Erased, Merged, Absorbed],
            &[Erased, Merged, Absorbed],
        ),
        (
            "ENTITIES_MATCHES_CHANGED",
            &[Other, Erased],
            &[Other, Erased],
        ),
        ("*", &KINDS, &KINDS),
    ];
    for (pattern, entities, relations) in table {
        assert_eq!(kinds_of(pattern, false), entities, "{pattern}");
        assert_eq!(kinds_of(pattern, true), relations, "{pattern}");
    }
    assert_eq!(kinds_of("NOTHING", false), [Erased]);
}

#[test]
fn int_004s_subscription_takes_what_it_names() {
    let types = list(&["com.example.Individual", "com.example.Organization"]);
    let kinds = list(&["MERGE", "UPDATE", "CREATE", "UNMERGE"]);
    let filter = Filter::new(Some(&types), Some(&kinds), true);
    assert!(filter.passes(&event(Kind::Changed, "entities/a", "Individual")));
    assert!(filter.passes(&event(Kind::Absorbed, "entities/a", "Organization")));
    assert!(filter.passes(&event(Kind::Created, "relations/r", "HasAddress")));
    assert!(filter.passes(&event(Kind::Erased, "entities/a", "Product")));
    assert!(!filter.passes(&event(Kind::Changed, "entities/a", "Product")));
    assert!(!filter.passes(&event(Kind::Removed, "entities/a", "Individual")));
    assert!(filter.passes_type("configuration/entityTypes/Individual"));
}

#[test]
fn without_relationships_only_their_erasures_pass() {
    let filter = Filter::new(None, None, false);
    assert!(!filter.passes(&event(Kind::Changed, "relations/r", "HasAddress")));
    assert!(filter.passes(&event(Kind::Erased, "relations/r", "HasAddress")));
    assert!(filter.passes(&event(Kind::Changed, "entities/a", "")));
}

#[test]
fn a_type_is_asked_for_only_where_it_decides() {
    let types = list(&["Individ*"]);
    let filter = Filter::new(Some(&types), Some(&list(&["UPDATE", "MERGE"])), true);
    assert!(filter.needs_type(&event(Kind::Changed, "entities/a", "")));
    assert!(!filter.needs_type(&event(Kind::Changed, "entities/a", "Individual")));
    for (kind, uri) in [
        (Kind::Created, "entities/a"),
        (Kind::Erased, "entities/a"),
        (Kind::Other, "entities/a"),
        (Kind::Changed, "relations/r"),
    ] {
        assert!(!filter.needs_type(&event(kind, uri, "")), "{kind:?} {uri}");
    }
    let all = Filter::new(None, None, true);
    assert!(!all.needs_type(&event(Kind::Changed, "entities/a", "")));
}

#[test]
fn a_loser_that_reltio_no_longer_has_a_type_for_is_not_lost() {
    let filter = Filter::new(Some(&list(&["Individual"])), None, true);
    assert!(filter.passes(&event(Kind::Absorbed, "entities/l", "")));
    assert!(!filter.passes(&event(Kind::Absorbed, "entities/l", "Organization")));
}
