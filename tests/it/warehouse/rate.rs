//! How many events a second. Prints, and asserts nothing about time.

use futures::StreamExt as _;
use goldwire::sink::Sink as _;
use serde_json::json;

use super::place::Place;
use super::{event, snapshot};

const EVENTS: i64 = 100_000;

async fn rate(place: Place) -> String {
    let mut config = place.config();
    config.batch = 500;
    config.linger = "5ms".into();
    let metrics = std::sync::Arc::new(goldwire::telemetry::Metrics::noop());
    let warehouse = goldwire::sink::warehouse::Warehouse::open("w", &config, metrics).unwrap();
    let filler = "x".repeat(1200);
    let started = tokio::time::Instant::now();
    let sent = futures::stream::iter(0..EVENTS).map(|at| {
        let name = format!("entities/{}", at % 30_000);
        let object = snapshot(&json!({"type": "t/Individual", "label": "x", "attributes": filler}));
        let delivery = event(&name, at / 30_000 + 1, 1_700_000_000_000 + at, object);
        let warehouse = &warehouse;
        async move { warehouse.deliver(&delivery).await.unwrap() }
    });
    sent.buffer_unordered(2000).for_each(|_| async {}).await;
    let said = format!(
        "{}: {EVENTS} events in {:?}",
        place.dialect,
        started.elapsed()
    );
    assert_eq!(
        place.one("count(*)", "golden_record_history").await,
        EVENTS.to_string()
    );
    assert_eq!(place.one("count(*)", "golden_records").await, "30000");
    said
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a while; prints a rate"]
async fn rate_on_sqlite() {
    println!("{}", rate(Place::sqlite()).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs GOLDWIRE_TEST_POSTGRES"]
async fn rate_on_postgres() {
    println!("{}", rate(Place::postgres().await).await);
}
