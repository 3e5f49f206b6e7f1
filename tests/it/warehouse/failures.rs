//! What fails, for whom, and what is said about it.

use std::collections::BTreeMap;

use goldwire::sink::warehouse::{Dialect, Warehouse, schema_text};
use goldwire::sink::{Effect, Sink as _, SinkError, Write};
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::orders::exact_intervals;
use super::place::{Place, deliver, deliver_all};
use super::{event, person};

pub(super) async fn one_bad_record(place: Place) {
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/first", 1, 1, person("x"))]).await;
    let refuse = match place.dialect {
        Dialect::Sqlite => {
            "CREATE TRIGGER bad BEFORE INSERT ON golden_record_changes
             WHEN NEW.subject LIKE 'entities/bad%'
             BEGIN SELECT RAISE(ABORT, 'a value'); END"
        }
        Dialect::Postgres => {
            "ALTER TABLE golden_record_changes
             ADD CONSTRAINT bad CHECK (subject NOT LIKE 'entities/bad%')"
        }
    };
    place.execute(refuse).await;
    let names: Vec<String> = (0..60)
        .map(|at| match at {
            7 | 31 => format!("entities/bad{at}"),
            _ => format!("entities/{at}"),
        })
        .collect();
    let batch: Vec<_> = names
        .iter()
        .map(|name| event(name, 1, 1, person("secret")))
        .collect();
    let answers = deliver_all(&warehouse, &batch).await;
    for (name, answer) in names.iter().zip(answers) {
        if !name.contains("bad") {
            assert_eq!(answer.unwrap(), Effect::Delivered, "{name}");
            continue;
        }
        let error = answer.unwrap_err();
        assert!(matches!(error, SinkError::Rejected { .. }), "{error}");
        let text = error.to_string();
        assert!(
            !text.contains("secret") && !text.contains("value"),
            "G10: {text}"
        );
    }
    let rows = place.rows(&["subject"], "golden_records").await;
    assert_eq!(rows.len(), 59);
    assert_eq!(
        place
            .rows(&["subject"], "golden_record_history")
            .await
            .len(),
        59
    );
}

pub(super) async fn two_start_at_once(place: Place) {
    let (one, other) = (place.open(), place.open());
    let first = [event("entities/a", 1, 1, person("x"))];
    let second = [event("entities/b", 1, 1, person("x"))];
    tokio::join!(
        deliver_in_the_end(&one, &first),
        deliver_in_the_end(&other, &second)
    );
    deliver(&place.open(), &first).await;
    assert_eq!(place.rows(&["subject"], "golden_records").await.len(), 2);
    assert_eq!(place.one("version", "goldwire_schema").await, "4");
}

pub(super) async fn newer_tables(place: Place) {
    deliver(&place.open(), &[event("entities/a", 1, 1, person("x"))]).await;
    place
        .execute("INSERT INTO goldwire_schema (version, applied_at) VALUES (99, 0)")
        .await;
    let warehouse = place.open();
    let answer = warehouse
        .write_one(&event("entities/b", 1, 1, person("x")))
        .await;
    let error = answer.unwrap_err();
    assert!(matches!(error, SinkError::Systemic { .. }), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("version 99"), "{sentences:?}");
    assert_eq!(place.rows(&["subject"], "golden_records").await.len(), 1);
}

pub(super) async fn tables_made_by_hand(place: Place) {
    let warehouse = place.open();
    assert!(
        warehouse.probe().await.is_empty(),
        "nothing is there yet, and may be made"
    );
    if place.dialect == Dialect::Sqlite {
        let path = place.url.trim_start_matches("sqlite:");
        assert!(
            !std::path::Path::new(path).exists(),
            "a probe makes nothing"
        );
        std::fs::write(path, b"").unwrap();
    }
    place
        .execute(&schema_text(place.dialect, &BTreeMap::new()))
        .await;
    assert!(warehouse.probe().await.is_empty());
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    assert_eq!(place.one("label", "golden_records_live").await, "x");
}

pub(super) async fn a_missing_table(place: Place) {
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    place
        .execute("ALTER TABLE golden_record_changes RENAME TO elsewhere")
        .await;
    let answer = warehouse
        .write_one(&event("entities/a", 2, 2, person("y")))
        .await;
    let error = answer.unwrap_err();
    assert!(matches!(error, SinkError::Systemic { .. }), "{error}");
    assert!(
        error.to_string().contains("goldwire schema warehouse"),
        "{error}"
    );
    place
        .execute("ALTER TABLE elsewhere RENAME TO golden_record_changes")
        .await;
    deliver(&warehouse, &[event("entities/a", 2, 2, person("y"))]).await;
    assert_eq!(
        place
            .rows(&["subject"], "golden_record_history")
            .await
            .len(),
        2
    );
}

/// A lane that was cut short delivers again while its first delivery is still under way.
pub(super) async fn a_subject_twice(place: Place) {
    let warehouse = place.open();
    let batch: Vec<_> = (1..=40)
        .map(|version| event("entities/a", version, version, person("x")))
        .collect();
    for answer in deliver_all(&warehouse, &batch).await {
        answer.unwrap();
    }
    let current = "golden_record_history WHERE is_current";
    assert_eq!(place.one("version", current).await, "40");
    assert_eq!(place.one("version", "golden_records").await, "40");
    assert_eq!(
        place
            .rows(&["version"], "golden_record_history")
            .await
            .len(),
        40
    );
}

/// As the engine does: what may be tried again is. SQLite refuses a second process that turns on
/// its journal in the same moment.
pub(super) async fn deliver_in_the_end(warehouse: &Warehouse, deliveries: &[Write]) {
    let sent = deliveries.iter().map(|delivery| async {
        while let Err(error) = warehouse.write_one(delivery).await {
            assert!(matches!(error, SinkError::Retryable { .. }), "{error}");
        }
    });
    futures::future::join_all(sent).await;
}

/// A process that was taken for dead writes beside its successor.
pub(super) async fn two_writers(place: Place) {
    let (one, other) = (place.open(), place.open());
    let half = |rest: i64| {
        let versions = (1..=30_i64).filter(move |version| version % 2 == rest);
        let names = ["entities/a", "entities/b", "entities/c"];
        let each = move |version| names.map(|name| event(name, version, version, person("x")));
        versions.flat_map(each).collect::<Vec<_>>()
    };
    let (even, odd) = (half(0), half(1));
    tokio::join!(
        deliver_in_the_end(&one, &even),
        deliver_in_the_end(&other, &odd)
    );
    exact_intervals(&place).await;
    assert_eq!(
        place.rows(&["version"], "golden_records").await,
        [["30"], ["30"], ["30"]]
    );
    assert_eq!(
        place
            .rows(&["version"], "golden_record_history")
            .await
            .len(),
        90
    );
}

pub(super) async fn a_locked_database(mut place: Place) {
    place.statement_timeout = "2s";
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    let next = event("entities/a", 2, 2, person("y"));
    let error = match place.dialect {
        Dialect::Sqlite => {
            let mut link = SqliteConnection::connect(&place.url).await.unwrap();
            sqlx::raw_sql("BEGIN IMMEDIATE")
                .execute(&mut link)
                .await
                .unwrap();
            let error = warehouse.write_one(&next).await.unwrap_err();
            link.close().await.unwrap();
            error
        }
        Dialect::Postgres => {
            let mut link = PgConnection::connect(&place.url).await.unwrap();
            let lock = "BEGIN; LOCK TABLE golden_records IN ACCESS EXCLUSIVE MODE";
            sqlx::raw_sql(lock).execute(&mut link).await.unwrap();
            let error = warehouse.write_one(&next).await.unwrap_err();
            link.close().await.unwrap();
            error
        }
    };
    let SinkError::Retryable {
        outage: true,
        ambiguous: false,
        ..
    } = error
    else {
        panic!("{error:?}");
    };
    deliver(&warehouse, &[next]).await;
    assert_eq!(place.one("label", "golden_records").await, "y");
}
