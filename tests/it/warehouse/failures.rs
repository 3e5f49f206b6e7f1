//! What fails, for whom, and what is said about it.

use std::sync::Arc;

use goldwire::config::Secret;
use goldwire::event::Kind;
use goldwire::sink::warehouse::{Dialect, Warehouse, schema_text};
use goldwire::sink::{Effect, Sink as _, SinkError};
use goldwire::telemetry::Metrics;
use sqlx::{Connection as _, PgConnection, SqliteConnection};
use tokio::net::TcpListener;

use super::place::{Place, deliver, deliver_all};
use super::{event, person, subject};

pub(super) async fn one_bad_record(place: Place) {
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/first", 1, 1, person("x"))]).await;
    let refuse = match place.dialect {
        Dialect::Sqlite => {
            "CREATE TRIGGER bad BEFORE INSERT ON golden_record_history
             WHEN NEW.subject LIKE 'entities/bad%'
             BEGIN SELECT RAISE(ABORT, 'a value'); END"
        }
        Dialect::Postgres => {
            "ALTER TABLE golden_record_history
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
    let batch: Vec<_> = names.iter().map(|name| event(name, 1, 1, person("secret"))).collect();
    let answers = deliver_all(&warehouse, &batch).await;
    for (name, answer) in names.iter().zip(answers) {
        if !name.contains("bad") {
            assert_eq!(answer.unwrap(), Effect::Delivered, "{name}");
            continue;
        }
        let error = answer.unwrap_err();
        assert!(matches!(error, SinkError::Rejected { .. }), "{error}");
        let text = error.to_string();
        assert!(!text.contains("secret") && !text.contains("value"), "G10: {text}");
    }
    let rows = place.rows(&["subject"], "golden_records").await;
    assert_eq!(rows.len(), 59);
    assert_eq!(place.rows(&["subject"], "golden_record_history").await.len(), 59);
}

pub(super) async fn two_start_at_once(place: Place) {
    let (one, other) = (place.open(), place.open());
    let first = [event("entities/a", 1, 1, person("x"))];
    let second = [event("entities/b", 1, 1, person("x"))];
    let answers = tokio::join!(deliver_all(&one, &first), deliver_all(&other, &second));
    for answer in answers.0.into_iter().chain(answers.1) {
        answer.unwrap();
    }
    deliver(&place.open(), &first).await;
    assert_eq!(place.rows(&["subject"], "golden_records").await.len(), 2);
    assert_eq!(place.one("version", "goldwire_schema").await, "1");
}

pub(super) async fn newer_tables(place: Place) {
    deliver(&place.open(), &[event("entities/a", 1, 1, person("x"))]).await;
    place.execute("INSERT INTO goldwire_schema (version, applied_at) VALUES (99, 0)").await;
    let warehouse = place.open();
    let answer = warehouse.deliver(&event("entities/b", 1, 1, person("x"))).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, SinkError::Systemic { .. }), "{error}");
    assert!(error.to_string().contains("version 99"), "{error}");
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("version 99"), "{sentences:?}");
    assert_eq!(place.rows(&["subject"], "golden_records").await.len(), 1);
}

pub(super) async fn tables_made_by_hand(place: Place) {
    let warehouse = place.open();
    assert!(warehouse.probe().await.is_empty(), "nothing is there yet, and may be made");
    if place.dialect == Dialect::Sqlite {
        let path = place.url.trim_start_matches("sqlite:");
        assert!(!std::path::Path::new(path).exists(), "a probe makes nothing");
        std::fs::write(path, b"").unwrap();
    }
    place.execute(&schema_text(place.dialect)).await;
    assert!(warehouse.probe().await.is_empty());
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    assert_eq!(place.one("label", "golden_records_live").await, "x");
}

pub(super) async fn a_missing_table(place: Place) {
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    place.execute("ALTER TABLE golden_record_history RENAME TO elsewhere").await;
    let answer = warehouse.deliver(&event("entities/a", 2, 2, person("y"))).await;
    let error = answer.unwrap_err();
    assert!(matches!(error, SinkError::Systemic { .. }), "{error}");
    assert!(error.to_string().contains("goldwire schema warehouse"), "{error}");
    place.execute("ALTER TABLE elsewhere RENAME TO golden_record_history").await;
    deliver(&warehouse, &[event("entities/a", 2, 2, person("y"))]).await;
    assert_eq!(place.rows(&["subject"], "golden_record_history").await.len(), 2);
}

/// A lane that was cut short delivers again while its first delivery is still under way.
pub(super) async fn a_subject_twice(place: Place) {
    let warehouse = place.open();
    let batch: Vec<_> =
        (1..=40).map(|version| event("entities/a", version, version, person("x"))).collect();
    for answer in deliver_all(&warehouse, &batch).await {
        answer.unwrap();
    }
    let current = "golden_record_history WHERE is_current";
    assert_eq!(place.one("version", current).await, "40");
    assert_eq!(place.one("version", "golden_records").await, "40");
    assert_eq!(place.rows(&["version"], "golden_record_history").await.len(), 40);
}

pub(super) async fn a_locked_database(mut place: Place) {
    place.statement_timeout = "200ms";
    let warehouse = place.open();
    deliver(&warehouse, &[event("entities/a", 1, 1, person("x"))]).await;
    let next = event("entities/a", 2, 2, person("y"));
    let error = match place.dialect {
        Dialect::Sqlite => {
            let mut link = SqliteConnection::connect(&place.url).await.unwrap();
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut link).await.unwrap();
            let error = warehouse.deliver(&next).await.unwrap_err();
            link.close().await.unwrap();
            error
        }
        Dialect::Postgres => {
            let mut link = PgConnection::connect(&place.url).await.unwrap();
            let lock = "BEGIN; LOCK TABLE golden_records IN ACCESS EXCLUSIVE MODE";
            sqlx::raw_sql(lock).execute(&mut link).await.unwrap();
            let error = warehouse.deliver(&next).await.unwrap_err();
            link.close().await.unwrap();
            error
        }
    };
    let SinkError::Retryable { outage: true, ambiguous: false, .. } = error else {
        panic!("{error:?}");
    };
    deliver(&warehouse, &[next]).await;
    assert_eq!(place.one("label", "golden_records").await, "y");
}

fn postgres_at(url: String) -> Warehouse {
    let mut place = Place::sqlite();
    place.statement_timeout = "200ms";
    let mut config = place.config();
    config.url = Secret::new(url);
    Warehouse::open("analytics", &config, Arc::new(Metrics::noop())).unwrap()
}

#[tokio::test]
async fn g6_a_server_that_accepts_and_never_answers_is_an_outage_within_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let warehouse = postgres_at(format!("postgres://me:hunter2@127.0.0.1:{port}/db"));
    let hung = tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            kept.push(stream);
        }
    });
    let delivery = event("entities/a", 1, 1, person("x"));
    let error = warehouse.deliver(&delivery).await.unwrap_err();
    let SinkError::Retryable { code, ambiguous: false, outage: true } = error else {
        panic!("{error:?}");
    };
    assert_eq!(code, "statement_timeout");
    let sentences = warehouse.probe().await;
    assert_eq!(sentences.len(), 1);
    assert!(!sentences[0].contains("hunter2"), "G10: {sentences:?}");
    hung.abort();
}

#[tokio::test]
async fn a_database_that_is_away_is_no_error_at_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let warehouse = postgres_at(format!("postgres://me:hunter2@127.0.0.1:{port}/db"));
    let error = warehouse.deliver(&event("entities/a", 1, 1, person("x"))).await.unwrap_err();
    assert!(matches!(error, SinkError::Retryable { outage: true, .. }), "{error:?}");
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("url"), "{sentences:?}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told_by_the_probe_and_halts_a_delivery() {
    let mut place = Place::sqlite();
    place.url = place.url.replace("w.db", "nowhere/w.db");
    let warehouse = place.open();
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("does not exist"), "{sentences:?}");
    let error = warehouse.deliver(&event("entities/a", 1, 1, person("x"))).await.unwrap_err();
    assert!(matches!(error, SinkError::Systemic { .. }), "{error:?}");
}

#[tokio::test]
async fn types_and_kinds_are_wanted_in_either_vocabulary() {
    let place = Place::sqlite();
    let mut config = place.config();
    config.event_types = vec!["MERGE".to_owned(), "*_CHANGED".to_owned()];
    config.object_types = vec!["Indiv*".to_owned()];
    let warehouse = Warehouse::open("w", &config, Arc::new(Metrics::noop())).unwrap();
    let (entity, relation) = (subject("entities/a"), subject("relations/r"));
    assert!(warehouse.wants(&entity, "Individual", Kind::Absorbed));
    assert!(warehouse.wants(&entity, "", Kind::Changed));
    assert!(warehouse.wants(&relation, "", Kind::Changed));
    assert!(!warehouse.wants(&entity, "Individual", Kind::Created));
    assert!(!warehouse.wants(&entity, "Organization", Kind::Changed));
    assert!(warehouse.wants(&entity, "Organization", Kind::Erased));
}
