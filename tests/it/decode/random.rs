//! Decoding and filters under arbitrary input.

use goldwire::decode::MAX_SUBJECTS;
use goldwire::event::Filter;
use goldwire::event::{Kind, State};
use proptest::prelude::*;
use proptest::sample::Index;

use super::carrier::Carrier;
use super::{decode, record, settings};

const EVENTS: [&str; 5] = [
    r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP","attributes":{"Name":[{"value":"\u00e9\ud83d\ude00","ov":true}]}},"ovChanged":true}"#,
    r#"{"type":"ENTITIES_MERGED","updatedTime":1567596147000,"uris":["entities/00MNwCe","entities/00MXpxo"]}"#,
    r#"{"type":"UPDATE","uri":"entities/a","deltas":{"entityType":"HCP","delta":[]},"objectVersion":5}"#,
    r#"{"type":"RELATIONSHIP_REMOVED","object":{"URI":"relations/r","startObject":{}},"exceededQueueSizeLimit":false}"#,
    r#"{"type":"ENTITIES_MATCHES_CHANGED","sourceObjectUri":"entities/a","customFields":{"matchesDelta":["{}"]}}"#,
];

const HEADERS: [(&str, &str); 4] = [
    ("tenantId", "acme"),
    ("sourceObjectUri", "entities/hcp1"),
    ("objectVersion", "3"),
    ("commitTime", "1800000000000"),
];

/// What is true of whatever comes out.
fn check(body: Vec<u8>, headers: &[(&str, &str)]) {
    let record = record(headers, body);
    let Ok(events) = decode(&record, &settings()) else {
        return;
    };
    assert!(!events.is_empty() && events.len() <= MAX_SUBJECTS + 1);
    assert_eq!(
        decode(&record, &settings()).as_deref(),
        Ok(events.as_slice())
    );
    for event in &events {
        assert_eq!((event.id.len(), event.tenant.as_str()), (32, "acme"));
        if event.kind() != Kind::Other {
            let family = event.subject.split('/').next();
            assert!(
                matches!(family, Some("entities" | "relations")),
                "{}",
                event.subject
            );
        }
        assert_eq!(
            event.payload.is_empty(),
            event.state() != State::Alive && event.kind() != Kind::Other
        );
        assert!(!event.related.contains(&event.subject));
    }
}

/// One damage to a text.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Cut(Index, Index),
    Repeat(Index, Index),
    Insert(Index, String),
}

fn damage() -> impl Strategy<Value = Damage> {
    let tokens = [
        "\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "\\",
        "\"type\":",
        "0",
        "\"uri\":",
    ];
    let token = proptest::sample::select(tokens.map(str::to_owned).to_vec());
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Cut(from, to)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        (any::<Index>(), token).prop_map(|(at, token)| Damage::Insert(at, token)),
    ]
}

fn apply(mut body: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if body.is_empty() {
            break;
        }
        let range = |from: &Index, to: &Index| {
            let (from, to) = (from.index(body.len()), to.index(body.len()));
            from.min(to)..from.max(to)
        };
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            Damage::Cut(from, to) => drop(body.drain(range(from, to))),
            Damage::Repeat(from, to) => {
                let range = range(from, to);
                let (end, again) = (range.end, body[range].to_vec());
                body.splice(end..end, again);
            }
            Damage::Insert(at, token) => {
                let at = at.index(body.len());
                body.splice(at..at, token.bytes());
            }
        }
    }
    body
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(body, &[]);
    }

    #[test]
    fn no_headers_make_decoding_panic(
        name in proptest::sample::select(
            ["tenantId", "eventType", "sourceObjectUri", "objectVersion", "commitTime", "messageId",
                "ce_type", "ce_subject", "ce_tenantid", "ce_committime"]
                .to_vec()
        ),
        value in ".{0,40}",
        event in 0..EVENTS.len(),
    ) {
        check(EVENTS[event].into(), &[(name, &value)]);
    }

    #[test]
    fn no_damage_to_an_event_makes_decoding_panic(
        event in 0..EVENTS.len(),
        carrier in proptest::sample::select(Carrier::all()),
        headers in any::<bool>(),
        damages in proptest::collection::vec(damage(), 1..6),
    ) {
        let carried = carrier.carry(if headers { &HEADERS } else { &[] }, EVENTS[event]);
        let left: Vec<_> =
            carried.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        check(apply(carried.body.to_vec(), &damages), &left);
    }

    /// The pattern is made from the text, so that it must match.
    #[test]
    fn a_pattern_with_wildcards_matches_what_it_was_made_from(
        text in "[A-Za-z]{1,12}",
        holes in proptest::collection::vec((any::<Index>(), any::<Index>(), any::<bool>()), 0..4),
    ) {
        let mut pattern: Vec<char> = text.chars().collect();
        for (from, to, star) in holes {
            let (from, to) = (from.index(pattern.len()), to.index(pattern.len()));
            if star {
                pattern.splice(from.min(to)..from.max(to), ['*']);
            } else if pattern[from] != '*' {
                pattern[from] = '?';
            }
        }
        let patterns = [pattern.into_iter().collect::<String>()];
        prop_assert!(Filter::new(Some(&patterns), None, true).passes_type(&text));
    }

    #[test]
    fn a_pattern_without_wildcards_matches_itself_alone(a in "[A-Za-z]{1,6}", b in "[A-Za-z]{1,6}") {
        let filter = Filter::new(Some(std::slice::from_ref(&a)), None, true);
        prop_assert_eq!(filter.passes_type(&b), a == b);
    }

    #[test]
    fn no_pattern_makes_a_filter_panic_or_drop_an_erasure(pattern in ".{0,20}", text in ".{0,20}") {
        let patterns = [pattern];
        let filter = Filter::new(Some(&patterns), Some(&patterns), false);
        prop_assert!(filter.passes_kind(Kind::Erased, true));
        prop_assert!(filter.passes_type(&text) || !filter.passes_type(&text));
    }
}
