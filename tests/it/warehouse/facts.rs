//! What the tables say of single subjects.

use std::sync::Arc;

use goldwire::event::{Object, SubjectState};
use goldwire::sink::warehouse::Dialect;
use goldwire::sink::{Current, Effect, Sink as _};
use serde_json::{Value, json};

use super::place::{Place, deliver, deliver_all};
use super::{absorbed, change, current, delivery, event, late, person, read, snapshot};

pub(super) async fn older_is_refused(place: Place) {
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 5, 500, person("new"))]).await;
    let old = read("entities/a", 400, person("old"));
    assert_eq!(
        warehouse.write_one(&old).await.unwrap().effect,
        Effect::Stale
    );
    let row = event("entities/a", 4, 450, person("older"));
    assert_eq!(
        warehouse.write_one(&row).await.unwrap().effect,
        Effect::Delivered
    );
    let equal = read("entities/a", 500, person("new"));
    assert_eq!(
        warehouse.write_one(&equal).await.unwrap().effect,
        Effect::Delivered
    );
    assert_eq!(place.one("label", "golden_records").await, "new");
    assert_eq!(place.one("commit_time", "golden_records").await, "500");
    let spans = place
        .rows(
            &["valid_from", "valid_to", "is_current"],
            "golden_record_history",
        )
        .await;
    assert_eq!(spans, [["450", "500", "no"], ["500", "~", "yes"]]);
}

pub(super) async fn observed_gives_way(place: Place) {
    let warehouse = place.open();
    let mut seen = change(3, 300, person("as read"));
    seen.observed = true;
    seen.received_time = 1;
    let payload = change(3, 300, person("as sent"));
    for changes in [vec![seen.clone()], vec![payload], vec![seen]] {
        deliver(&warehouse, &[delivery("entities/a", None, changes)]).await;
    }
    let rows = place
        .rows(&["observed", "object"], "golden_record_history")
        .await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0][0], "no");
    assert!(rows[0][1].contains("as sent"));
}

/// A change with the erasure's own clocks does not take its place, whichever comes first.
pub(super) async fn an_erasure_keeps_its_row_beside_a_change_of_its_clocks(place: Place) {
    let warehouse = place.open();
    let mut read = change(3, 300, person("Ann"));
    read.observed = true;
    for (uri, erased_first) in [("entities/a", true), ("entities/b", false)] {
        let erasure = event(uri, 3, 300, SubjectState::Erased);
        let other = delivery(uri, None, vec![read.clone()]);
        let mut sent = change(3, 300, person("Anna"));
        sent.id = "0".into();
        let first = delivery(uri, None, vec![sent]);
        let mut all = vec![other, first, erasure];
        if erased_first {
            all.reverse();
        }
        for one in all {
            deliver(&warehouse, &[one]).await;
        }
    }
    let left = place.rows(&["subject", "state"], "golden_record_changes");
    let wanted = [["entities/a", "erased"], ["entities/b", "erased"]];
    assert_eq!(left.await, wanted);
}

pub(super) async fn an_erasure_takes_all_content(place: Place) {
    let warehouse = place.open();
    let a = "entities/a";
    deliver(
        &warehouse,
        &[
            event(a, 1, 100, person("Ann")),
            event("entities/b", 1, 100, person("Bob")),
            event(a, 3, 300, SubjectState::Erased),
            late(a, 2, 200, person("Anna")),
            read(a, 300, person("Ann again")),
        ],
    )
    .await;
    let rows = place
        .rows(&["state", "object", "label"], "golden_records")
        .await;
    assert_eq!(rows[1], ["erased", "~", "~"]);
    let of_a = "golden_record_changes WHERE subject = 'entities/a'";
    let left = place.rows(&["version", "state"], of_a).await;
    assert_eq!(left, [["3", "erased"]]);
    let all = format!("{:?}", place.everything().await);
    assert!(!all.contains("Ann") && all.contains("Bob"), "{all}");
}

/// Another life, later, has content again; a late erasure still takes what was before it.
pub(super) async fn a_life_after_an_erasure_has_content(place: Place) {
    let warehouse = place.open();
    deliver(
        &warehouse,
        &[
            event("entities/a", 3, 300, SubjectState::Erased),
            event("entities/b", 1, 100, person("Bob")),
        ],
    )
    .await;
    deliver(&warehouse, &[event("entities/a", 1, 900, person("Zoe"))]).await;
    deliver(&warehouse, &[event("entities/b", 9, 800, person("Bobby"))]).await;
    deliver(
        &warehouse,
        &[late("entities/b", 8, 700, SubjectState::Erased)],
    )
    .await;
    let labels = place.rows(&["label"], "golden_records").await;
    assert_eq!(labels, [["Bobby"], ["Zoe"]]);
    let objects = "golden_record_history WHERE subject = 'entities/b' AND object IS NOT NULL";
    assert_eq!(place.one("commit_time", objects).await, "800");

    // An erasure that the engine holds for late, but the table does not.
    deliver(
        &warehouse,
        &[late("entities/b", 10, 1000, SubjectState::Erased)],
    )
    .await;
    let all = format!("{:?}", place.everything().await);
    assert!(!all.contains("Bob"), "{all}");
}

pub(super) async fn a_partial_snapshot_replaces_what_it_knows(place: Place) {
    let warehouse = place.open();
    let partial = |time: i64, fields: &[&str], json: &Value| {
        let mut delivery = read("entities/a", time, snapshot(json));
        let known = fields.iter().map(|&field| field.to_owned()).collect();
        delivery.current = delivery.current.map(|row| Current {
            fields: Some(known),
            ..row
        });
        delivery
    };
    let fields = ["label", "attributes"];
    deliver(
        &warehouse,
        &[
            partial(
                100,
                &fields,
                &json!({"label": "first", "attributes": {"A": 1}}),
            ),
            event(
                "entities/a",
                2,
                200,
                snapshot(&json!({"label": "x", "attributes": {"B": 1}, "crosswalks": ["c"]})),
            ),
            partial(300, &fields, &json!({"attributes": {"A": "n\0"}})),
            partial(250, &fields, &json!({"attributes": {"A": "stale"}})),
        ],
    )
    .await;
    let object = |column: &'static str| {
        let place = &place;
        async move { serde_json::from_str(&place.one(column, "golden_records").await).unwrap() }
    };
    let shown: Value = object("object").await;
    assert_eq!(
        shown,
        json!({"attributes": {"A": "n\u{fffd}"}, "crosswalks": ["c"]})
    );
    // The next one is laid over what was really there.
    deliver(
        &warehouse,
        &[partial(400, &["label"], &json!({"label": "y"}))],
    )
    .await;
    let exact: Value = object("object_exact").await;
    let wanted = json!({"label": "y", "attributes": {"A": "n\0"}, "crosswalks": ["c"]});
    assert_eq!(exact, wanted);
}

pub(super) async fn relations_have_a_table_of_their_own(place: Place) {
    let warehouse = place.open();
    let relation = |end: &str| {
        snapshot(&json!({
            "uri": "relations/r", "type": "configuration/relationTypes/Spouse",
            "startObject": {"objectURI": "entities/a"}, "endObject": {"objectURI": end}
        }))
    };
    let r = "relations/r";
    deliver(
        &warehouse,
        &[
            event(r, 2, 200, relation("entities/c")),
            event(r, 1, 100, relation("entities/b")),
            event("relations/lost", 1, 100, absorbed(r)),
        ],
    )
    .await;
    assert!(place.rows(&["subject"], "golden_records").await.is_empty());
    assert!(place.rows(&["loser"], "merges").await.is_empty());
    let ends = ["subject", "object_type", "start_entity", "end_entity"];
    let rows = place.rows(&ends, "relations_live").await;
    assert_eq!(
        rows,
        [["relations/r", "Spouse", "entities/a", "entities/c"]]
    );
    let history = place.rows(&["valid_from"], "golden_record_history").await;
    assert_eq!(history.len(), 3);
    deliver(&warehouse, &[event(r, 3, 300, SubjectState::Removed)]).await;
    let rows = place.rows(&["state", "end_entity"], "relations").await;
    assert_eq!(rows, [["absorbed", "~"], ["removed", "~"]]);
}

pub(super) async fn a_nul_is_kept_and_harms_no_query(place: Place) {
    let warehouse = place.open();
    let odd = json!({"label": "a\0b", "attributes": {"k\0": "\0"}, "plain": "c\\u0000d"});
    deliver(&warehouse, &[event("entities/a", 1, 1, snapshot(&odd))]).await;
    assert_eq!(place.one("label", "golden_records").await, "a\u{fffd}b");
    assert_eq!(
        place
            .one("object ->> 'plain'", "golden_record_history")
            .await,
        "c\\u0000d"
    );
    let exact = place.one("object_exact", "golden_record_history").await;
    assert_eq!(serde_json::from_str::<Value>(&exact).unwrap(), odd);
    let key = event("entities/a\0b", 1, 1, person("x"));
    let error = warehouse.write_one(&key).await.unwrap_err();
    assert!(error.to_string().contains("nul_in_key"), "{error}");
}

pub(super) async fn a_type_and_a_life_known_only_from_late_rows_are_kept(place: Place) {
    let warehouse = place.open();
    let mut gone = read("entities/a", 900, SubjectState::Gone);
    gone.object_type = "".into();
    let rows = delivery("entities/b", None, vec![change(1, 100, person("x"))]);
    deliver(
        &warehouse,
        &[gone, late("entities/a", 1, 100, person("x")), rows],
    )
    .await;
    let known = place
        .rows(&["object_type", "state", "alive_at"], "golden_records")
        .await;
    assert_eq!(
        known,
        [
            ["Individual", "gone", "100"],
            ["Individual", "unknown", "100"]
        ]
    );
    // What is known of it comes later.
    let now = delivery(
        "entities/b",
        Some(current(Some(1), 100, person("x"))),
        vec![],
    );
    deliver(&warehouse, &[now]).await;
    assert_eq!(place.rows(&["label"], "golden_records_live").await, [["x"]]);
}

/// The text reaches its column as it came; half of a surrogate pair is shown as a mark, and a number
/// that no `numeric` of PostgreSQL holds as a text.
pub(super) async fn every_digit_is_kept(place: Place) {
    let warehouse = place.open();
    let alive = |text: &str| {
        let object = Object::parse(text.as_bytes()).unwrap();
        SubjectState::Alive(Arc::new(object))
    };
    let text = r#"{"label": "x", "n": 12345678901234567890.123456789012345670, "big": 1e400}"#;
    let odd = r#"{"label":"x","s":"\ud800"}"#;
    let huge = r#"{"label":"x","n":[1e999999,1e-9999]}"#;
    deliver(
        &warehouse,
        &[
            event("entities/a", 1, 1, alive(text)),
            event("entities/b", 1, 1, alive(odd)),
            event("entities/c", 1, 1, alive(huge)),
        ],
    )
    .await;
    for table in ["golden_records", "golden_record_history"] {
        let of = |subject| format!("{table} WHERE subject = 'entities/{subject}'");
        let (column, wanted) = match place.dialect {
            Dialect::Sqlite => ("object", text),
            Dialect::Postgres => ("object ->> 'n'", "12345678901234567890.123456789012345670"),
        };
        assert_eq!(place.one(column, &of("a")).await, wanted);
        assert_eq!(place.one("object_exact", &of("a")).await, "~");
        assert_eq!(place.one("object ->> 's'", &of("b")).await, "\u{fffd}");
        assert_eq!(place.one("object_exact", &of("b")).await, odd);
        assert_eq!(place.one("object_exact", &of("c")).await, huge);
        let shown = place.one("object -> 'n' ->> 0", &of("c")).await;
        assert_eq!(shown, "1e999999");
    }
}

/// What no tree could hold is refused by name, and takes no other record with it.
pub(super) async fn too_deep_is_refused_alone(place: Place) {
    let warehouse = place.open();
    let text = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    let deep = SubjectState::Alive(Arc::new(Object::parse(text.as_bytes()).unwrap()));
    let batch = [
        event("entities/a", 1, 1, person("x")),
        event("entities/b", 1, 1, deep),
    ];
    let mut answers = deliver_all(&warehouse, &batch).await.into_iter();
    assert_eq!(answers.next().unwrap().unwrap(), Effect::Delivered);
    let error = answers.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("too_deep"), "{error}");
    assert_eq!(place.one("subject", "golden_records").await, "entities/a");
}
