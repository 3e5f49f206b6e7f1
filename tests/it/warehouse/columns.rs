//! Columns of attributes: as they are written, and as they are filled in afterwards.

use std::sync::Arc;

use goldwire::event::SubjectState;
use goldwire::sink::Current;
use goldwire::sink::warehouse::{Dialect, Warehouse, schema_text};
use serde_json::{Value, json};

use super::place::{Place, deliver};
use super::{absorbed, change, current, delivery, event, late, person, read, snapshot};

const VIEWS: [&str; 3] = [
    "golden_record_history",
    "golden_records_live",
    "relations_live",
];

fn mapping() -> Value {
    json!({
        "email": "Email.Email",
        "born": {"attribute": "DateOfBirth", "type": "date"},
        "seen": {"attribute": "LastSeen", "type": "timestamp"},
        "revenue": {"attribute": "Revenue", "type": "decimal"},
        "visits": {"attribute": "Visits", "type": "integer"},
        "order": {"attribute": "Opted", "type": "boolean"},
        "size": {"attribute": "Visits", "type": "integer", "object_type": "Organization"},
    })
}

fn with(place: &mut Place, mapping: Value) {
    place.columns = serde_json::from_value(mapping).unwrap();
}

fn golden(email: &str) -> SubjectState {
    snapshot(&json!({"label": email, "attributes": {
        "Email": [
            {"value": {"Email": [{"value": "old@example.com", "ov": true}]}, "ov": false},
            {"value": {"Email": [{"value": email, "ov": true}]}, "ov": true},
        ],
        "DateOfBirth": [{"value": "1980-05-17", "ov": true}],
        "LastSeen": [{"value": 1_700_049_600_000_i64, "ov": true}],
        "Revenue": [{"value": "1200.50", "ov": true}],
        "Visits": [{"value": 7, "ov": true}],
        "Opted": [{"value": "true", "ov": true}],
    }}))
}

async fn emails(place: &Place, table: &str) -> Vec<String> {
    let rows = place.rows(&["subject", "email"], table).await;
    let told = rows.iter().map(|row| {
        let subject = row[0].trim_start_matches("entities/");
        format!("{subject} {}", row[1].trim_end_matches("@example.com"))
    });
    told.collect()
}

pub(super) async fn are_written_with_their_types(mut place: Place) {
    with(&mut place, mapping());
    let odd = snapshot(&json!({"attributes": {
        "DateOfBirth": [{"value": "unknown"}], "Visits": [{"value": "many"}],
        "Revenue": [{"value": ""}], "Opted": [{"value": {"x": 1}}],
    }}));
    let batch = [
        event("entities/a", 1, 100, golden("a@example.com")),
        event("entities/b", 1, 100, odd),
        event("relations/r", 1, 100, golden("r@example.com")),
    ];
    deliver(&place.open(), &batch).await;
    let columns = [
        "subject",
        "email",
        "born",
        "revenue * 2",
        "visits + 1",
        "CASE WHEN \"order\" THEN 'yes' END",
        "size",
    ];
    let sum = match place.dialect {
        Dialect::Sqlite => "2401.0",
        Dialect::Postgres => "2401.00",
    };
    for table in [
        "golden_record_history",
        "golden_records",
        "golden_records_live",
    ] {
        let of = |subject| format!("{table} WHERE subject = 'entities/{subject}'");
        let rows = place.rows(&columns, &of("a")).await;
        let wanted = [
            "entities/a",
            "a@example.com",
            "1980-05-17",
            sum,
            "8",
            "yes",
            "~",
        ];
        assert_eq!(rows, [wanted], "{table}");
        let odd = place.rows(&columns[1..], &of("b")).await;
        assert_eq!(odd, [["~", "~", "~", "~", "~", "~"]], "{table}");
    }
    assert_eq!(place.one("email", "relations_live").await, "r@example.com");
    let seen = match place.dialect {
        Dialect::Sqlite => "seen = '2023-11-15T12:00:00.000Z'",
        Dialect::Postgres => "seen = timestamptz '2023-11-15 12:00:00Z'",
    };
    let seen = format!("golden_records WHERE {seen}");
    assert_eq!(place.one("subject", &seen).await, "entities/a");
}

pub(super) async fn of_what_is_dead_or_erased_are_empty(mut place: Place) {
    with(&mut place, mapping());
    let warehouse = place.open();
    let batch = [
        event("entities/a", 1, 100, golden("a@example.com")),
        event("entities/b", 1, 100, golden("b@example.com")),
        event("entities/a", 2, 200, absorbed("entities/b")),
        event("entities/b", 3, 300, SubjectState::Erased),
        late("entities/b", 2, 200, golden("b@example.com")),
    ];
    deliver(&warehouse, &batch).await;
    assert_eq!(emails(&place, "golden_records").await, ["a ~", "b ~"]);
    let history = emails(&place, "golden_record_history").await;
    assert_eq!(history, ["a a", "a ~", "b ~"]);
    let all = format!("{:?}", place.everything().await);
    assert!(!all.contains("b@example.com"), "{all}");
}

pub(super) async fn of_a_partial_snapshot_are_those_of_what_it_is_laid_over(mut place: Place) {
    with(&mut place, mapping());
    let warehouse = place.open();
    let mut partial = read(
        "entities/a",
        200,
        snapshot(&json!({"attributes": {"Visits": [{"value": 9}]}})),
    );
    partial.current = partial.current.map(|row| Current {
        fields: Some(vec!["attributes.Visits".to_owned()]),
        ..row
    });
    let batch = [
        event("entities/a", 1, 100, golden("a@example.com")),
        partial,
    ];
    deliver(&warehouse, &batch).await;
    let columns = ["email", "visits"];
    let rows = place.rows(&columns, "golden_records").await;
    assert_eq!(rows, [["a@example.com", "9"]]);
}

/// What is filled in is what would have been written: with the numbers that `jsonb` prints again, and
/// where `object` shows marks.
pub(super) async fn that_are_new_are_filled_from_what_is_stored(mut place: Place) {
    let odd = r#"{"type":"t/Organization","label":"x","attributes":
        {"Email":[{"value":{"Email":[{"value":"o\u0000@example.com"}]}}],"Visits":[{"value":1.20E2}],
         "Revenue":[{"value":1e999999}]}}"#;
    let odd = goldwire::event::Object::parse(odd.as_bytes()).unwrap();
    let odd = SubjectState::Alive(Arc::new(odd));
    let mut seen = change(1, 100, golden("c@example.com"));
    seen.observed = true;
    let batch = [
        event("entities/a", 1, 100, golden("a@example.com")),
        event("entities/a", 2, 200, golden("aa@example.com")),
        event("entities/b", 1, 100, SubjectState::Removed),
        delivery(
            "entities/c",
            Some(current(Some(1), 150, golden("cc@example.com"))),
            vec![seen],
        ),
        event("entities/o", 1, 100, odd.clone()),
        event("relations/r", 1, 100, golden("r@example.com")),
    ];
    deliver(&place.open(), &batch).await;
    with(&mut place, mapping());
    deliver(
        &place.open(),
        &[event("entities/n", 1, 100, golden("n@example.com"))],
    )
    .await;
    let filled = place.everything().await;
    assert_eq!(place.one("email", "relations").await, "r@example.com");
    assert_eq!(
        emails(&place, "golden_records").await,
        ["a aa", "b ~", "c cc", "n n", "o o\u{fffd}"]
    );
    let sizes = place.rows(&["size", "visits"], "golden_records WHERE size IS NOT NULL");
    assert_eq!(sizes.await, [["120", "120"]]);

    let mut other = match place.dialect {
        Dialect::Sqlite => Place::sqlite(),
        Dialect::Postgres => Place::postgres().await,
    };
    with(&mut other, mapping());
    let warehouse = other.open();
    deliver(&warehouse, &batch).await;
    deliver(
        &warehouse,
        &[event("entities/n", 1, 100, golden("n@example.com"))],
    )
    .await;
    assert_eq!(filled, other.everything().await);
}

pub(super) async fn follow_a_mapping_that_changes(mut place: Place) {
    let open = async |place: &mut Place, mapping: Value, name: &str| {
        with(place, mapping);
        deliver(
            &place.open(),
            &[event(
                name,
                1,
                100,
                golden(&format!(
                    "{}@example.com",
                    name.trim_start_matches("entities/")
                )),
            )],
        )
        .await;
    };
    open(&mut place, json!({"email": "Email.Email"}), "entities/a").await;
    assert_eq!(emails(&place, "golden_records_live").await, ["a a"]);

    // It leaves: it stays in the tables, and is not written.
    open(&mut place, json!({}), "entities/b").await;
    assert_eq!(emails(&place, "golden_records_live").await, ["a a", "b ~"]);

    // It comes back, from elsewhere, with another.
    let both = json!({"email": "Visits", "born": "DateOfBirth"});
    open(&mut place, both, "entities/c").await;
    assert_eq!(
        emails(&place, "golden_records_live").await,
        ["a 7", "b 7", "c 7"]
    );
    assert_eq!(
        emails(&place, "golden_record_history").await,
        ["a 7", "b 7", "c 7"]
    );

    // It becomes another type; who might read the views still may.
    if place.dialect == Dialect::Postgres {
        for view in VIEWS {
            place
                .execute(&format!("GRANT SELECT ON {view} TO PUBLIC"))
                .await;
        }
    }
    let typed = json!({"email": {"attribute": "Visits", "type": "integer"}, "born": "DateOfBirth"});
    open(&mut place, typed, "entities/d").await;
    let sum = place.one("sum(email)", "golden_record_history").await;
    assert_eq!(sum, "28");
    let known = place
        .rows(&["name", "type", "source"], "goldwire_columns")
        .await;
    assert_eq!(
        known,
        [
            ["born", "text", "DateOfBirth"],
            ["email", "integer", "Visits"]
        ]
    );
    if place.dialect == Dialect::Postgres {
        let public = "information_schema.table_privileges
         WHERE table_schema = current_schema() AND grantee = 'PUBLIC' AND privilege_type = 'SELECT'";
        assert_eq!(place.rows(&["table_name"], public).await.len(), VIEWS.len());
    }
}

/// By a person, as the documentation says.
pub(super) async fn that_were_dropped_are_in_no_view(mut place: Place) {
    with(&mut place, mapping());
    deliver(
        &place.open(),
        &[event("entities/a", 1, 100, golden("a@example.com"))],
    )
    .await;
    let tables = ["golden_records", "relations", "golden_record_changes"];
    let dropped = VIEWS.map(|view| format!("DROP VIEW {view};"));
    let altered = tables.map(|table| format!("ALTER TABLE {table} DROP COLUMN born;"));
    let told = "DELETE FROM goldwire_columns WHERE name = 'born'";
    let sql = format!("{}{}{told}", dropped.concat(), altered.concat());
    place.execute(&sql).await;
    with(
        &mut place,
        json!({"email": "Email.Email", "a_new": {"attribute": "Visits", "type": "integer"}}),
    );
    deliver(
        &place.open(),
        &[event("entities/b", 1, 100, golden("b@example.com"))],
    )
    .await;
    assert_eq!(
        emails(&place, "golden_record_history").await,
        ["a a", "b b"]
    );
    assert_eq!(place.one("sum(a_new)", "golden_records_live").await, "14");
}

/// An end of the process in the middle: what was filled is not filled again.
pub(super) async fn are_filled_from_where_it_was_left(mut place: Place) {
    with(&mut place, mapping());
    let batch = [
        event("entities/a", 1, 100, golden("a@example.com")),
        event("entities/b", 1, 100, golden("b@example.com")),
    ];
    deliver(&place.open(), &batch).await;
    let left = "UPDATE golden_records SET email = NULL;
        UPDATE golden_record_changes SET email = NULL;
        UPDATE goldwire_backfill SET stage = 0, tenant = 'acme', subject = 'entities/a'";
    place.execute(left).await;
    deliver(
        &place.open(),
        &[event("entities/c", 1, 100, golden("c@example.com"))],
    )
    .await;
    assert_eq!(
        emails(&place, "golden_records").await,
        ["a ~", "b b", "c c"]
    );
    assert_eq!(
        emails(&place, "golden_record_history").await,
        ["a a", "b b", "c c"]
    );
    assert_eq!(place.one("stage", "goldwire_backfill").await, "3");
}

/// Pages of a thousand rows, several writers at once.
pub(super) async fn of_many_rows_are_filled_by_all_connections(mut place: Place) {
    let many = match place.dialect {
        Dialect::Sqlite => {
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2500)"
        }
        Dialect::Postgres => "WITH n(n) AS (SELECT generate_series(1, 2500))",
    };
    let json = r#"'{"attributes":{"Visits":[{"value":' || n || '}]}}'"#;
    let json = match place.dialect {
        Dialect::Sqlite => json.to_owned(),
        Dialect::Postgres => format!("CAST({json} AS jsonb)"),
    };
    deliver(&place.open(), &[event("entities/a", 1, 100, person("x"))]).await;
    place
        .execute(&format!(
            "{many} INSERT INTO golden_record_changes (tenant, subject, commit_time, version, event_id,
              kind, object_type, state, object, observed, received_time)
             SELECT 'acme', 'entities/' || n, n, 1, 'e', 'changed', 'Individual', 'alive', {json},
              false, n FROM n"
        ))
        .await;
    with(&mut place, mapping());
    let warehouses: Vec<Warehouse> = (0..2).map(|_| place.open()).collect();
    let sent =
        warehouses
            .iter()
            .zip(["entities/b", "entities/c"])
            .map(|(warehouse, name)| async move {
                let write = event(name, 1, 100, person("x"));
                super::failures::deliver_in_the_end(warehouse, &[write]).await;
            });
    futures::future::join_all(sent).await;
    let sum = place.one("sum(visits)", "golden_record_history").await;
    assert_eq!(sum, (2500 * 2501 / 2).to_string());
}

pub(super) async fn made_by_hand_are_used(mut place: Place) {
    with(
        &mut place,
        json!({"email": "Email.Email", "it": "It's \\ odd"}),
    );
    let warehouse = place.open();
    if place.dialect == Dialect::Sqlite {
        std::fs::write(place.url.trim_start_matches("sqlite:"), b"").unwrap();
    }
    place
        .execute(&schema_text(place.dialect, &place.columns))
        .await;
    deliver(
        &warehouse,
        &[event("entities/a", 1, 100, golden("a@example.com"))],
    )
    .await;
    assert_eq!(emails(&place, "golden_records_live").await, ["a a"]);
    let source = "goldwire_columns WHERE name = 'it'";
    assert_eq!(place.one("source", source).await, "It's \\ odd");
}

/// Each column that tables and views have themselves is refused as a name by the rules.
#[tokio::test]
async fn names_that_the_tables_have_are_taken() {
    let place = Place::sqlite();
    deliver(&place.open(), &[event("entities/a", 1, 100, person("x"))]).await;
    let tables = ["golden_records", "relations", "golden_record_changes"];
    for table in tables.into_iter().chain(VIEWS) {
        let of = format!("pragma_table_info('{table}')");
        for row in place.rows(&["name"], &of).await {
            let problems = crate::config::with_columns(&json!({ (row[0].clone()): "Email" }));
            assert_eq!(problems.len(), 1, "{row:?} is not taken");
            assert!(problems[0].contains("goldwire's own"), "{problems:?}");
        }
    }
}

/// At most one end for each loser, however long the chain is; a circle has none.
pub(super) async fn merges_are_resolved_to_the_last_survivor(place: Place) {
    let batch = [
        event("entities/a", 1, 100, absorbed("entities/b")),
        event("entities/b", 1, 200, absorbed("entities/c")),
        event("entities/c", 1, 300, absorbed("entities/d")),
        event("entities/x", 1, 100, absorbed("entities/y")),
        event("entities/y", 1, 200, absorbed("entities/x")),
        event("entities/m", 1, 100, absorbed("entities/d")),
        event("entities/m", 2, 200, person("m")),
    ];
    deliver(&place.open(), &batch).await;
    let rows = place.rows(&["loser", "survivor"], "merges_resolved").await;
    let wanted = ["entities/a", "entities/b", "entities/c"].map(|loser| [loser, "entities/d"]);
    assert_eq!(rows, wanted);
}
