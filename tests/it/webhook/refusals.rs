//! What the log and the sender are told of a request that is refused.

use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use tracing::Level;

use super::bench::{Bench, NOW, STANDARD_SECRET, listener, reltio, signed, source};
use crate::logged::Logged;

async fn post(bench: &Bench, path: &str, head: &[(&str, String)]) -> u16 {
    let request = bench.client.post(bench.url(path)).body("{}");
    let request = head.iter().fold(request, |request, (name, value)| {
        request.header(*name, value)
    });
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn g10_the_log_says_which_header_was_missing_stale_or_wrong_once_for_each_reason() {
    let logged = Logged::down_to(Level::INFO);
    let mut standard = source(SignatureScheme::Standard);
    standard.bearer = Some(Secret::new("the-token"));
    let sources = vec![("crm".to_owned(), standard), ("old".to_owned(), reltio())];
    let bench = Bench::start(&listener(), sources).await.unwrap();
    let head = |now, secret, bearer: &str| {
        let mut head = signed(SignatureScheme::Standard, secret, now, b"{}");
        head.push(("authorization", format!("Bearer {bearer}")));
        head
    };
    let good = || head(NOW, STANDARD_SECRET, "the-token");
    let without =
        |name: &str| -> Vec<_> { good().into_iter().filter(|(key, _)| *key != name).collect() };
    let with = |name: &str, value: &str| {
        let mut head = without(name);
        head.push((
            good().iter().find(|(key, _)| *key == name).unwrap().0,
            value.to_owned(),
        ));
        head
    };
    let another = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (head, told) in [
        (without("webhook-id"), "the header webhook-id is missing"),
        (
            without("webhook-timestamp"),
            "the header webhook-timestamp is missing",
        ),
        (
            without("webhook-signature"),
            "the header webhook-signature is missing",
        ),
        (
            without("authorization"),
            "the header authorization is missing",
        ),
        (
            with("webhook-timestamp", "soon"),
            "the header webhook-timestamp does not hold",
        ),
        (
            with("webhook-signature", "v2,abc"),
            "the header webhook-signature does not hold",
        ),
        (
            head(NOW - 420_000, STANDARD_SECRET, "the-token"),
            "webhook-timestamp is 420 s behind this host's clock",
        ),
        (
            head(NOW, another, "the-token"),
            "webhook-signature is of none of the live secrets",
        ),
        (
            head(NOW, STANDARD_SECRET, "guessed"),
            "the token in authorization is not `bearer`",
        ),
    ] {
        for _ in 0..5 {
            assert_eq!(post(&bench, "/standard", &head).await, 401, "{told}");
        }
        let text = logged.text();
        let lines: Vec<_> = text.lines().filter(|line| line.contains(told)).collect();
        assert_eq!(lines.len(), 1, "{told}: {text}");
        assert!(lines[0].contains("source=\"crm\"") && lines[0].contains("code=401"));
    }
    assert_eq!(post(&bench, "/reltio-webhook", &[]).await, 401);
    let told = "the header x-reltio-signature is missing";
    assert!(logged.text().contains(told), "{}", logged.text());
    assert_eq!(post(&bench, "/standard", &good()).await, 200);
    let text = logged.text();
    for private in ["the-token", "guessed", another, STANDARD_SECRET, "v2,abc"] {
        assert!(!text.contains(private), "{private} is logged");
    }
}

#[tokio::test]
async fn the_three_headers_are_taken_by_the_names_of_svix_too_and_never_some_of_each() {
    let bench = Bench::with(source(SignatureScheme::Standard)).await;
    let standard = signed(SignatureScheme::Standard, STANDARD_SECRET, NOW, b"{}");
    let svix = |name: &str| match name {
        "webhook-id" => "svix-id",
        "webhook-timestamp" => "svix-timestamp",
        _ => "svix-signature",
    };
    let renamed: Vec<_> = standard
        .iter()
        .map(|(name, value)| (svix(name), value.clone()))
        .collect();
    assert_eq!(post(&bench, "/standard", &renamed).await, 200);
    let record = bench.records().await.remove(0);
    assert_eq!(record.origin.unwrap().message_id, standard[0].1);
    let mixed = [standard[0].clone(), renamed[1].clone(), renamed[2].clone()];
    assert_eq!(post(&bench, "/standard", &mixed).await, 401);
}

#[tokio::test]
async fn the_sender_is_told_what_it_may_know_and_the_log_what_to_do() {
    let logged = Logged::down_to(Level::INFO);
    let bench = Bench::with(reltio()).await;
    let large = "x".repeat(2 << 20);
    let url = bench.url("/reltio-webhook");
    for (request, code, told, in_the_log) in [
        (bench.client.get(&url), 405, "POST", "no POST"),
        (
            bench.client.post(bench.url("/else")),
            404,
            "no endpoint",
            "",
        ),
        (
            bench.client.post(&url).body(large),
            413,
            "larger",
            "max_body",
        ),
        (
            bench.lawful("{}").header("content-encoding", "br"),
            415,
            "gzip",
            "neither gzip nor deflate",
        ),
        (
            bench.lawful("{}").header("content-encoding", "gzip"),
            400,
            "Content-Encoding",
            "is not what Content-Encoding says",
        ),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), code);
        let said = answer.text().await.unwrap();
        assert!(said.contains(told), "{code}: {said}");
        assert!(logged.text().contains(in_the_log), "{}", logged.text());
    }
}
