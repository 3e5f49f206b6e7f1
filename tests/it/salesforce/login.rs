//! Ways to log in.

use goldwire::sink::{Sink as _, SinkError};
use loadtest::fake_salesforce::{JWT_KEY, JWT_USER, Settings};
use serde_json::{Value, json};

use super::bench::{bench_with, contact, golden};

fn by_key(user: &str, key: &str) -> impl FnOnce(&mut Value) {
    let jwt = json!({ "username": user, "private_key": key });
    move |config: &mut Value| {
        config.as_object_mut().unwrap().remove("client_secret");
        config["jwt"] = jwt;
    }
}

#[tokio::test]
async fn a_signed_assertion_logs_in_without_a_secret() {
    let written_out = JWT_KEY.replace('\n', "\\n");
    for key in [JWT_KEY, &written_out] {
        let bench = bench_with(Settings::of(vec![contact()]), by_key(JWT_USER, key)).await;
        bench
            .lives(&golden("entities/a", "Ada", &[]), 1)
            .await
            .unwrap();
        assert_eq!(bench.contacts().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_assertion_halts_with_what_to_check_and_shows_no_key() {
    let change = by_key("somebody@example.com", JWT_KEY);
    let bench = bench_with(Settings::of(vec![contact()]), change).await;
    let halted = bench.lives(&golden("entities/a", "Ada", &[]), 1).await;
    let Err(SinkError::Systemic { code, remedy }) = &halted else {
        panic!("{halted:?}")
    };
    assert_eq!(code, "token_invalid_grant");
    assert!(
        remedy.contains("jwt.username") && remedy.contains("clock"),
        "{remedy}"
    );
    let shown = format!("{:?} {:?}", bench.sink, bench.sink.probe().await);
    assert!(!shown.contains("PRIVATE KEY"), "G10");
}
