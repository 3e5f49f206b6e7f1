//! How bytes get there: TLS, clear text by name only, and the way out.

use std::sync::Arc;
use std::time::Duration;

use goldwire::config::Secret;
use goldwire::tls::Tls;
use goldwire::webhook::SignatureScheme;

use super::bench::{Bench, NOW, RELTIO_SECRET, client, listener, reltio, signed, source, until};
use crate::logged::Logged;

#[tokio::test]
async fn clear_text_is_refused_unless_it_is_asked_for_by_name() {
    let mut listener = listener();
    listener.insecure_plain_http = false;
    let why = Bench::start(&listener, Vec::new())
        .await
        .unwrap_err()
        .to_string();
    for key in [
        "webhook.tls",
        "webhook.trusted_proxy",
        "webhook.insecure_plain_http",
    ] {
        assert!(why.contains(key), "{why}");
    }
    listener.trusted_proxy = Some("10.1.2.3".into());
    assert!(Bench::start(&listener, Vec::new()).await.is_ok());
}

#[tokio::test]
async fn in_clear_text_nobody_but_the_proxy_is_let_in() {
    let mut listener = listener();
    listener.insecure_plain_http = false;
    for (proxy, status) in [("10.0.0.0/8", 403), ("127.0.0.1", 200)] {
        listener.trusted_proxy = Some(proxy.into());
        let sources = vec![("crm".to_owned(), reltio())];
        let bench = Bench::start(&listener, sources).await.unwrap();
        let request = bench.lawful("{}").header("X-Forwarded-For", "10.0.0.1");
        assert_eq!(request.send().await.unwrap().status(), status, "{proxy}");
        assert_eq!(bench.records().await.len(), usize::from(status == 200));
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_with_the_key_that_is_wrong() {
    let mut plain = source(SignatureScheme::Standard);
    plain.secrets = vec![Secret::new("not-of-this-scheme")];
    let why = Bench::start(&listener(), vec![("crm".to_owned(), plain)])
        .await
        .unwrap_err();
    let why = why.to_string();
    assert!(
        why.starts_with("sources.crm.webhook.secrets[0]: ") && !why.contains("not-of-this-scheme")
    );
    let twice = vec![("a".to_owned(), reltio()), ("b".to_owned(), reltio())];
    let why = Bench::start(&listener(), twice)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("sources.b.webhook.path: found /reltio-webhook"),
        "{why}"
    );
    let mut taken = listener();
    let first = Bench::start(&taken, Vec::new()).await.unwrap();
    taken.address = first.handle.address();
    let why = Bench::start(&taken, Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        why.starts_with("webhook.address: cannot listen on "),
        "{why}"
    );
}

#[tokio::test]
async fn tls_carries_http_1_and_2() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let tls = Tls {
        cert_file: folder.path().join("cert.pem"),
        key_file: folder.path().join("key.pem"),
    };
    let mut listener = listener();
    listener.insecure_plain_http = false;
    listener.tls = Some(tls.clone());
    let why = Bench::start(&listener, Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(why.starts_with("webhook.tls.cert_file: "), "{why}");
    std::fs::write(&tls.cert_file, made.cert.pem()).unwrap();
    std::fs::write(&tls.key_file, "no key").unwrap();
    let why = Bench::start(&listener, Vec::new())
        .await
        .unwrap_err()
        .to_string();
    assert!(why.starts_with("webhook.tls.key_file: ") && why.ends_with("give the key as PEM"));
    std::fs::write(&tls.key_file, made.signing_key.serialize_pem()).unwrap();
    let bench = Bench::start(&listener, vec![("crm".to_owned(), reltio())])
        .await
        .unwrap();
    let trusted = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let url = format!(
        "https://localhost:{}/reltio-webhook",
        bench.handle.address().port()
    );
    let signature = &signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, b"{}")[0];
    let versions = [
        (client(), reqwest::Version::HTTP_2),
        (client().http1_only(), reqwest::Version::HTTP_11),
    ];
    for (client, version) in versions {
        let client = client.tls_certs_only([trusted.clone()]).build().unwrap();
        let request = client
            .post(&url)
            .header(signature.0, &signature.1)
            .body("{}");
        let answer = request.send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    assert_eq!(bench.records().await.len(), 2);
    assert!(
        bench.lawful("{}").send().await.is_err(),
        "clear text at the TLS port"
    );
}

#[tokio::test]
async fn a_stop_lets_nobody_in_and_finishes_what_is_under_way() {
    let bench = Bench::with(reltio()).await;
    bench.inbox.stalled.send_replace(true);
    let late = tokio::spawn(bench.lawful("{}").send());
    let (inbox, address) = (Arc::clone(&bench.inbox), bench.handle.address());
    until("the append", || {
        inbox.begun.load(std::sync::atomic::Ordering::SeqCst) == 1
    })
    .await;
    let stop = tokio::spawn(bench.handle.shutdown(Duration::from_secs(10)));
    let refused = async { while tokio::net::TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(10), refused)
        .await
        .expect("the door is shut");
    inbox.stalled.send_replace(false);
    assert_eq!(late.await.unwrap().unwrap().status(), 200);
    stop.await.unwrap();
}

#[tokio::test]
async fn a_stop_ends_at_its_deadline_whatever_hangs() {
    let bench = Bench::with(reltio()).await;
    bench.inbox.stalled.send_replace(true);
    let late = tokio::spawn(bench.lawful("{}").send());
    let inbox = Arc::clone(&bench.inbox);
    until("the append", || {
        inbox.begun.load(std::sync::atomic::Ordering::SeqCst) == 1
    })
    .await;
    bench.handle.shutdown(Duration::from_millis(100)).await;
    assert!(late.await.unwrap().is_err());
}

/// G10, with everything logged that there is to log.
#[tokio::test]
async fn no_body_secret_signature_or_address_is_logged() {
    let logged = Logged::down_to(tracing::Level::TRACE);
    let mut source = reltio();
    source.bearer = Some(Secret::new("the-bearer-token"));
    let bench = Bench::with(source).await;
    let forwarded = |bearer: &str| {
        let request = bench
            .lawful("a-personal-datum")
            .header("X-Forwarded-For", "203.0.113.77");
        request
            .header("Authorization", format!("Bearer {bearer}"))
            .send()
    };
    assert_eq!(forwarded("the-bearer-token").await.unwrap().status(), 200);
    assert_eq!(forwarded("a-wrong-token").await.unwrap().status(), 401);
    bench
        .inbox
        .full
        .store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(forwarded("the-bearer-token").await.unwrap().status(), 503);
    let logged = logged.text();
    assert!(
        logged.contains("insecure_plain_http") && logged.contains("answered 503"),
        "{logged}"
    );
    let signature = &signed(
        SignatureScheme::Reltio,
        RELTIO_SECRET,
        NOW,
        b"a-personal-datum",
    )[0]
    .1;
    let signature = signature.trim_start_matches("sha256=");
    let private = [
        "a-personal-datum",
        "-token",
        RELTIO_SECRET,
        signature,
        "203.0.113.77",
    ];
    for text in private {
        assert!(!logged.contains(text), "{text} is logged");
    }
}
