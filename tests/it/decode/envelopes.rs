//! What is an envelope, what is an event, and what is said of an event by what is around it.

use goldwire::event::{EventRecord, Kind};
use serde_json::{Value, json};

use super::carrier::zip;
use super::wrap::Wrap;
use super::{decode, decoded, one, record, settings};

const EVENT: &str = r#"{"type":"ENTITY_CHANGED","object":{"uri":"entities/a"}}"#;

/// The event in a body, without headers.
fn of(body: &impl ToString) -> EventRecord {
    let body = body.to_string();
    let events = decode(&record(&[], body.clone()), &settings());
    let events = events.unwrap_or_else(|error| panic!("{error}: {body}"));
    assert_eq!(events.len(), 1, "{body}");
    events.into_iter().next().unwrap()
}

fn refused(body: &impl ToString) -> (&'static str, String) {
    let body = body.to_string();
    let error = decode(&record(&[], body.clone()), &settings());
    let error = error.expect_err(&body);
    (error.code(), error.to_string())
}

fn message_id(event: &EventRecord) -> &str {
    &event.origin.as_ref().unwrap().message_id
}

/// Every member in which an envelope would hold an event.
fn like_an_envelope(event: &str) -> Value {
    let mut event: Value = serde_json::from_str(event).unwrap();
    let other = json!({ "type": "ENTITY_REMOVED", "uri": "entities/b" });
    for member in [
        "body",
        "payload",
        "detail",
        "data",
        "message",
        "Message",
        "ContentData",
    ] {
        event[member] = other.clone();
    }
    event["data_base64"] = json!("AAAA");
    for (member, value) in [
        ("id", "1"),
        ("source", "entities/b"),
        ("subject", "entities/b"),
    ] {
        event[member] = json!(value);
    }
    event["detail-type"] = json!("ENTITY_REMOVED");
    event["attributes"] = json!({ "tenantId": "other" });
    event
}

#[test]
fn what_has_an_object_or_a_type_is_an_event_whatever_else_it_has() {
    let body = like_an_envelope(EVENT);
    let event = of(&body);
    assert_eq!(
        (event.kind(), &*event.subject),
        (Kind::Changed, "entities/a")
    );
    assert_eq!(event.payload, body.to_string());
    let untyped = like_an_envelope(r#"{"object":{"uri":"entities/a"}}"#);
    let event = one(&[("eventType", "UPDATE")], &untyped.to_string());
    assert_eq!(event.payload, untyped.to_string());
    let mut marked = like_an_envelope(EVENT);
    marked["specversion"] = json!("1.0");
    assert_eq!(of(&marked).subject, "entities/a");
    let id_only = like_an_envelope(r#"{"type":"UPDATE","uri":"entities/a"}"#);
    assert_eq!(of(&id_only).subject, "entities/a");
}

/// A null in the place of the event is Kafka Connect's tombstone; headers may say the rest.
#[test]
fn an_envelope_of_nothing_is_what_the_headers_say() {
    let headers = [
        ("eventType", "ENTITY_REMOVED"),
        ("sourceObjectUri", "entities/a"),
    ];
    let event = one(&headers, r#"{"schema":null,"payload":null}"#);
    assert_eq!(event.kind(), Kind::Removed);
    assert_eq!(refused(&r#"{"schema":null,"payload":null}"#).0, "no_type");
}

#[test]
fn a_carrier_s_own_words_count_where_they_are_reltio_s() {
    let cloud_event = |label: &str, subject: &str, data: Value| {
        json!({
            "specversion": "1.0", "type": label, "source": "/s", "id": "i", "subject": subject,
            "data": data,
        })
    };
    let id_only = json!({ "ovChanged": true });
    let event = of(&cloud_event(
        "ENTITY_CHANGED",
        "relations/no/uri",
        json!({ "uri": "entities/a" }),
    ));
    assert_eq!(
        (event.kind(), &*event.subject),
        (Kind::Changed, "entities/a")
    );
    let event = of(&cloud_event("entity_removed", "entities/a", id_only));
    assert_eq!(
        (event.kind(), &*event.subject),
        (Kind::Removed, "entities/a")
    );
    let inner: Value = serde_json::from_str(EVENT).unwrap();
    of(&cloud_event("com.example", "a subject", inner.clone()));
    let (code, detail) = refused(&cloud_event("ENTITY_REMOVED", "x", inner.clone()));
    assert_eq!(code, "contradiction");
    assert!(
        detail.ends_with("`eventType`: the envelope and the event differ"),
        "{detail}"
    );
    assert_eq!(
        refused(&cloud_event("x", "entities/b", inner.clone())).0,
        "contradiction"
    );
    let bridge = |label: &str| json!({ "detail-type": label, "detail": inner, "id": "e" });
    of(&bridge("Reltio change"));
    assert_eq!(refused(&bridge("ENTITY_REMOVED")).0, "contradiction");
    let grid = |label: &str| json!([{ "eventType": label, "data": inner, "id": "g" }]);
    of(&grid("Reltio.Change"));
    assert_eq!(refused(&grid("ENTITY_REMOVED")).0, "contradiction");
}

#[test]
fn what_carriers_say_of_an_event_must_agree() {
    let version = r#"{"type":"UPDATE","uri":"entities/a","objectVersion":3}"#;
    for wrap in Wrap::ALL.into_iter().filter(|wrap| wrap.says()) {
        let (code, detail) = refused(&wrap.around(&[("objectVersion", "4")], version));
        assert_eq!(code, "contradiction", "{wrap:?}");
        assert!(
            detail.contains("`objectVersion`") || detail.contains("`ce_"),
            "{wrap:?}: {detail}"
        );
        let twice = Wrap::Sqs.around(
            &[("objectVersion", "4")],
            &wrap.around(&[("objectVersion", "5")], EVENT),
        );
        assert_eq!(refused(&twice).0, "contradiction", "{wrap:?}");
        of(&Wrap::Sqs.around(
            &[("objectVersion", "4")],
            &wrap.around(&[("objectVersion", "4")], EVENT),
        ));
    }
    let both = decoded(&[("objectVersion", "2"), ("ce_objectversion", "3")], EVENT);
    assert_eq!(both.unwrap_err().code(), "contradiction");
    let foreign = decoded(&[("ce_tenantid", "other")], EVENT);
    assert_eq!(foreign.unwrap_err().code(), "unknown_tenant");
}

#[test]
fn the_message_id_is_the_outermost_carrier_s() {
    for (wrap, id) in [
        (Wrap::Sqs, "m-1"),
        (Wrap::Sns, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"),
        (Wrap::CloudEvent, "A234-1234-1234"),
        (Wrap::EventBridge, "6a7e8feb-b491-4cf7-a9f1-bf3703467718"),
        (Wrap::PubSub, "2070443601311540"),
        (Wrap::EventGrid, "831e1650-001e"),
        (Wrap::ServiceBus, "m-3"),
        (Wrap::LogicApps, "m-4"),
        (Wrap::Received, "m-5"),
    ] {
        assert_eq!(message_id(&of(&wrap.around(&[], EVENT))), id, "{wrap:?}");
        let nested = Wrap::ReltioText.around(&[("messageId", "first")], &wrap.around(&[], EVENT));
        assert_eq!(message_id(&of(&nested)), "first", "{wrap:?}");
    }
    for name in ["ce_id", "x-goog-pubsub-message-id"] {
        assert_eq!(message_id(&one(&[(name, "m-9")], EVENT)), "m-9", "{name}");
    }
}

#[test]
fn an_envelope_without_one_event_is_refused_and_says_where() {
    for (body, code, detail) in [
        (
            json!({ "specversion": "1.0", "type": "ENTITY_CHANGED", "id": "1", "source": "/" }),
            "bad_envelope",
            "`data`",
        ),
        (
            json!({ "specversion": "1.0", "type": "x", "data": {}, "data_base64": "e30=" }),
            "bad_envelope",
            "`data_base64`: found it beside `data`",
        ),
        (
            json!({ "payload": [1] }),
            "bad_envelope",
            "`payload`: found an array",
        ),
        (json!({ "data": "hello, Ada" }), "bad_envelope", "base64"),
        (json!({ "data": "e30" }), "no_type", ""),
        (json!({ "data": "" }), "empty", ""),
        (json!({ "data": "/w==" }), "not_utf8", ""),
        (json!({ "body": "e30=" }), "not_json", ""),
        (
            json!({ "attributes": [], "data": "e30=" }),
            "bad_member",
            "`attributes`: found an array",
        ),
        (json!([{}, {}]), "bad_member", "an array of one object"),
        (json!([[{}]]), "bad_member", "an array of one object"),
        (json!([]), "bad_member", "an array of one object"),
    ] {
        let (found, said) = refused(&body);
        assert_eq!(found, code, "{body}");
        assert!(said.contains(detail), "{said}");
        assert!(!said.contains("Ada"), "{said}");
    }
}

#[test]
fn g8_what_base64_or_compression_in_an_envelope_grows_to_is_bounded() {
    let bomb = zip(&vec![b'0'; 64 << 20]);
    for member in ["data", "data_base64", "payload", "ContentData"] {
        assert_eq!(refused(&json!({ member: bomb })).0, "too_large", "{member}");
    }
    let mut nested = EVENT.to_owned();
    for _ in 0..3 {
        nested = Wrap::PubSub.around(&[], &nested);
    }
    assert_eq!(
        refused(&nested),
        (
            "bad_envelope",
            "the event is in more than 6 layers".to_owned()
        )
    );
}
