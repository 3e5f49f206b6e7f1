//! The sink: what its lines say, and what it says of its directory.

use std::path::Path;
use std::sync::Arc;

use goldwire::event::{Kind, Object, Subject, SubjectState};
use goldwire::sink::file::File;
use goldwire::sink::file::FileSink;
use goldwire::sink::{Change, Current, Effect, Sink as _, SinkError, Write};
use goldwire::telemetry::Metrics;
use goldwire::time::SystemClock;
use serde_json::{Value, json};

use super::{files, lines};

fn sink(dir: &Path, more: &Value) -> File {
    let mut config = json!({ "dir": dir, "keeps_erased_records": true });
    let members = config.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    let config: FileSink = serde_json::from_value(config).unwrap();
    File::new(
        "events",
        &config,
        Arc::new(SystemClock),
        Arc::new(Metrics::noop()),
    )
}

fn delivery(uri: &str, version: i64, kind: Kind, state: SubjectState) -> Write {
    Write {
        subject: Subject::new("acme", uri),
        object_type: "Told".into(),
        current: None,
        changes: vec![Change {
            id: format!("id of {uri} {version}").into(),
            kind,
            version,
            commit_time: version * 10,
            received_time: version * 10 + 5,
            state,
            observed: version % 2 == 0,
        }],
        newest: 0,
        targets: Vec::new(),
        hops: 0,
        record: None,
    }
}

fn alive(object: &Value) -> SubjectState {
    SubjectState::Alive(Arc::new(
        Object::parse(object.to_string().as_bytes()).unwrap(),
    ))
}

#[tokio::test]
async fn every_kind_of_state_is_a_line_with_the_same_members() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &json!({}));
    let object = json!({
        "uri": "entities/a", "type": "configuration/entityTypes/Individual",
        "label": "line\nbreak \u{2028} \u{0} é", "big": 12_345_678_901_234_567_u64,
    });
    let mut shown = object.clone();
    shown["label"] = json!("line\nbreak \u{2028} \u{fffd} é");
    let absorbed = SubjectState::Absorbed {
        by: Some("entities/w".to_owned()),
    };
    for (version, kind, state) in [
        (1, Kind::Created, alive(&object)),
        (2, Kind::Absorbed, absorbed),
        (3, Kind::Removed, SubjectState::Removed),
        (4, Kind::Erased, SubjectState::Erased),
        (5, Kind::Changed, SubjectState::Gone),
    ] {
        let delivered = sink
            .write_one(&delivery("entities/a", version, kind, state))
            .await;
        assert_eq!(delivered.unwrap().effect, Effect::Delivered);
    }
    let found = lines(dir.path());
    let first = json!({
        "id": "id of entities/a 1", "tenant": "acme", "subject": "entities/a",
        "object_type": "Told", "kind": "created", "version": 1, "commit_time": 10,
        "received_time": 15, "observed": false, "state": "alive", "absorbed_by": null,
        "object_exact": object.to_string(), "object": shown,
    });
    assert_eq!(found[0], first);
    let of = |member: &str| -> Vec<_> { found.iter().map(|line| line[member].clone()).collect() };
    assert_eq!(
        of("state"),
        ["alive", "absorbed", "removed", "erased", "gone"]
    );
    assert_eq!(
        of("kind"),
        ["created", "absorbed", "removed", "erased", "changed"]
    );
    assert_eq!(found[1]["absorbed_by"], "entities/w");
    assert_eq!(found[1]["observed"], true);
    assert_eq!(found[4]["object_type"], "Told");
    for member in ["object", "object_exact"] {
        assert!(of(member).iter().skip(1).all(Value::is_null));
    }
}

#[tokio::test]
async fn g7_the_writes_of_a_batch_share_an_fsync_and_each_has_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &json!({ "roll": "4KiB", "batch": 50 }));
    let deliveries: Vec<_> = (0..500)
        .map(|number| {
            delivery(
                &format!("entities/{number}"),
                1,
                Kind::Removed,
                SubjectState::Removed,
            )
        })
        .collect();
    assert_eq!(sink.capabilities().rows, 50);
    for batch in deliveries.chunks(50) {
        let answers = sink.write(batch).await;
        assert!(answers.len() == 50 && answers.iter().all(Result::is_ok));
    }
    let found = lines(dir.path());
    let of = |number: usize| format!("entities/{number}");
    assert!((0..500).all(|number| found[number]["subject"] == of(number)));
    assert_eq!(files(dir.path()).len(), 10);
}

/// A tree would round the first and drop the order.
#[tokio::test]
async fn an_object_stands_in_its_line_as_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let sink = sink(dir.path(), &json!({}));
    let object = "{\"b\": 0.10000000000000000000001,\n \"a\":1e400, \"c\": \"é\"}";
    let object = goldwire::event::Object::parse(object.as_bytes()).unwrap();
    let state = SubjectState::Alive(object.into());
    let mut write = delivery("entities/a", 1, Kind::Created, state);
    write.object_type = "".into();
    sink.write_one(&write).await.unwrap();
    let file = &files(dir.path())[0];
    let text = std::fs::read_to_string(file).unwrap();
    let expected = "\"object_exact\":null,\
        \"object\":{\"b\": 0.10000000000000000000001,  \"a\":1e400, \"c\": \"é\"}}\n";
    assert!(text.ends_with(expected), "{text}");
}

#[tokio::test]
async fn what_only_says_how_a_subject_is_now_leaves_no_line() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("events");
    let sink = sink(&root, &json!({}));
    let mut delivery = delivery("entities/a", 1, Kind::Changed, SubjectState::Removed);
    delivery.changes.clear();
    delivery.current = Some(Current {
        state: SubjectState::Removed,
        content_time: 5,
        version: None,
        fields: None,
        erased: false,
    });
    assert!(sink.write_one(&delivery).await.is_ok());
    assert!(!root.exists());
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_to_halts_the_sink_and_the_probe_says_so() {
    let root = tempfile::tempdir().unwrap();
    let blocked = root.path().join("a file");
    std::fs::write(&blocked, "").unwrap();
    for dir in [blocked.clone(), blocked.join("below")] {
        let sink = sink(&dir, &json!({}));
        let sentences = sink.probe().await;
        assert_eq!(sentences.len(), 1, "{sentences:?}");
        assert!(sentences[0].contains("directory that this process may write to"));
        let change = delivery("entities/a", 1, Kind::Removed, SubjectState::Removed);
        let error = sink.write_one(&change).await.unwrap_err();
        assert!(matches!(error, SinkError::Systemic { .. }), "{error}");
    }
    let good = root.path().join("not/there/yet");
    let sink = sink(&good, &json!({}));
    assert_eq!(sink.probe().await, Vec::<String>::new());
    assert!(!root.path().join("not").exists(), "a probe leaves no trace");
}

#[test]
fn erasures_pass_the_filters_and_types_are_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let filters = json!({ "object_types": ["Individual"], "event_types": ["CREATE"] });
    let sink = sink(dir.path(), &filters);
    let subject = Subject::new("acme", "entities/a");
    assert!(sink.accepts(&subject, "Individual", Kind::Created));
    assert!(!sink.accepts(&subject, "Individual", Kind::Changed));
    assert!(!sink.accepts(&subject, "Organization", Kind::Created));
    assert!(sink.accepts(&subject, "Organization", Kind::Erased));
}
