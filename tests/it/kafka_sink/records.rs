//! What stands in a topic.

use goldwire::event::{Content, EventRecord, SubjectState};
use goldwire::event::{Kind, Subject};
use goldwire::sink::{Effect, Sink as _, SinkError};
use prost::Message as _;
use serde_json::json;

use super::super::values;
use super::{TOPIC, cluster, read, sink, write};

/// More digits than a floating-point number keeps, and blanks that no printer makes.
const TEXT: &str = r#"{"uri":"entities/a", "type":"configuration/entityTypes/Individual","n":4.000000000000000000001}"#;

#[tokio::test]
async fn a_living_subject_is_its_objects_bytes_under_its_uri() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({}));
    let answer = sink.write_one(&write("entities/a", 7, Some(TEXT))).await;
    assert_eq!(answer.unwrap().effect, Effect::Delivered);
    let found = read(&cluster, TOPIC);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, "entities/a");
    assert_eq!(found[0].value.as_deref(), Some(TEXT.as_bytes()));
    for (name, value) in [
        ("id", "id of entities/a 7"),
        ("kind", "changed"),
        ("state", "alive"),
        ("version", "7"),
        ("commit_time", "7000"),
        ("content_time", "7000"),
    ] {
        assert_eq!(found[0].header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn numbers_halves_of_pairs_and_private_names_go_through_as_they_were_sent() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({}));
    let bodies = [
        values::NUMBERS,
        values::LONE_SURROGATE,
        values::PRIVATE_RAW_VALUE,
    ];
    for body in bodies {
        sink.write_one(&values::write(body)).await.unwrap();
    }
    let found = read(&cluster, TOPIC);
    for body in bodies {
        let object = values::object(body);
        let mut sent = found.iter().filter_map(|record| record.value.as_deref());
        assert!(sent.any(|value| value == object.text()), "{body}");
    }
}

#[tokio::test]
async fn what_is_dead_has_no_value_and_headers_that_say_why() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({ "value": "envelope" }));
    let absorbed = SubjectState::Absorbed {
        by: Some("entities/w".to_owned()),
    };
    let states = [
        ("absorbed", absorbed),
        ("removed", SubjectState::Removed),
        ("erased", SubjectState::Erased),
        ("gone", SubjectState::Gone),
    ];
    for (number, (_, state)) in (1..).zip(&states) {
        let mut write = write("entities/a", number, None);
        write.current.as_mut().unwrap().state = state.clone();
        sink.write_one(&write).await.unwrap();
    }
    let found = read(&cluster, TOPIC);
    assert_eq!(found.len(), 4);
    for (record, (word, _)) in found.iter().zip(&states) {
        assert_eq!(record.value, None);
        assert_eq!(record.header("state"), Some(*word));
    }
    assert_eq!(found[0].header("absorbed_by"), Some("entities/w"));
    assert_eq!(found[1].header("absorbed_by"), None);
}

#[tokio::test]
async fn an_envelope_is_the_logs_own_record_and_one_is_made_of_what_was_read() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({ "value": "envelope" }));
    let told = write("entities/a", 7, Some(TEXT));
    let mut answered = write("entities/a", 8, Some(TEXT));
    answered.current.as_mut().unwrap().content_time = 9_500;
    for write in [&told, &answered] {
        sink.write_one(write).await.unwrap();
    }
    let found = read(&cluster, TOPIC);
    let record = told.record.unwrap();
    assert_eq!(found[0].value.as_deref(), Some(record.bytes().as_ref()));
    let made = EventRecord::decode(found[1].value.as_deref().unwrap()).unwrap();
    assert_eq!(
        (made.version, made.commit_time, made.read_time),
        (Some(8), Some(8000), Some(9500))
    );
    assert_eq!(
        (made.id.as_str(), made.content()),
        ("id of entities/a 8", Content::Object)
    );
    assert_eq!(made.payload.as_ref(), TEXT.as_bytes());
    assert_eq!(found[1].header("content_time"), Some("9500"));
}

#[tokio::test]
async fn fields_that_are_known_are_named_where_others_are_not() {
    let cluster = cluster(&[TOPIC]);
    let sink = sink(&cluster, &json!({}));
    let mut write = write("entities/a", 1, Some(TEXT));
    let fields = vec!["uri".to_owned(), "attributes".to_owned()];
    write.current.as_mut().unwrap().fields = Some(fields);
    sink.write_one(&write).await.unwrap();
    let found = read(&cluster, TOPIC);
    assert_eq!(found[0].header("fields"), Some("uri,attributes"));
}

#[tokio::test]
async fn topics_by_type_get_their_own_and_a_tombstone_of_unknown_type_goes_to_all() {
    let cluster = cluster(&["people", "orgs"]);
    let topics = json!({ "topics": { "Individual": "people", "com.x.Organization": "orgs" } });
    let sink = sink(&cluster, &topics);
    let mut org = write("entities/o", 1, Some(TEXT));
    org.object_type = "Organization".into();
    let mut unknown = write("entities/g", 1, None);
    unknown.object_type = "".into();
    let mut by_its_object = write("entities/i", 1, Some(TEXT));
    by_its_object.object_type = "".into();
    let mut typeless = write("entities/t", 1, Some("{}"));
    typeless.object_type = "".into();
    let batch = [org, unknown, by_its_object, typeless];
    let answers = sink.write(&batch).await;
    assert!(answers.iter().take(3).all(Result::is_ok), "{answers:?}");
    assert!(matches!(&answers[3], Err(SinkError::Rejected { code, .. }) if code == "no_type"));
    let keys = |topic| {
        read(&cluster, topic)
            .into_iter()
            .map(|of| of.key)
            .collect::<Vec<_>>()
    };
    let (mut people, mut orgs) = (keys("people"), keys("orgs"));
    people.sort();
    orgs.sort();
    assert_eq!(people, ["entities/g", "entities/i"]);
    assert_eq!(orgs, ["entities/g", "entities/o"]);
}

#[tokio::test]
async fn types_without_a_topic_are_not_asked_for_and_erasures_always_are() {
    let cluster = cluster(&[]);
    let more = json!({ "topics": { "Individual": "p" }, "event_types": ["CREATE"] });
    let sink = sink(&cluster, &more);
    let subject = Subject::new("acme", "entities/a");
    assert!(sink.accepts(&subject, "Individual", Kind::Created));
    assert!(sink.accepts(&subject, "", Kind::Created));
    assert!(!sink.accepts(&subject, "Individual", Kind::Changed));
    assert!(!sink.accepts(&subject, "Product", Kind::Created));
    assert!(sink.accepts(&subject, "Product", Kind::Erased));
    let mut erased = write("entities/a", 1, None);
    erased.object_type = "Product".into();
    // There is no topic that has it.
    assert!(sink.write_one(&erased).await.is_ok());
}

#[tokio::test]
async fn g4_records_of_a_subject_stand_in_the_order_in_which_batches_came() {
    let cluster = cluster(&[TOPIC]);
    // Room for a few records only, so that a batch waits in its middle.
    let sink = sink(&cluster, &json!({ "queue": "1MiB" }));
    let text = format!(r#"{{"uri":"entities/a","pad":"{}"}}"#, "x".repeat(20_000));
    let batches: Vec<Vec<_>> = (0..4_i64)
        .map(|batch| {
            let version = |row: i64| batch * 50 + row + 1;
            (0..50)
                .map(|row| write("entities/a", version(row), Some(&text)))
                .collect()
        })
        .collect();
    let written = batches.iter().map(|batch| sink.write(batch));
    let answers = futures::future::join_all(written).await;
    assert!(answers.iter().flatten().all(Result::is_ok));
    let versions: Vec<_> = read(&cluster, TOPIC)
        .iter()
        .map(|record| record.header("version").unwrap().parse::<i64>().unwrap())
        .collect();
    assert_eq!(versions, (1..=200).collect::<Vec<_>>());
}
