//! From the event to what stands at each target.

use std::sync::Arc;

use goldwire::event::{Object, SubjectState};
use goldwire::sink::file::{File, FileSink};
use goldwire::sink::{Current, Effect, Sink as _, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use serde_json::{Value, json};

use super::super::warehouse::place::{Place, deliver};
use super::{LONE_SURROGATE, MORE, NUMBERS, PRIVATE_RAW_VALUE, object, write};

const ALL: [&str; 4] = [NUMBERS, LONE_SURROGATE, PRIVATE_RAW_VALUE, MORE];

#[tokio::test]
async fn a_table_has_every_value_as_it_was_sent() {
    let place = Place::sqlite();
    let warehouse = place.open();
    for body in ALL {
        let write = write(body);
        let subject = write.subject.uri().to_owned();
        deliver(&warehouse, &[write]).await;
        let object = object(body);
        let text = std::str::from_utf8(object.text()).unwrap();
        for table in ["golden_records", "golden_record_history"] {
            let from = format!("{table} WHERE subject = '{subject}'");
            let exact = place.one("coalesce(object_exact, object)", &from).await;
            assert_eq!(exact, text);
            // A database's own functions read what is shown.
            let valid = place.one("json_valid(object)", &from).await;
            assert_eq!(valid, "1", "{subject}");
        }
    }
    let labels = "golden_records WHERE subject = 'entities/s'";
    assert_eq!(place.one("label", labels).await, "cut \u{fffd}");
}

/// A member that is there twice makes a tree of the snapshot, which has to hold the same values.
#[tokio::test]
async fn a_member_that_is_there_twice_hides_no_label() {
    let place = Place::sqlite();
    let warehouse = place.open();
    let text = r#"{"uri":"entities/t","type":"t/Individual","type":"t/Individual","label":"x","n":1e400,"$serde_json::private::RawValue":"[1]"}"#;
    let body = format!(r#"{{"type":"ENTITY_CREATED","object":{text}}}"#);
    let body = body.replace(r#""type":"t/Individual","type":"#, r#""label":"w","type":"#);
    deliver(&warehouse, &[write(&body)]).await;
    assert_eq!(place.one("label", "golden_records").await, "x");
}

fn known(write: &mut Write, text: &str, fields: &[&str]) {
    let object = Object::parse(text.as_bytes()).unwrap();
    let fields = fields.iter().map(|&field| field.to_owned()).collect();
    let current = write.current.take().unwrap();
    write.current = Some(Current {
        state: SubjectState::Alive(Arc::new(object)),
        content_time: current.content_time + 1,
        fields: Some(fields),
        ..current
    });
    write.changes.clear();
}

#[tokio::test]
async fn a_partial_snapshot_leaves_every_other_value_as_it_was_sent() {
    let place = Place::sqlite();
    let warehouse = place.open();
    for body in ALL {
        let mut write = write(body);
        let subject = write.subject.uri().to_owned();
        deliver(&warehouse, std::slice::from_ref(&write)).await;
        let text = r#"{"label":"new","attributes":{"N":[{"value":2e999}],"S":["\udfff"]}}"#;
        known(
            &mut write,
            text,
            &["label", "attributes.N", "attributes.S", "attributes.Rate"],
        );
        deliver(&warehouse, &[write]).await;
        let from = format!("golden_records WHERE subject = '{subject}'");
        let exact = place.one("coalesce(object_exact, object)", &from).await;
        let values = [
            "1234567890123456.78",
            "123456789012345678901234567890",
            r#""cut \ud83d""#,
            r#"{"$serde_json::private::RawValue":"[1,2,3]"}"#,
            "1e400",
            "-1.00",
            r#""\ud800":[{"ov":true,"value":"\ude00\u0000\ud83d\ude00"}]"#,
            r#"{"$serde_json::private::Number":"7"}"#,
        ];
        let attributes = body.split_once("attributes").unwrap().1;
        for value in values.iter().filter(|value| attributes.contains(**value)) {
            assert!(exact.contains(value), "{value}: {exact}");
        }
        assert!(exact.contains(r#""N":[{"value":2e999}]"#), "{exact}");
        assert!(exact.contains(r#""S":["\udfff"]"#), "{exact}");
        assert!(!exact.contains("Rate"), "{exact}");
        assert_eq!(place.one("label", &from).await, "new");
        assert_eq!(place.one("json_valid(object)", &from).await, "1");
        let shown = place.one("object", &from).await;
        assert!(shown.contains(r#""S":["\ufffd"]"#), "{shown}");
    }
}

/// Strict readers refuse a whole file for what no text may hold.
#[tokio::test]
async fn a_line_of_a_file_is_json_for_any_reader_and_has_the_exact_text() {
    let marks: [(&str, &[_]); 4] = [
        (NUMBERS, &[]),
        (LONE_SURROGATE, &[(r"\ud83d", r"\ufffd")]),
        (PRIVATE_RAW_VALUE, &[]),
        (
            MORE,
            &[(r"\ud800", r"\ufffd"), (r"\ude00\u0000", r"\ufffd\ufffd")],
        ),
    ];
    for (body, marks) in marks {
        let dir = tempfile::tempdir().unwrap();
        let config = json!({ "dir": dir.path(), "keeps_erased_records": true });
        let config: FileSink = serde_json::from_value(config).unwrap();
        let clock = Arc::new(SystemClock);
        let sink = File::new("events", &config, clock, Arc::new(Metrics::noop()));
        let ack = sink.write_one(&write(body)).await.unwrap();
        assert_eq!(ack.effect, Effect::Delivered);
        let line = super::super::file_sink::text(dir.path());
        let object = object(body);
        let text = std::str::from_utf8(object.text()).unwrap();
        let mut shown = text.to_owned();
        for (odd, mark) in marks {
            shown = shown.replace(odd, mark);
        }
        let exact = if marks.is_empty() {
            Value::Null
        } else {
            json!(text)
        };
        let end = format!(",\"object_exact\":{exact},\"object\":{shown}}}\n");
        assert!(line.ends_with(&end), "{line}");
        assert!(line.contains(r#""object_type":"Individual""#), "{line}");
        serde_json::from_str::<Value>(&line).unwrap();
    }
}
