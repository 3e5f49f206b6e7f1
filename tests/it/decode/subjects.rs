//! Who an event is about: merges, splits, relations, contradictions.

use goldwire::decode::{MAX_SUBJECTS, needs_hydration};
use goldwire::event::{EventRecord, Kind, State};
use serde_json::json;

use super::{COMMITTED, code, decoded, one};

const CLOCKS: [(&str, &str); 2] = [("objectVersion", "9"), ("commitTime", "1800000000000")];

fn sent(source: Option<&str>, event_type: &str, uris: &[&str]) -> Vec<EventRecord> {
    let mut headers = CLOCKS.to_vec();
    headers.extend(source.map(|uri| ("sourceObjectUri", uri)));
    let body = json!({ "type": event_type, "updatedTime": 1_567_596_147_000_i64, "uris": uris });
    decoded(&headers, &body.to_string()).unwrap()
}

#[test]
fn a_merge_is_one_record_for_the_survivor_and_one_for_each_loser() {
    let lists: [&[&str]; 3] = [
        // All participants, in any order; by the OpenAPI files the losers alone.
        &["entities/L1", "entities/W", "entities/L2"],
        &["entities/W", "entities/L1", "entities/L2", "entities/L1"],
        &["entities/L1", "entities/L2"],
    ];
    for event_type in ["ENTITIES_MERGED", "MERGE"] {
        for uris in lists {
            let records = sent(Some("entities/W"), event_type, uris);
            let subjects: Vec<_> = records
                .iter()
                .map(|record| record.subject.as_str())
                .collect();
            assert_eq!(subjects, ["entities/W", "entities/L1", "entities/L2"]);
            let [survivor, losers @ ..] = records.as_slice() else {
                panic!("no record")
            };
            assert_eq!(
                (survivor.kind(), survivor.state()),
                (Kind::Merged, State::Unknown)
            );
            assert_eq!(survivor.clocks().both(), Some((9, COMMITTED)));
            assert_eq!(survivor.related, ["entities/L1", "entities/L2"]);
            assert!(needs_hydration(survivor));
            for loser in losers {
                assert_eq!(
                    (loser.kind(), loser.state()),
                    (Kind::Absorbed, State::Absorbed)
                );
                // The version is the survivor's: the loser's own lane must not be judged by it.
                assert_eq!((loser.version, loser.commit_time), (None, Some(COMMITTED)));
                assert_eq!(loser.absorbed_by.as_deref(), Some("entities/W"));
                assert_eq!(loser.related.len(), 2);
                assert!(!needs_hydration(loser));
            }
        }
    }
}

#[test]
fn who_survived_is_never_told_by_the_order_of_uris() {
    for uris in [["entities/A", "entities/B"], ["entities/B", "entities/A"]] {
        for event_type in ["ENTITIES_MERGED", "ENTITIES_SPLITTED", "MERGE", "UNMERGE"] {
            let records = sent(None, event_type, &uris);
            assert_eq!(records.len(), 2);
            for record in &records {
                assert_eq!(record.state(), State::Unknown, "{event_type}");
                assert_eq!(
                    (record.version, &record.absorbed_by),
                    (None, &None),
                    "{event_type}"
                );
                assert!(needs_hydration(record));
            }
        }
    }
    let alone = sent(None, "ENTITIES_MERGED", &["entities/A"]);
    assert_eq!((alone[0].state(), alone[0].version), (State::Unknown, None));
}

#[test]
fn a_merge_that_brings_its_survivors_object_needs_no_read() {
    let body = json!({
        "type": "MERGE",
        "object": { "uri": "entities/W", "type": "com.example.Individual", "attributes": {} },
        "uris": ["entities/L", "entities/W"],
    });
    let records = decoded(&CLOCKS, &body.to_string()).unwrap();
    assert_eq!(records[0].state(), State::Alive);
    assert_eq!(
        (records[0].object_type.as_str(), records[0].version),
        ("Individual", Some(9))
    );
    assert_eq!(records[1].absorbed_by.as_deref(), Some("entities/W"));
    assert!(records[1].object_type.is_empty() && records[1].payload.is_empty());
}

#[test]
fn a_split_is_one_record_for_the_origin_and_one_for_each_spawn() {
    for event_type in ["ENTITIES_SPLITTED", "UNMERGE"] {
        let records = sent(
            Some("entities/O"),
            event_type,
            &["entities/S", "entities/O"],
        );
        assert_eq!(
            (records[0].kind(), records[0].subject.as_str()),
            (Kind::Split, "entities/O")
        );
        assert_eq!(
            (records[1].kind(), records[1].subject.as_str()),
            (Kind::Spawned, "entities/S")
        );
        assert_eq!((records[0].version, records[1].version), (Some(9), None));
        assert!(records.iter().all(needs_hydration));
    }
}

#[test]
fn a_change_of_several_subjects_is_a_record_for_each() {
    let records = sent(None, "UPDATE", &["entities/A", "entities/B"]);
    assert_eq!(records.len(), 2);
    assert!(
        records
            .iter()
            .all(|record| record.version.is_none() && needs_hydration(record))
    );
    let alone = sent(None, "UPDATE", &["entities/A"]);
    assert_eq!(alone[0].version, Some(9));
    let with_own = sent(Some("entities/A"), "UPDATE", &["entities/A", "entities/B"]);
    assert_eq!(
        (with_own.len(), with_own[0].related.as_slice()),
        (1, &["entities/B".to_owned()][..])
    );
}

#[test]
fn every_published_type_has_its_kind() {
    let of = |event_type: &str, uri: &str| {
        one(
            &[("sourceObjectUri", uri)],
            &json!({ "type": event_type }).to_string(),
        )
        .kind()
    };
    for (event_type, kind) in [
        ("CREATE", Kind::Created),
        ("UPDATE", Kind::Changed),
        ("MERGE", Kind::Merged),
        ("UNMERGE", Kind::Split),
        ("ENTITY_CREATED", Kind::Created),
        ("ENTITY_CHANGED", Kind::Changed),
        ("ENTITY_REMOVED", Kind::Removed),
        ("ENTITY_REMOVED_GDPR", Kind::Erased),
        ("ENTITY_LOST_MERGE", Kind::Absorbed),
        ("ENTITIES_MERGED", Kind::Merged),
        ("ENTITIES_SPLITTED", Kind::Split),
        ("ENTITIES_MATCHES_CHANGED", Kind::Other),
        ("ENTITIES_MERGE_FAILED", Kind::Other),
        ("SOMETHING_ELSE", Kind::Other),
    ] {
        assert_eq!(of(event_type, "entities/a"), kind, "{event_type}");
    }
    for (event_type, kind) in [
        ("UPDATE", Kind::Changed),
        ("RELATIONSHIP_CREATED", Kind::Created),
        ("RELATIONSHIP_CHANGED", Kind::Changed),
        ("RELATIONSHIP_REMOVED", Kind::Removed),
        ("RELATIONSHIP_REMOVED_GDPR", Kind::Erased),
        ("RELATIONSHIP_MERGED", Kind::Merged),
        ("RELATION_LOST_MERGE", Kind::Absorbed),
    ] {
        assert_eq!(of(event_type, "relations/r"), kind, "{event_type}");
    }
}

#[test]
fn events_about_relations_never_become_records_of_entities() {
    let body = json!({
        "type": "RELATIONSHIP_CHANGED",
        "object": {
            "uri": "relations/r1",
            "type": "configuration/relationTypes/HasAddress",
            "startObject": { "objectURI": "entities/a" },
            "endObject": { "objectURI": "entities/b" },
        },
    });
    let record = one(&[], &body.to_string());
    assert!(record.is_relation());
    assert_eq!(
        (record.subject.as_str(), record.object_type.as_str()),
        ("relations/r1", "HasAddress")
    );
    let removed = json!({
        "type": "RELATIONSHIP_REMOVED",
        "uri": "relations/r1",
        "deltas": { "relationType": "HasAddress", "startObjectUri": "entities/a" },
    });
    let record = one(&[], &removed.to_string());
    assert_eq!(
        (record.state(), record.object_type.as_str()),
        (State::Removed, "HasAddress")
    );

    for (event_type, uri) in [
        ("RELATIONSHIP_CHANGED", "entities/a"),
        ("ENTITY_CHANGED", "relations/r1"),
    ] {
        let body = json!({ "type": event_type, "uri": uri }).to_string();
        assert_eq!(code(&[], &body), "contradiction");
    }
    let mixed = json!({ "type": "MERGE", "uris": ["entities/a", "relations/r1"] }).to_string();
    assert_eq!(code(&[], &mixed), "contradiction");
}

#[test]
fn what_contradicts_itself_is_refused_and_neither_is_chosen() {
    let body = r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/a"},"objectVersion":1}"#;
    for (header, value) in [
        ("eventType", "ENTITY_REMOVED"),
        ("eventType", "MERGE"),
        ("eventType", "RELATIONSHIP_CHANGED"),
        ("eventType", "SOMETHING_NEW"),
        ("sourceObjectUri", "entities/b"),
        ("objectVersion", "2"),
    ] {
        assert_eq!(
            code(&[(header, value)], body),
            "contradiction",
            "{header}: {value}"
        );
    }
    for (header, value) in [("eventType", "UPDATE"), ("sourceObjectUri", "entities/a")] {
        one(&[(header, value)], body);
    }
    let two = r#"{"type":"ENTITY_CHANGED","uri":"entities/a","URI":"entities/b"}"#;
    assert_eq!(code(&[], two), "contradiction");
}

#[test]
fn an_event_of_no_consequence_is_kept_whatever_it_looks_like() {
    for body in [
        r#"{"type":"CHANGE_REQUEST_CHANGED","object":{"uri":"changeRequests/1","type":"x","state":"y"}}"#,
        r#"{"type":"ENTITIES_MERGE_FAILED","winner":"entities/a","participants":{"entities/a":"HCP"}}"#,
        r#"{"type":"NEW","uri":17,"uris":"entities/a","object":null,"deltas":[]}"#,
    ] {
        let record = one(&[], body);
        assert_eq!(
            (record.kind(), record.state()),
            (Kind::Other, State::Unknown)
        );
        assert_eq!(record.payload, body);
        assert!(!needs_hydration(&record));
    }
    let interaction = r#"{"type":"INTERACTION_CREATED","object":{"uri":"interactions/1"}}"#;
    assert_eq!(one(&[], interaction).subject, "interactions/1");
}

#[test]
fn an_event_about_too_many_is_refused_before_they_are_kept() {
    let uris = |count: usize| {
        (0..count)
            .map(|n| format!("entities/{n}"))
            .collect::<Vec<_>>()
    };
    let body = |count| json!({ "type": "ENTITIES_MERGED", "uris": uris(count) }).to_string();
    assert_eq!(
        decoded(&[], &body(MAX_SUBJECTS)).unwrap().len(),
        MAX_SUBJECTS
    );
    assert_eq!(code(&[], &body(MAX_SUBJECTS + 1)), "too_many_subjects");
    assert_eq!(code(&[], &body(MAX_SUBJECTS * 20)), "too_many_subjects");
}

/// "Using Activeness" in Reltio's documentation: it is told and changed like any other.
#[test]
fn g9_a_record_says_whether_its_object_had_ended_when_it_came() {
    let head = [("tenantId", "acme"), ("objectVersion", "2")];
    let ended = |members: &str| {
        let object = format!(r#"{{"uri":"entities/d",{members},"attributes":{{}}}}"#);
        let body = format!(r#"{{"type":"ENTITY_CHANGED","object":{object}}}"#);
        let record = one(&head, &body);
        assert_eq!(record.state(), State::Alive);
        record.ended
    };
    assert!(ended(r#""endDate":1700000000000"#));
    assert!(ended(r#""activeness":{"endDate":"2023-11-14T22:13:20Z"}"#));
    assert!(ended(
        r#""crosswalks":[{"deleteDate":"2023-11-14T22:13:20.000+0000"}]"#
    ));
    assert!(!ended(r#""endDate":null"#));
    assert!(!ended(r#""endDate":4102444800000"#));
    assert!(!ended(r#""crosswalks":[{"deleteDate":1700000000000},{}]"#));
    assert!(!ended(r#""label":"endDate""#));
}
