//! Headers and body to events.

use std::collections::BTreeSet;

use bytes::Bytes;
use goldwire::decode::{
    DecodeError, DecodeSettings, Events, MAX_SUBJECTS, decode_into, lacks_survivor, needs_hydration,
};
use goldwire::event::CompletenessConfig;
use goldwire::event::{
    Completeness, Content, EventRecord, Holds, Kind, Received, SourceRecord, State, SubjectState,
    event_id,
};
use prost::Message as _;

use super::message;

/// The largest body, small so that a body which unfolds is met early.
pub(crate) const LIMIT: usize = 64 << 10;

/// Lines of headers, an empty line, a body: decoded, with every completeness.
pub fn decode(input: &[u8]) {
    let record = message::record(input);
    let whole = checked(&record, CompletenessConfig::Whole);
    let lists = [
        CompletenessConfig::OvOnly,
        CompletenessConfig::Fields(vec!["attributes".to_owned(), "type".to_owned()]),
    ];
    for completeness in lists {
        let mut other = checked(&record, completeness);
        let all = whole.iter().flatten();
        for (event, all) in other.iter_mut().flatten().zip(all) {
            // A copy that tells less has an identity of its own.
            let less = event.holds() != Holds::Everything;
            assert_eq!(event.id == all.id, !less);
            event.id.clone_from(&all.id);
            event.set_completeness(Completeness::Whole);
            event.fields.clear();
        }
        assert_eq!(other, whole, "what is absent decides nothing else");
    }
    copies_have_one_identity(&record, &whole);
}

pub(crate) fn settings(completeness: CompletenessConfig) -> DecodeSettings {
    DecodeSettings {
        tenant: "acme".to_owned(),
        completeness,
        max_bytes: LIMIT,
    }
}

/// Leaves something in every place of a record that decoding fills.
const FULL: &str = r#"{"type":"MERGE","sourceObjectUri":"entities/w","uris":["entities/l","entities/m"],"objectVersion":7,"commitTime":1800000000000,"messageId":"m","traceparent":"t","object":{"uri":"entities/w","type":"configuration/entityTypes/HCP"}}"#;

/// The events of a record, in what held those of another before.
fn events_of(
    record: &SourceRecord,
    settings: &DecodeSettings,
) -> Result<Vec<EventRecord>, DecodeError> {
    let mut full = record.clone();
    full.headers.clear();
    full.body = Bytes::from_static(FULL.as_bytes());
    let mut events = Events::default();
    decode_into(&full.into(), settings, &mut events).expect("an event");
    assert_eq!(events.records().len(), 3);
    decode_into(&Received::from(record.clone()), settings, &mut events)?;
    Ok(events.take())
}

/// The events of a record, after all that must be true of them was looked at.
pub(crate) fn checked(
    record: &SourceRecord,
    completeness: CompletenessConfig,
) -> Result<Vec<EventRecord>, DecodeError> {
    let settings = settings(completeness);
    let decoded = events_of(record, &settings);
    let fresh = goldwire::decode::decode(&record.clone().into(), &settings);
    assert_eq!(fresh, decoded, "decoded twice");
    match &decoded {
        Ok(events) => {
            assert!(!events.is_empty() && events.len() <= MAX_SUBJECTS + 1);
            for event in events {
                check(event, record);
            }
            let subjects: BTreeSet<_> = events.iter().map(|event| &event.subject).collect();
            let ids: BTreeSet<_> = events.iter().map(|event| &event.id).collect();
            assert_eq!((subjects.len(), ids.len()), (events.len(), events.len()));
        }
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
    decoded
}

fn check(event: &EventRecord, record: &SourceRecord) {
    assert_eq!(event.tenant, "acme");
    assert_eq!(event.received_time, record.received_time);
    assert!(is_uri(&event.subject) || event.kind() == Kind::Other && event.subject.is_empty());
    let family = event.subject.split('/').next();
    assert!(event.kind() == Kind::Other || matches!(family, Some("entities" | "relations")));
    assert!(
        event
            .related
            .iter()
            .all(|uri| is_uri(uri) && *uri != event.subject)
    );
    assert_eq!(
        (event.subject_key().uri(), event.subject_key().tenant()),
        (&*event.subject, "acme")
    );
    if let Some(by) = &event.absorbed_by {
        assert!(event.state() == State::Absorbed && event.related.contains(by));
    }
    assert!(event.version.is_none_or(|version| version >= 0));
    // 2001 to 2100: what is outside was not in ms.
    assert!(
        event
            .commit_time
            .is_none_or(|time| (1_000_000_000_000..4_102_444_800_000).contains(&time))
    );
    assert!(event.id.len() == 32 && event.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let _ = (
        needs_hydration(event),
        lacks_survivor(event),
        event.known_time(),
    );
    check_payload(event, &record.body);
    assert_eq!(
        EventRecord::decode(&*event.encode_to_vec()).as_ref(),
        Ok(event)
    );
}

fn is_uri(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    text.len() <= 256
        && text.split_once('/').is_some_and(|(objects, id)| {
            [objects, id]
                .iter()
                .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain))
        })
}

fn check_payload(event: &EventRecord, body: &Bytes) {
    assert!(event.payload.len() <= LIMIT);
    let kept = event.state() == State::Alive || event.kind() == Kind::Other;
    assert_eq!(event.content() == Content::Event, kept);
    assert_eq!(event.payload.is_empty(), !kept);
    if !kept {
        return;
    }
    assert_eq!(event.id, event_id(event, &event.payload).as_str());
    let part = body.as_ptr_range();
    // Of an envelope's members, these may be base64.
    let has = |text: &[u8]| body.windows(text.len()).any(|part| part == text);
    let encoded: [&[u8]; 4] = [b"\"data", b"\"payload\"", b"ontentData\"", b"ase64"];
    let encoded = encoded.into_iter().chain([b"\"messageBody\"".as_slice()]);
    let unfolds = body.contains(&b'\\') || has(b"H4sI") || encoded.into_iter().any(has);
    assert!(
        part.contains(&event.payload.as_ptr()) || unfolds,
        "a copy of the body was made"
    );
    let text = str::from_utf8(&event.payload).expect("a payload is text");
    assert!(text.trim_ascii_start().starts_with('{'));
    let (at, length) = (event.object_at, event.object_length);
    let place = [at, at + length].map(|place| usize::try_from(place).expect("small"));
    let object = text.get(place[0]..place[1]).expect("within the payload");
    assert_eq!(event.state() == State::Alive, object.starts_with('{'));
    if event.state() == State::Alive {
        let Some(SubjectState::Alive(snapshot)) = event.subject_state() else {
            panic!("a snapshot is an object");
        };
        assert_eq!(snapshot.text(), object.as_bytes());
        // Whatever its values are, there is a tree of it, which holds no text to be parsed.
        let tree = snapshot.json();
        assert!(snapshot.is_tree());
        assert_eq!(
            goldwire::event::tree(tree.to_string().as_bytes()).as_ref(),
            Ok(tree)
        );
    }
}

/// Where and when a copy came, and the names of the copy itself, are no part of its identity.
fn copies_have_one_identity(
    record: &SourceRecord,
    decoded: &Result<Vec<EventRecord>, DecodeError>,
) {
    let mut copy = record.clone();
    "hook".clone_into(&mut copy.source);
    copy.received_time += 86_400_000;
    copy.round = 3;
    copy.headers
        .insert("messageid".to_owned(), "another".to_owned());
    copy.headers
        .insert("traceparent".to_owned(), "another".to_owned());
    let again = events_of(&copy, &settings(CompletenessConfig::Whole));
    let names = |events: &[EventRecord]| -> Vec<_> {
        events
            .iter()
            .map(|event| (event.id.clone(), event.subject.clone()))
            .collect()
    };
    if let Ok(events) = decoded {
        assert_eq!(again.map(|events| names(&events)), Ok(names(events)));
    }
}
