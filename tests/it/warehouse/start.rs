//! What the sink does while there is no database, and what it wants.

use std::sync::Arc;

use goldwire::config::Secret;
use goldwire::event::Kind;
use goldwire::sink::warehouse::Warehouse;
use goldwire::sink::{Sink as _, SinkError};
use goldwire::telemetry::Metrics;
use tokio::net::TcpListener;

use super::place::Place;
use super::{event, person, subject};

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
    let error = warehouse.write_one(&delivery).await.unwrap_err();
    let SinkError::Retryable {
        code,
        ambiguous: false,
        outage: true,
    } = error
    else {
        panic!("{error:?}");
    };
    assert_eq!(code, "connect_timeout");
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
    let error = warehouse
        .write_one(&event("entities/a", 1, 1, person("x")))
        .await
        .unwrap_err();
    assert!(
        matches!(error, SinkError::Retryable { outage: true, .. }),
        "{error:?}"
    );
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("url"), "{sentences:?}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_told_by_the_probe_and_halts_a_delivery() {
    let mut place = Place::sqlite();
    place.url = place.url.replace("w.db", "file/w.db");
    let (_, path) = place.url.split_once(':').unwrap();
    std::fs::write(path.trim_end_matches("/w.db"), b"").unwrap();
    let warehouse = place.open();
    let sentences = warehouse.probe().await;
    assert!(sentences[0].contains("cannot be made"), "{sentences:?}");
    let error = warehouse
        .write_one(&event("entities/a", 1, 1, person("x")))
        .await
        .unwrap_err();
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
    assert!(warehouse.accepts(&entity, "Individual", Kind::Absorbed));
    assert!(warehouse.accepts(&entity, "", Kind::Changed));
    assert!(warehouse.accepts(&relation, "", Kind::Changed));
    assert!(!warehouse.accepts(&entity, "Individual", Kind::Created));
    assert!(!warehouse.accepts(&entity, "Organization", Kind::Changed));
    assert!(warehouse.accepts(&entity, "Organization", Kind::Erased));
}
