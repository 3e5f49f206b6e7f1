//! Every payload variant × every carrier: one meaning, one identity (G5).

use std::collections::BTreeMap;

use goldwire::decode::{DecodeSettings, needs_hydration};
use goldwire::event::CompletenessConfig;
use goldwire::event::{Completeness, Content, EventRecord, Kind, State, SubjectState};
use serde_json::value::RawValue;

use super::carrier::Carrier;
use super::wrap::Wrap;
use super::{COMMITTED, RECEIVED, decode, one, settings};

/// Reltio's own sample of a snapshot, with a space that tells whether the text was touched.
const SNAPSHOT: &str = r#"{"type":"ENTITY_CHANGED", "object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP","updatedTime":1720773510454,"attributes":{"FirstName":[{"type":"configuration/entityTypes/HCP/attributes/FirstName","ov":true,"value":"FN\u0031 {[","uri":"entities/hcp1/attributes/FirstName/0"}]},"crosswalks":[{"uri":"entities/hcp1/crosswalks/2","type":"configuration/sources/NPI","value":"NPI_HCP1","updateDate":"2024-07-12T08:38:30.454Z"}]},"ovChanged":true}"#;
const UPPER: &str = r#"{"type":"ENTITY_CREATED","object":{"URI":"entities/hcp1","type":"configuration/entityTypes/HCP"}}"#;
const FEW_FIELDS: &str = r#"{"type":"ENTITY_CHANGED","object":{"attributes":{"FirstName":[]}}}"#;
const DELTA: &str = r#"{"type":"ENTITY_CHANGED","uri":"entities/hcp1","deltas":{"ovChanged":true,"entityType":"HCP","delta":[{"type":"ATTRIBUTE_CHANGED","attributeType":"configuration/entityTypes/HCP/attributes/FirstName","newValue":{"value":"FN2","ov":true,"id":"1"},"oldValue":{"value":"FN1","ov":true,"id":"1"}}]}}"#;
const WITH_DELTA: &str = r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP","attributes":{}},"uri":"entities/hcp1","deltas":{"entityType":"HCP","delta":[]}}"#;
const ID_ONLY: &str = r#"{"type":"ENTITY_CHANGED","ovChanged":true}"#;
const OVERSIZE: &str = r#"{"type":"ENTITY_CHANGED","exceededQueueSizeLimit":true}"#;
const CUT: &str =
    r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/hcp1"},"exceededQueueSizeLimit":true}"#;
const NOT_CUT: &str = r#"{"type":"UPDATE","object":{"uri":"entities/hcp1","type":"com.example.HCP"},"exceededQueueSizeLimit":false}"#;
const EMPTY_OBJECT: &str = r#"{"type":"ENTITY_CHANGED","object":{ }}"#;
const REMOVED: &str = r#"{"type":"ENTITY_REMOVED","object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP"}}"#;
const ERASED: &str = r#"{"type":"ENTITY_REMOVED_GDPR","object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP"}}"#;
const LOST: &str = r#"{"type":"ENTITY_LOST_MERGE","object":{"uri":"entities/hcp1","type":"configuration/entityTypes/HCP"}}"#;
const MATCHES: &str = r#"{"type":"ENTITIES_MATCHES_CHANGED","sourceObjectUri":"entities/hcp1","time":1567596147000,"customFields":{"matchesDelta":["{\"matchType\":\"POTENTIAL_MATCH\"}"]},"sourceObject":{"uri":"entities/hcp1","potentialMatchTOs":[]}}"#;
const NEW: &str =
    r#"{"type":"ENTITY_ENRICHED_BY_SOMETHING_NEW","object":["not","an","object"],"uris":7}"#;

const TABLE: [(&str, &str, Kind, State, &str); 15] = [
    (
        "snapshot, all fields",
        SNAPSHOT,
        Kind::Changed,
        State::Alive,
        "HCP",
    ),
    (
        "snapshot that spells URI",
        UPPER,
        Kind::Created,
        State::Alive,
        "HCP",
    ),
    (
        "snapshot, selected fields",
        FEW_FIELDS,
        Kind::Changed,
        State::Alive,
        "",
    ),
    (
        "snapshot with delta",
        WITH_DELTA,
        Kind::Changed,
        State::Alive,
        "HCP",
    ),
    (
        "not over the limit, INT-004",
        NOT_CUT,
        Kind::Changed,
        State::Alive,
        "HCP",
    ),
    ("delta", DELTA, Kind::Changed, State::Unknown, "HCP"),
    ("id only", ID_ONLY, Kind::Changed, State::Unknown, ""),
    (
        "oversize claim check",
        OVERSIZE,
        Kind::Changed,
        State::Unknown,
        "",
    ),
    (
        "oversize with a rest",
        CUT,
        Kind::Changed,
        State::Unknown,
        "",
    ),
    (
        "a snapshot of nothing",
        EMPTY_OBJECT,
        Kind::Changed,
        State::Unknown,
        "",
    ),
    ("removed", REMOVED, Kind::Removed, State::Removed, "HCP"),
    ("erased", ERASED, Kind::Erased, State::Erased, "HCP"),
    (
        "lost in a merge",
        LOST,
        Kind::Absorbed,
        State::Absorbed,
        "HCP",
    ),
    ("matches", MATCHES, Kind::Other, State::Unknown, ""),
    ("unknown type", NEW, Kind::Other, State::Unknown, ""),
];

fn metadata(body: &str) -> [(&'static str, &str); 6] {
    let event_type = body.split('"').nth(3).unwrap();
    [
        ("tenantId", "acme"),
        ("eventType", event_type),
        ("sourceObjectUri", "entities/hcp1"),
        ("objectVersion", "7"),
        ("commitTime", "1800000000000"),
        ("messageId", "5e0c7ba1-6f3c-4a55-a4a5-b6d3a0c1f5a0"),
    ]
}

#[test]
fn every_payload_variant_means_the_same_by_every_carrier() {
    for (name, body, kind, state, object_type) in TABLE {
        for carrier in Carrier::all() {
            let case = format!("{name} by {carrier:?}");
            let records = decode(&carrier.carry(&metadata(body), body), &settings());
            let records = records.unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(records.len(), 1, "{case}");
            let record = &records[0];
            assert_eq!((record.kind(), record.state()), (kind, state), "{case}");
            assert_eq!(record.subject, "entities/hcp1", "{case}");
            assert_eq!(record.object_type, object_type, "{case}");
            assert_eq!(
                (record.version, record.commit_time),
                (Some(7), Some(COMMITTED)),
                "{case}"
            );
            assert_eq!(
                (record.received_time, record.read_time),
                (RECEIVED, None),
                "{case}"
            );
            assert_eq!(record.tenant, "acme");
            check_payload(record, carrier.keeps_the_text().then_some(body), &case);
        }
    }
}

fn check_payload(record: &EventRecord, text: Option<&str>, case: &str) {
    let moves = record.kind() != Kind::Other;
    assert_eq!(
        needs_hydration(record),
        moves && record.state() == State::Unknown,
        "{case}"
    );
    // Others are kept as they are; what is dead or has to be read leaves no personal data behind.
    if record.state() == State::Alive || !moves {
        assert_eq!(record.content(), Content::Event, "{case}");
        if let Some(text) = text {
            assert_eq!(record.payload, text, "{case}");
        }
    } else {
        assert_eq!(record.content(), Content::None, "{case}");
        assert!(record.payload.is_empty(), "{case}");
    }
    if record.state() == State::Alive {
        let state = record.subject_state();
        assert!(matches!(state, Some(SubjectState::Alive(_))), "{case}");
    }
    check_place(record, case);
}

/// A sink that takes the object from where the record says finds what a search of the payload finds.
fn check_place(record: &EventRecord, case: &str) {
    let place = [record.object_at, record.object_at + record.object_length];
    let [start, end] = place.map(|place| usize::try_from(place).unwrap());
    let told = &record.payload[start..end];
    if record.state() != State::Alive {
        assert!(told.is_empty(), "{case}");
        return;
    }
    let event: BTreeMap<&str, &RawValue> = serde_json::from_slice(&record.payload).unwrap();
    assert_eq!(told, event["object"].get().as_bytes(), "{case}");
}

#[test]
fn g5_copies_of_one_change_have_one_id_by_every_carrier_and_in_every_payload_type() {
    let ids = |bodies: &[&str]| {
        let mut ids: Vec<String> = Vec::new();
        for body in bodies {
            for carrier in Carrier::all() {
                let carried = carrier.carry(&metadata(body), body);
                ids.push(decode(&carried, &settings()).unwrap()[0].id.clone());
            }
        }
        ids.dedup();
        ids
    };
    let changed = ids(&[
        SNAPSHOT, FEW_FIELDS, WITH_DELTA, NOT_CUT, DELTA, ID_ONLY, OVERSIZE,
    ]);
    assert_eq!(changed.len(), 1);
    assert_ne!(changed, ids(&[REMOVED]));
}

#[test]
fn g5_without_clocks_an_envelopes_own_fields_are_no_part_of_the_identity() {
    let without =
        |message: &'static str| [("sourceObjectUri", "entities/hcp1"), ("messageId", message)];
    let mut ids = Vec::new();
    for carrier in Carrier::all()
        .into_iter()
        .filter(|carrier| carrier.keeps_the_text())
    {
        for message in ["first", "again"] {
            let carried = carrier.carry(&without(message), DELTA);
            ids.push(decode(&carried, &settings()).unwrap()[0].id.clone());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn the_payload_is_a_part_of_the_body_and_not_a_copy() {
    for carrier in [
        Carrier::Headers,
        Carrier::In(Wrap::Reltio),
        Carrier::In(Wrap::EventBridge),
        Carrier::In(Wrap::CloudEvent),
    ] {
        let carried = carrier.carry(&metadata(SNAPSHOT), SNAPSHOT);
        let payload = decode(&carried, &settings()).unwrap()[0].payload.clone();
        assert!(
            carried.body.as_ptr_range().contains(&payload.as_ptr()),
            "{carrier:?}"
        );
    }
}

#[test]
fn completeness_is_declared_of_snapshots_only() {
    let fields = vec!["attributes".to_owned()];
    let settings = DecodeSettings {
        completeness: CompletenessConfig::Fields(fields.clone()),
        ..settings()
    };
    let records = |body| {
        let carried = Carrier::Headers.carry(&metadata(body), body);
        decode(&carried, &settings).unwrap()
    };
    let alive = records(SNAPSHOT);
    assert_eq!(
        (alive[0].completeness(), &alive[0].fields),
        (Completeness::Fields, &fields)
    );
    for body in [DELTA, REMOVED, MATCHES] {
        let other = records(body);
        assert_eq!(other[0].completeness(), Completeness::Whole);
        assert!(other[0].fields.is_empty());
    }
}

/// What is absent may be empty or not sent, and nothing tells: Reltio is read.
#[test]
fn of_mixed_completeness_no_object_is_taken_for_what_it_shows() {
    let mut settings = settings();
    settings.completeness = CompletenessConfig::Mixed;
    let record = decode(
        &Carrier::Headers.carry(&metadata(SNAPSHOT), SNAPSHOT),
        &settings,
    );
    let record = &record.unwrap()[0];
    assert!(needs_hydration(record));
    assert_eq!(record.content(), Content::None);
    assert_eq!(
        (record.object_type.as_str(), record.payload.len()),
        ("HCP", 0)
    );
    let removed = decode(
        &Carrier::Headers.carry(&metadata(REMOVED), REMOVED),
        &settings,
    );
    assert_eq!(removed.unwrap()[0].state(), State::Removed);
}

#[test]
fn clocks_are_taken_from_the_metadata_and_never_from_dates_in_the_object() {
    let source = ("sourceObjectUri", "entities/hcp1");
    let record = one(&[source], SNAPSHOT);
    assert_eq!((record.version, record.commit_time), (None, None));
    for time in [
        "1800000000000",
        "2027-01-15T08:00:00Z",
        "2027-01-15T09:00:00.000+01:00",
    ] {
        assert_eq!(
            one(&[("commitTime", time)], SNAPSHOT).commit_time,
            Some(COMMITTED),
            "{time}"
        );
    }
    let numbers =
        r#"{"type":"UPDATE","uri":"entities/a","objectVersion":3,"commitTime":1800000000000}"#;
    let record = one(&[], numbers);
    assert_eq!(
        (record.version, record.commit_time),
        (Some(3), Some(COMMITTED))
    );
}

#[test]
fn where_a_record_came_from_is_carried_on() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut carried = Carrier::Headers.carry(&metadata(SNAPSHOT), SNAPSHOT);
    carried
        .headers
        .insert("traceparent".to_owned(), traceparent.to_owned());
    let record = &decode(&carried, &settings()).unwrap()[0];
    assert_eq!(record.traceparent, traceparent);
    let origin = record.origin.as_ref().unwrap();
    assert_eq!(origin.source, "stream");
    assert_eq!(origin.message_id, "5e0c7ba1-6f3c-4a55-a4a5-b6d3a0c1f5a0");
}
