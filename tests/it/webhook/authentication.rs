//! Who is believed.

use std::sync::atomic::Ordering;

use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use reqwest::StatusCode;

use super::bench::{Bench, NOW, RELTIO_SECRET, STANDARD_SECRET, listener, reltio, signed, source};

async fn post(bench: &Bench, path: &str, head: &[(&str, String)], body: &str) -> StatusCode {
    let request = bench.client.post(bench.url(path)).body(body.to_owned());
    let request = head.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn the_published_examples_of_both_schemes_are_taken_over_the_wire() {
    let sources = vec![
        ("a".to_owned(), reltio()),
        ("b".to_owned(), source(SignatureScheme::Standard)),
    ];
    let bench = Bench::start(&listener(), sources).await.unwrap();
    let tag = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let head = [("X-Reltio-Signature", format!("sha256={tag}"))];
    assert_eq!(
        post(&bench, "/reltio-webhook", &head, "Hello, World!").await,
        200
    );
    let head = [
        ("webhook-id", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned()),
        ("webhook-timestamp", "1649367553".to_owned()),
        (
            "webhook-signature",
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=".to_owned(),
        ),
    ];
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    assert_eq!(post(&bench, "/standard", &head, body).await, 200);
    let records = bench.records().await;
    assert_eq!(records[0].body, "Hello, World!");
    assert_eq!(records[1].body, body);
    let origin = records[1].origin.as_ref().unwrap();
    assert_eq!(origin.message_id, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk");
    assert_eq!(
        (origin.source.as_str(), origin.topic.as_str()),
        ("b", "/standard")
    );
}

#[tokio::test]
async fn the_inbox_keeps_the_time_and_the_headers_that_decoding_reads_and_no_secret() {
    let mut source = reltio();
    source.bearer = Some(Secret::new("token"));
    let bench = Bench::with(source).await;
    let answer = bench
        .lawful("{}")
        .header("Authorization", "Bearer token")
        .header("tenantId", "t1")
        .header("objectVersion", "7")
        .header("ce-sourceobjecturi", "entities%2Fa")
        .header("Ce-Id", "A234")
        .header("ce-specversion", "1.0")
        .header("X-Goog-Pubsub-Message-Id", "20")
        .header("Content-Type", "application/json")
        .header("Cookie", "c")
        .send();
    assert_eq!(answer.await.unwrap().status(), 200);
    let record = bench.records().await.remove(0);
    let mut kept: Vec<_> = record
        .headers
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    kept.sort();
    let expected = [
        "ce_id=A234",
        "ce_sourceobjecturi=entities/a",
        "objectversion=7",
        "tenantid=t1",
        "x-goog-pubsub-message-id=20",
    ];
    assert_eq!(kept, expected);
    assert_eq!((record.source.as_str(), record.received_time), ("crm", NOW));
}

#[tokio::test]
async fn every_live_secret_is_taken_while_they_are_rotated() {
    let mut source = reltio();
    source.secrets = vec![Secret::new("new"), Secret::new("old")];
    let bench = Bench::with(source).await;
    for (secret, code) in [("new", 200), ("old", 200), ("older", 401)] {
        let head = signed(SignatureScheme::Reltio, secret, NOW, b"{}");
        assert_eq!(
            post(&bench, "/reltio-webhook", &head, "{}").await,
            code,
            "{secret}"
        );
    }
    assert_eq!(bench.records().await.len(), 2);
}

#[tokio::test]
async fn a_lawful_redelivery_is_answered_200_again() {
    let bench = Bench::with(reltio()).await;
    for _ in 0..2 {
        assert_eq!(bench.lawful("{}").send().await.unwrap().status(), 200);
    }
    assert_eq!(bench.records().await.len(), 2);
}

#[tokio::test]
async fn the_window_ends_five_minutes_before_and_after_the_clock() {
    let bench = Bench::with(source(SignatureScheme::Standard)).await;
    let head = signed(SignatureScheme::Standard, STANDARD_SECRET, NOW, b"{}");
    let edges = [
        (-300_000, 200),
        (300_000, 200),
        (-301_000, 401),
        (301_000, 401),
    ];
    for (away, code) in edges {
        bench.clock.0.store(NOW + away, Ordering::SeqCst);
        assert_eq!(
            post(&bench, "/standard", &head, "{}").await,
            code,
            "{away} ms"
        );
    }
}

/// G10: the answer does not say what was wrong.
#[tokio::test]
async fn every_refusal_of_authentication_is_the_same_to_the_byte() {
    let mut source = source(SignatureScheme::Standard);
    source.bearer = Some(Secret::new("token"));
    let bench = Bench::with(source).await;
    let head = |now, secret, bearer: &str| {
        let mut head = signed(SignatureScheme::Standard, secret, now, b"{}");
        head.push(("authorization", format!("Bearer {bearer}")));
        head
    };
    let good = head(NOW, STANDARD_SECRET, "token");
    let another = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let without = |name: &str| {
        good.iter()
            .filter(|(key, _)| *key != name)
            .cloned()
            .collect()
    };
    let wrong: Vec<Vec<(&str, String)>> = vec![
        Vec::new(),
        without("webhook-signature"),
        without("webhook-timestamp"),
        without("authorization"),
        head(NOW, another, "token"),
        head(NOW, STANDARD_SECRET, "tokem"),
        head(NOW - 301_000, STANDARD_SECRET, "token"),
        head(NOW + 301_000, STANDARD_SECRET, "token"),
    ];
    let mut answers = Vec::new();
    for head in wrong {
        let head = head
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let head = head.collect::<Vec<_>>().concat();
        let request = format!(
            "POST /standard HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{head}content-length: 2\r\n\r\n{{}}"
        );
        let answer = bench.raw(request.as_bytes()).await;
        let lines = answer.split_inclusive("\r\n");
        answers.push(
            lines
                .filter(|line| !line.starts_with("date:"))
                .collect::<String>(),
        );
    }
    assert!(answers[0].starts_with("HTTP/1.1 401 "), "{}", answers[0]);
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:#?}"
    );
    assert_eq!(post(&bench, "/standard", &good, "{}").await, 200);
    let count = |authenticated: &str, code: &str| {
        let labels = ("crm".to_owned(), authenticated.to_owned(), code.to_owned());
        bench.counted()[&labels].clone()
    };
    assert_eq!(
        (count("false", "401"), count("true", "200")),
        ("8".to_owned(), "1".to_owned())
    );
    assert_eq!(bench.records().await.len(), 1);
}

#[tokio::test]
async fn the_signature_is_over_the_raw_bytes() {
    let bench = Bench::with(reltio()).await;
    let head = signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, br#"{"a":1}"#);
    assert_eq!(
        post(&bench, "/reltio-webhook", &head, r#"{"a": 1}"#).await,
        401
    );
    let head = signed(
        SignatureScheme::Reltio,
        RELTIO_SECRET,
        NOW,
        b"\xff\x00no json",
    );
    let request = bench
        .client
        .post(bench.url("/reltio-webhook"))
        .body(&b"\xff\x00no json"[..]);
    let answer = request.header(head[0].0, &head[0].1).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}
