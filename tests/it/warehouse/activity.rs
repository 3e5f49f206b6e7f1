//! Start and end dates: what is live is decided when it is asked.

use goldwire::event::SubjectState;
use goldwire::sink::Current;
use goldwire::sink::warehouse::Dialect;
use serde_json::{Value, json};

use super::place::{Place, deliver};
use super::{absorbed, change, current, delivery, event, late, person, read, snapshot};

/// Long ago, and long to come.
const PAST: i64 = 1_700_000_000_000;
const AHEAD: i64 = 32_503_680_000_000;

fn dated(start: impl Into<Value>, end: impl Into<Value>) -> SubjectState {
    snapshot(&json!({"label": "x", "startDate": start.into(), "endDate": end.into()}))
}

async fn live(place: &Place, view: &str) -> Vec<String> {
    let rows = place.rows(&["subject"], view).await;
    rows.into_iter().map(|row| row.concat()).collect()
}

pub(super) async fn what_has_ended_is_not_live(place: Place) {
    let warehouse = place.open();
    deliver(
        &warehouse,
        &[
            event("entities/always", 1, 1, person("x")),
            event("entities/now", 1, 1, dated(PAST, AHEAD)),
            event(
                "entities/ended",
                1,
                1,
                dated(Value::Null, "2023-11-14T22:13:20Z"),
            ),
            event("entities/ahead", 1, 1, dated(AHEAD, Value::Null)),
            event("entities/again", 1, 1, dated(Value::Null, PAST)),
            event("entities/again", 2, 2, person("x")),
        ],
    )
    .await;
    let wanted = ["entities/again", "entities/always", "entities/now"];
    assert_eq!(live(&place, "golden_records_live").await, wanted);
    let known = |name: &str| format!("golden_records WHERE subject = 'entities/{name}'");
    assert_eq!(place.one("state", &known("ended")).await, "alive");
    assert_eq!(
        place.one("active_until", &known("ended")).await,
        PAST.to_string()
    );
    assert_eq!(
        place.one("active_from", &known("ahead")).await,
        AHEAD.to_string()
    );
    assert_eq!(place.one("active_until", &known("again")).await, "~");
    let then = "golden_record_history WHERE subject = 'entities/again' AND NOT is_current";
    assert_eq!(place.one("active_until", then).await, PAST.to_string());
}

/// The report `end_dated.json`.
pub(super) async fn an_end_told_later_ends(place: Place) {
    let warehouse = place.open();
    let object = |more: Value| {
        let mut object = json!({
            "uri": "entities/d", "type": "configuration/entityTypes/Individual",
            "crosswalks": [{"type": "configuration/sources/Reltio", "value": "d"}]
        });
        object
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        snapshot(&object)
    };
    let d = "entities/d";
    deliver(
        &warehouse,
        &[event(d, 1, 1_795_880_000_000, object(json!({})))],
    )
    .await;
    assert_eq!(live(&place, "golden_records_live").await, [d]);
    let ended = object(json!({"endDate": PAST}));
    deliver(&warehouse, &[event(d, 2, 1_795_880_005_000, ended)]).await;
    assert!(live(&place, "golden_records_live").await.is_empty());
}

/// The report `lost_then_changed.json`: Reltio answers the winner, later than the change.
pub(super) async fn a_loser_told_as_changed_stays_a_loser(place: Place) {
    let warehouse = place.open();
    let (l, w) = ("entities/l", "entities/w");
    let told = change(3, 1_795_880_030_000, person("Lose Abbott"));
    let asked = current(None, 1_795_880_033_000, absorbed(w));
    deliver(
        &warehouse,
        &[
            event(w, 1, 1_795_880_000_000, person("Win Abbott")),
            event(l, 1, 1_795_880_000_000, person("Lose Abbott")),
            event(l, 2, 1_795_880_005_000, absorbed(w)),
            delivery(l, Some(asked), vec![told]),
        ],
    )
    .await;
    assert_eq!(live(&place, "golden_records_live").await, [w]);
    assert_eq!(
        live(&place, "golden_records WHERE state = 'absorbed'").await,
        [l]
    );
    assert_eq!(place.one("loser", "merges_active").await, l);
}

pub(super) async fn a_partial_snapshot_keeps_the_end_that_it_does_not_know(place: Place) {
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
    deliver(&warehouse, &[event("entities/a", 1, 1, dated(3, PAST))]).await;
    deliver(
        &warehouse,
        &[partial(2, &["label"], &json!({"label": "y"}))],
    )
    .await;
    assert_eq!(place.one("label", "golden_records").await, "y");
    assert_eq!(
        place.one("active_until", "golden_records").await,
        PAST.to_string()
    );
    deliver(
        &warehouse,
        &[partial(3, &["label", "endDate"], &json!({"label": "z"}))],
    )
    .await;
    assert_eq!(place.one("active_until", "golden_records").await, "~");
    assert_eq!(place.one("active_from", "golden_records").await, "3");
}

pub(super) async fn a_relation_is_live_between_what_is(place: Place) {
    let warehouse = place.open();
    let relation = |end: &str, until: Value| {
        snapshot(&json!({
            "startObject": {"objectURI": "entities/a"}, "endObject": {"objectURI": format!("entities/{end}")},
            "endDate": until
        }))
    };
    let mut batch = vec![
        event("entities/a", 1, 1, person("x")),
        event("entities/ended", 1, 1, dated(Value::Null, PAST)),
        event("entities/ahead", 1, 1, dated(AHEAD, Value::Null)),
        event("entities/removed", 1, 1, SubjectState::Removed),
        event("entities/erased", 1, 1, SubjectState::Erased),
        event("entities/gone", 1, 1, SubjectState::Gone),
        event("entities/lost", 1, 1, absorbed("entities/a")),
        late("entities/late", 1, 1, person("x")),
    ];
    let ends = [
        "a", "ended", "ahead", "removed", "erased", "gone", "lost", "late", "unheard",
    ];
    for end in ends {
        let name = format!("relations/{end}");
        batch.push(event(&name, 1, 1, relation(end, Value::Null)));
    }
    batch.push(event("relations/over", 1, 1, relation("a", json!(PAST))));
    deliver(&warehouse, &batch).await;
    // Of the last two it is not known that they are not; the lost one goes on at its winner.
    let wanted = [
        "relations/a",
        "relations/late",
        "relations/lost",
        "relations/unheard",
    ];
    assert_eq!(live(&place, "relations_live").await, wanted);
    deliver(
        &warehouse,
        &[event("entities/a", 2, 2, SubjectState::Removed)],
    )
    .await;
    assert!(live(&place, "relations_live").await.is_empty());
}

pub(super) async fn an_erasure_takes_the_dates_with_it(place: Place) {
    let warehouse = place.open();
    deliver(
        &warehouse,
        &[
            event("entities/a", 1, 1, dated(5, PAST)),
            event("entities/a", 3, 3, SubjectState::Erased),
            late("entities/a", 2, 2, dated(5, PAST)),
        ],
    )
    .await;
    for table in ["golden_records", "golden_record_changes"] {
        let dates = place.rows(&["active_from", "active_until"], table).await;
        assert!(dates.iter().all(|row| *row == ["~", "~"]), "{dates:?}");
    }
}

/// Also where a clock was wrong by ages.
pub(super) async fn times_are_readable(place: Place) {
    let warehouse = place.open();
    let dates = snapshot(&json!({"startDate": -1, "endDate": AHEAD}));
    deliver(
        &warehouse,
        &[event("entities/a", 1, 1_700_000_000_123, dates)],
    )
    .await;
    let far = snapshot(&json!({"startDate": i64::MIN, "endDate": i64::MAX}));
    deliver(
        &warehouse,
        &[event("entities/b", 1, 2_000_000_000_000_000_000, far)],
    )
    .await;
    let text = |column: &str| match place.dialect {
        Dialect::Sqlite => column.to_owned(),
        Dialect::Postgres => {
            format!("to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
        }
    };
    let times = ["commit_time_ts", "active_from_ts", "active_until_ts"].map(text);
    let columns: Vec<&str> = times.iter().map(String::as_str).collect();
    assert_eq!(
        place.rows(&columns, "golden_records_live").await,
        [
            [
                "2023-11-14T22:13:20.123Z",
                "1969-12-31T23:59:59.999Z",
                "3000-01-01T00:00:00.000Z"
            ],
            ["~", "~", "~"],
        ]
    );
    let valid = text("valid_from_ts");
    let rows = place.rows(&[&valid], "golden_record_history").await;
    assert_eq!(rows, [["2023-11-14T22:13:20.123Z"], ["~"]]);
}

/// PostgreSQL reads small tables whole, whatever there is: it is asked not to.
pub(super) async fn views_use_indexes(place: Place) {
    deliver(&place.open(), &[event("entities/a", 1, 1, person("x"))]).await;
    if place.dialect == Dialect::Postgres {
        let many = "INSERT INTO golden_record_changes
            SELECT 'acme', 'entities/' || n, n, 1, 'e', 'changed', 'Individual', 'alive', NULL, NULL, NULL,
             false, n FROM generate_series(2, 20000) AS n;
            ANALYZE golden_record_changes";
        place.execute(many).await;
    }
    for (query, index) in [
        (
            "SELECT * FROM golden_records_live WHERE tenant = 'acme' AND object_type = 'Individual'",
            "golden_records_by_type",
        ),
        (
            "SELECT * FROM relations_live WHERE tenant = 'acme' AND object_type = 'Spouse'",
            "relations_by_type",
        ),
        (
            "SELECT * FROM golden_record_changes WHERE commit_time > 19990",
            "golden_record_changes_by_time",
        ),
        (
            "SELECT * FROM golden_record_history WHERE tenant = 'acme' AND subject = 'entities/a'",
            "golden_record_changes",
        ),
    ] {
        let plan = place.plan(query).await;
        assert!(plan.contains(index), "{query}: {plan}");
        assert!(
            !plan.contains("Seq Scan") && !plan.contains("SCAN golden"),
            "{query}: {plan}"
        );
    }
}
