//! The listener's certificate, while its files are replaced.

use goldwire::tls::Tls;
use goldwire::webhook::SignatureScheme;
use rcgen::{CertifiedKey, KeyPair};
use reqwest::Certificate;

use super::bench::{Bench, NOW, RELTIO_SECRET, client, listener, reltio, signed};
use crate::logged::Logged;

fn made() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
}

/// Whether a new connection meets this certificate.
async fn meets(bench: &Bench, made: &CertifiedKey<KeyPair>) -> bool {
    let only = Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let client = client().tls_certs_only([only]).build().unwrap();
    let port = bench.handle.address().port();
    let signature = &signed(SignatureScheme::Reltio, RELTIO_SECRET, NOW, b"{}")[0];
    let request = client.post(format!("https://localhost:{port}/reltio-webhook"));
    let request = request.header(signature.0, &signature.1).body("{}");
    request
        .send()
        .await
        .is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_certificate_is_replaced_while_the_listener_runs_and_a_bad_one_never_is_used() {
    let logged = Logged::down_to(tracing::Level::INFO);
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls {
        cert_file: folder.path().join("cert.pem"),
        key_file: folder.path().join("key.pem"),
    };
    let (first, second) = (made(), made());
    std::fs::write(&tls.cert_file, first.cert.pem()).unwrap();
    std::fs::write(&tls.key_file, first.signing_key.serialize_pem()).unwrap();
    let mut listener = listener();
    listener.insecure_plain_http = false;
    listener.tls = Some(tls.clone());
    let bench = Bench::start(&listener, vec![("crm".to_owned(), reltio())])
        .await
        .unwrap();
    let looks = |times: usize| {
        let certificates = bench.handle.certificates().unwrap();
        (0..times).for_each(|_| certificates.look());
    };
    let errors = || {
        logged
            .text()
            .matches("the certificate before stays in use")
            .count()
    };
    looks(2);
    assert!(meets(&bench, &first).await);

    // One file after the other: the moment between the two is no mistake.
    std::fs::write(&tls.cert_file, second.cert.pem()).unwrap();
    looks(1);
    assert!(meets(&bench, &first).await);
    std::fs::write(&tls.key_file, second.signing_key.serialize_pem()).unwrap();
    looks(1);
    assert!(meets(&bench, &second).await && !meets(&bench, &first).await);
    assert_eq!(errors(), 0, "{}", logged.text());
    assert_eq!(
        logged
            .text()
            .matches("the new certificate is in use")
            .count(),
        1
    );

    std::fs::write(&tls.key_file, "no key").unwrap();
    looks(5);
    assert_eq!(errors(), 1, "{}", logged.text());
    assert!(logged.text().contains("webhook.tls.key_file: "));
    std::fs::remove_file(&tls.key_file).unwrap();
    looks(5);
    assert_eq!(errors(), 2, "another mistake");
    assert!(meets(&bench, &second).await);
    std::fs::write(&tls.key_file, second.signing_key.serialize_pem()).unwrap();
    looks(2);
    assert!(meets(&bench, &second).await);
}
