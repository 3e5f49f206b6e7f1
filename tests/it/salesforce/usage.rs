//! The org's API calls, which the sink shares with everybody else.

use goldwire::sink::SinkError;
use loadtest::fake_salesforce::Settings;
use serde_json::json;

use super::bench::{bench, bench_with, contact, golden};
use super::faults::many;

#[tokio::test]
async fn the_sink_pauses_before_the_org_is_empty_for_everybody_else() {
    let bench = bench().await;
    bench.org.set_others_usage(95_000);
    let ada = golden("entities/a", "Ada", &[]);
    bench.lives(&ada, 1).await.unwrap();
    let calls = bench.org.requests();
    let paused = bench.lives(&golden("entities/b", "Bob", &[]), 1).await;
    assert!(
        matches!(&paused, Err(SinkError::Throttled { code, .. }) if code == "daily_reserve"),
        "{paused:?}"
    );
    assert_eq!(bench.org.requests(), calls, "it asks nothing");
}

#[tokio::test]
async fn the_sink_s_own_calls_end_at_its_share() {
    let settings = Settings {
        daily_calls: 100,
        ..Settings::of(vec![contact()])
    };
    let bench = bench_with(settings, |config| config["daily_share"] = json!(0.2)).await;
    let mut answers = Vec::new();
    for n in 0..40 {
        answers.extend(many(&bench, n, n + 1).await);
    }
    let paused = |answer: &Result<_, SinkError>| matches!(answer, Err(SinkError::Throttled { code, .. }) if code == "daily_share");
    assert!(
        answers[0].is_ok() && answers.last().is_some_and(paused),
        "{answers:?}"
    );
    assert!(bench.org.requests() <= 20, "{}", bench.org.requests());
}
