//! One event in every envelope: what is around it changes nothing about it (G5).

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use goldwire::decode::DecodeError;
use goldwire::event::CompletenessConfig;
use goldwire::event::{EventRecord, Header, SourceRecord};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::decode::{LIMIT, checked};
use super::message;

/// Lines of headers, an empty line, a body: as it is, and with headers and body in the envelopes of
/// every carrier, as text, as an object, in base64, quoted and compressed.
pub fn envelope(input: &[u8]) {
    let plain = message::record(input);
    let Ok(body) = str::from_utf8(&plain.body) else {
        return;
    };
    let body = body.trim_ascii();
    // What is around it takes room, too.
    if body.len() > LIMIT / 8 {
        return;
    }
    let plain = SourceRecord {
        body: body.to_owned().into(),
        ..plain
    };
    let expected = decoded(&plain);
    for record in carried(&plain, body) {
        compare(&expected, &decoded(&record), &record);
    }
}

type Decoded = Result<Vec<EventRecord>, DecodeError>;

fn decoded(record: &SourceRecord) -> Decoded {
    checked(record, CompletenessConfig::Whole)
}

fn carried(plain: &SourceRecord, body: &str) -> Vec<SourceRecord> {
    let typed = |name: &'static str| move |value: &str| json!({ "Type": "String", name: value });
    let said = attributes(plain, |value| Value::from(value));
    let sqs = attributes(plain, typed("StringValue"));
    let sns = attributes(plain, typed("Value"));
    let alone = |body: String| SourceRecord {
        headers: [].into(),
        body: body.into(),
        ..plain.clone()
    };
    let beside = |body: String| SourceRecord {
        body: body.into(),
        ..plain.clone()
    };
    let notification = json!({ "Type": "Notification", "Message": body, "MessageAttributes": sns });
    let bytes = STANDARD.encode(body);
    let mut all = vec![
        beside(json!({ "schema": { "type": "bytes" }, "payload": bytes }).to_string()),
        beside(json!({ "specversion": "1.0", "type": "x", "id": "i", "data_base64": bytes }).to_string()),
        alone(
            json!({ "message": { "attributes": said, "data": bytes, "messageId": "m" } })
                .to_string(),
        ),
        alone(json!({ "ContentData": bytes, "Properties": said, "MessageId": "m" }).to_string()),
        alone(
            json!({ "Body": body, "UserProperties": said, "BrokerProperties": { "MessageId": "m" } })
                .to_string(),
        ),
        beside(zip(body)),
        beside(json!(body).to_string()),
        beside(json!({ "messageAttributes": said, "body": body }).to_string()),
        alone(json!({ "messageAttributes": said, "body": body }).to_string()),
        alone(json!({ "messageAttributes": said, "body": zip(body) }).to_string()),
        alone(json!({ "MessageId": "m", "Body": body, "MessageAttributes": sqs }).to_string()),
        alone(notification.to_string()),
        alone(json!({ "MessageId": "m", "Body": notification.to_string() }).to_string()),
    ];
    if body.starts_with('{') && serde_json::from_str::<&RawValue>(body).is_ok() {
        let said = Value::from(said);
        let envelope = format!(r#"{{"messageAttributes": {said}, "body": {body}}}"#);
        all.extend([
            beside(format!(r#"{{"schema": {{}}, "payload": {body}}}"#)),
            beside(format!(
                r#"{{"specversion": "1.0", "type": "x", "id": "i", "data": {body}}}"#
            )),
            beside(format!("[{body}]")),
            alone(format!(
                r#"{{"body": {body}, "applicationProperties": {said}}}"#
            )),
            alone(format!(
                r#"{{"detail-type": "x", "id": "e", "detail": {envelope}}}"#
            )),
            alone(format!(
                r#"[{{"eventType": "x", "subject": "x", "data": {envelope}}}]"#
            )),
            alone(envelope),
        ]);
    }
    all
}

fn attributes(record: &SourceRecord, value: impl Fn(&str) -> Value) -> Map<String, Value> {
    let said = Header::ALL.into_iter().filter_map(|header| {
        let text = record.headers.get(header.key())?;
        Some((header.name().to_owned(), value(text)))
    });
    said.collect()
}

fn zip(body: &str) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.as_bytes()).expect("memory takes bytes");
    STANDARD.encode(gzip.finish().expect("memory takes bytes"))
}

/// The same events, or none: what is around an event may at most be one layer too many.
fn compare(expected: &Decoded, found: &Decoded, record: &SourceRecord) {
    let around =
        |error: &DecodeError| matches!(error.code(), "bad_envelope" | "too_deep" | "too_large");
    match (expected, found) {
        (Ok(expected), Ok(found)) => {
            let (expected, found) = (nameless(expected), nameless(found));
            assert_eq!(expected, found, "{:?}", record.body);
        }
        (Ok(_), Err(error)) => assert!(around(error), "{error}: {:?}", record.body),
        (Err(error), Ok(_)) => panic!("{error} alone, but taken in {:?}", record.body),
        (Err(_), Err(_)) => {}
    }
}

/// Without what names the copy.
fn nameless(events: &[EventRecord]) -> Vec<EventRecord> {
    let nameless = events.iter().map(|event| EventRecord {
        origin: None,
        traceparent: String::new(),
        ..event.clone()
    });
    nameless.collect()
}
