//! `goldwire check --connect`: every system is asked, whatever the others say.

use std::sync::Arc;

use loadtest::fake_reltio::{FakeReltio, FakeReltioSettings, Fault};
use loadtest::tenant::World;
use loadtest::time::SystemClock;

use super::program::{Ran, dir_with, goldwire};

const CONFIG: &str = "
tenant: acme
data_dir: data
reltio:
  url: API
  auth_url: AUTH
  client_id: goldwire
  client_secret: SECRET
  insecure_plain_http: true
sources:
  hook: { webhook: { path: /hook, scheme: reltio, secrets: [s] } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks:
  lake: { warehouse: { url: 'sqlite:goldwire.yaml/lake.db' } }
";

async fn reltio() -> FakeReltio {
    let tenant = Arc::new(World::new("acme", 7, 200).into_tenant());
    let settings = FakeReltioSettings::default();
    FakeReltio::start(&settings, tenant, Arc::new(SystemClock))
        .await
        .unwrap()
}

/// Checks with the secret and the API's address as given.
async fn check(fake: &FakeReltio, api: &str, secret: &str) -> Ran {
    let text = CONFIG
        .replace("API", api)
        .replace("AUTH", &fake.auth_url())
        .replace("SECRET", secret);
    let dir = dir_with(&text);
    let ran = tokio::task::spawn_blocking(move || goldwire(dir.path(), &["check", "--connect"]));
    ran.await.unwrap()
}

/// The line about Reltio; the warehouse is asked in any case.
fn told(ran: &Ran) -> Option<&str> {
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("sinks.lake: "), "{}", ran.err);
    ran.err.lines().find(|line| line.starts_with("reltio"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g10_reltio_is_asked_for_a_token_and_for_an_object_that_there_is_not() {
    let fake = reltio().await;
    let ran = check(&fake, &fake.url(), "not-a-secret").await;
    assert_eq!(told(&ran), None);
    let counts = fake.counts();
    assert_eq!((counts.tokens, counts.missing), (1, 1));

    let ran = check(&fake, &fake.url(), "canary-secret").await;
    let line = told(&ran).unwrap();
    assert!(line.contains("401; correct reltio.client_id"), "{line}");
    assert!(!ran.err.contains("canary"), "{}", ran.err);

    let other = fake.url().replace("acme", "other");
    let ran = check(&fake, &other, "not-a-secret").await;
    let line = told(&ran).unwrap();
    assert!(
        line.contains("404; the answer is not Reltio's; correct reltio.url"),
        "{line}"
    );

    let (code, retry_after) = (403, None);
    fake.fail_next(Fault::Status { code, retry_after });
    let ran = check(&fake, &fake.url(), "not-a-secret").await;
    let line = told(&ran).unwrap();
    assert!(line.contains("403; give the client a role"), "{line}");
}
