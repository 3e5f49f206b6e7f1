//! The client of Reltio's API against a fake one that fails the way the real one does.

mod answers;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use goldwire::reltio::ReltioApi;
use goldwire::reltio::{Client, Found, RecordReader, ReltioError};
use goldwire::time::{Clock, Millis};
use loadtest::fake_reltio::{FakeReltio, FakeReltioSettings, Fault};
use loadtest::tenant::{EntityType, World};
use serde_json::json;

const START: Millis = 1_767_225_600_123;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicI64);

impl HandClock {
    pub(crate) fn at(time: Millis) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time)))
    }

    pub(crate) fn set(&self, time: Millis) {
        self.0.store(time, Ordering::SeqCst);
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

impl loadtest::time::Clock for HandClock {
    fn now(&self) -> Millis {
        self.0.load(Ordering::SeqCst)
    }
}

/// A client for `fake`, with `change` made to its configuration.
pub(crate) fn client_with(
    fake: &FakeReltio,
    clock: &Arc<HandClock>,
    change: impl FnOnce(&mut serde_json::Value),
) -> Result<Client, String> {
    let mut config = json!({
        "url": fake.url(),
        "auth_url": fake.auth_url(),
        "client_id": "goldwire",
        "client_secret": "not-a-secret",
        "requests_per_second": 100_000,
        "insecure_plain_http": true,
    });
    change(&mut config);
    let config: ReltioApi = serde_json::from_value(config).unwrap();
    let clock = Arc::clone(clock);
    Client::new(&config, clock)
}

/// Ada and Bob, merged into Ada 10 s after the start; Cy, removed 20 s after it; Ada's employment.
struct Stage {
    ada: String,
    bob: String,
    cy: String,
    job: String,
    contact: String,
    fake: FakeReltio,
    clock: Arc<HandClock>,
}

impl Stage {
    async fn new(settings: FakeReltioSettings) -> Self {
        let mut world = World::new("acme", 7, 200);
        let ada = world.create(START, EntityType::Individual, false);
        let bob = world.create(START, EntityType::Individual, true);
        let cy = world.create(START, EntityType::Individual, false);
        let company = world.create(START, EntityType::Organization, false);
        let job = world.relate(START, &ada, &company).unwrap();
        assert!(world.merge(START + 10_000, &ada, &bob));
        assert!(world.remove(START + 20_000, &cy));
        let contact = world.salesforce()[0].0.clone();
        let clock = HandClock::at(START + 30_000);
        let tenant = Arc::new(world.into_tenant());
        let shared = Arc::clone(&clock);
        let fake = FakeReltio::start(&settings, tenant, shared).await.unwrap();
        Self {
            ada,
            bob,
            cy,
            job,
            contact,
            fake,
            clock,
        }
    }

    fn client(&self) -> Arc<Client> {
        Arc::new(client_with(&self.fake, &self.clock, |_| {}).unwrap())
    }

    /// Reads Ada fifty times at once; all must succeed.
    async fn crowd(&self, client: &Arc<Client>) {
        let mut reads = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (client, uri) = (Arc::clone(client), self.ada.clone());
            reads.spawn(async move { client.read(&uri).await });
        }
        for read in reads.join_all().await {
            assert!(matches!(read.unwrap().found, Found::Alive(_)));
        }
    }
}

async fn stage() -> Stage {
    Stage::new(FakeReltioSettings::default()).await
}

fn status(code: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status { code, retry_after }
}

#[tokio::test]
async fn fifty_reads_at_once_ask_for_one_token() {
    let stage = stage().await;
    stage.crowd(&stage.client()).await;
    let counts = stage.fake.counts();
    assert_eq!(
        (counts.tokens, counts.found, counts.unauthorized),
        (1, 50, 0)
    );
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let stage = stage().await;
    let client = stage.client();
    stage.crowd(&client).await;
    // Asked a little early, Reltio gives the same token again, with the time that remains.
    stage.clock.advance(3545);
    stage.crowd(&client).await;
    assert_eq!(stage.fake.counts().tokens, 2);
    // Beyond its end there is a new one.
    stage.clock.advance(60);
    stage.crowd(&client).await;
    let counts = stage.fake.counts();
    assert_eq!((counts.tokens, counts.unauthorized), (3, 0));
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_once_for_all() {
    let stage = stage().await;
    let client = stage.client();
    stage.crowd(&client).await;
    stage.fake.revoke_tokens();
    stage.crowd(&client).await;
    let counts = stage.fake.counts();
    assert_eq!(counts.tokens, 2);
    assert!(counts.unauthorized >= 1);
}

#[tokio::test]
async fn a_second_401_is_refused_with_a_remedy() {
    let stage = stage().await;
    stage.fake.fail_next(status(401, None));
    stage.fake.fail_next(status(401, None));
    let error = stage.client().read(&stage.ada).await.unwrap_err();
    assert!(matches!(&error, ReltioError::Refused { code, .. } if code == "401"));
    assert!(error.to_string().contains("reltio.auth_url"));
    assert_eq!(stage.fake.counts().requests, 2);
}

#[tokio::test]
async fn g10_a_wrong_secret_is_refused_with_a_remedy_and_not_shown() {
    let stage = stage().await;
    let wrong = client_with(&stage.fake, &stage.clock, |config| {
        config["client_secret"] = "wrong-horse".into();
    });
    let wrong = wrong.unwrap();
    let error = wrong.read(&stage.ada).await.unwrap_err();
    assert!(matches!(error, ReltioError::Refused { .. }));
    let text = format!("{error} {error:?} {wrong:?}");
    assert!(text.contains("reltio.client_secret"));
    assert!(!text.contains("wrong-horse") && !text.contains("Bad client credentials"));
}

#[tokio::test]
async fn g10_a_client_does_not_print_its_token() {
    let stage = stage().await;
    let client = stage.client();
    client.read(&stage.ada).await.unwrap();
    assert!(!format!("{client:?}").contains("token-1"));
}

#[tokio::test]
async fn a_429_is_tried_again_after_the_pause_it_asks_for() {
    let stage = stage().await;
    stage.fake.fail_next(status(429, Some(1)));
    let started = tokio::time::Instant::now();
    let answer = stage.client().read(&stage.ada).await.unwrap();
    assert!(matches!(answer.found, Found::Alive(_)));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(stage.fake.counts().requests, 2);
}

#[tokio::test]
async fn back_pressure_and_silence_are_tried_again() {
    let stage = stage().await;
    let client = client_with(&stage.fake, &stage.clock, |config| {
        config["request_timeout"] = "2s".into();
    });
    stage.fake.fail_next(status(503, None));
    stage.fake.fail_next(Fault::Silence);
    let answer = client.unwrap().read(&stage.ada).await.unwrap();
    assert!(matches!(answer.found, Found::Alive(_)));
    assert_eq!(stage.fake.counts().faults, 2);
}

#[tokio::test]
async fn what_reltio_says_not_to_retry_is_not_retried() {
    let stage = stage().await;
    for code in [400, 413, 507] {
        stage.fake.fail_next(status(code, None));
        let error = stage.client().read(&stage.ada).await.unwrap_err();
        assert!(
            matches!(error, ReltioError::Rejected { .. }),
            "{code}: {error}"
        );
    }
    stage.fake.fail_next(status(403, None));
    let error = stage.client().read(&stage.ada).await.unwrap_err();
    assert!(matches!(error, ReltioError::Refused { .. }), "{error}");
    assert_eq!(stage.fake.counts().requests, 4);
}

/// A 500 of a moment was once a dead letter at once.
#[tokio::test]
async fn a_500_is_tried_a_few_times_before_it_is_the_subjects_own() {
    let stage = stage().await;
    for _ in 0..2 {
        stage.fake.fail_next(status(500, None));
    }
    let answer = stage.client().read(&stage.ada).await.unwrap();
    assert!(matches!(answer.found, Found::Alive(_)));
    assert_eq!(stage.fake.counts().requests, 3);
    for _ in 0..3 {
        stage.fake.fail_next(status(500, None));
    }
    let error = stage.client().read(&stage.ada).await.unwrap_err();
    assert!(
        matches!(&error, ReltioError::Rejected { code } if code == "500"),
        "{error}"
    );
    assert_eq!(stage.fake.counts().requests, 6);
}

#[tokio::test]
async fn a_token_endpoint_that_fails_for_a_moment_is_asked_again() {
    let stage = stage().await;
    stage.fake.fail_next_token(status(429, None));
    stage.crowd(&stage.client()).await;
    assert_eq!(stage.fake.counts().tokens, 2);
}

#[tokio::test]
async fn plain_http_is_refused_unless_a_test_asks_for_it() {
    let stage = stage().await;
    let refused = client_with(&stage.fake, &stage.clock, |config| {
        config["insecure_plain_http"] = false.into();
    });
    let sentence = refused.unwrap_err();
    assert!(
        sentence.starts_with("reltio.url: found http://"),
        "{sentence}"
    );
    assert!(
        sentence.contains("reltio.insecure_plain_http"),
        "{sentence}"
    );

    for (key, text) in [
        ("url", "reltio.example"),
        ("url", "ftp://reltio.example/x"),
        ("auth_url", "https://id:hunter2@auth.example/oauth/token"),
    ] {
        let refused = client_with(&stage.fake, &stage.clock, |config| {
            config[key] = text.into();
        });
        let sentence = refused.unwrap_err();
        assert!(
            sentence.starts_with(&format!("reltio.{key}: ")),
            "{sentence}"
        );
        assert!(!sentence.contains("hunter2"));
    }
}

#[tokio::test]
async fn the_fake_stops_when_told() {
    let stage = stage().await;
    stage.crowd(&stage.client()).await;
    stage.fake.stop().await.unwrap();
}

#[tokio::test]
async fn the_tenant_s_configuration_is_read_once_and_tells_what_there_is() {
    let stage = stage().await;
    let client = stage.client();
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let client = Arc::clone(&client);
        reads.spawn(async move { client.model().await.unwrap() });
    }
    for model in reads.join_all().await {
        assert!(model.attribute("Individual", "Address.City").is_ok());
        assert!(model.attribute("Individual", "Address.Town").is_err());
        assert!(model.source("SFDC_CONTACT").is_ok());
        assert!(model.source("SFDC").is_err());
    }
    assert_eq!(stage.fake.counts().requests, 1);
}

#[tokio::test]
async fn a_configuration_that_may_not_be_read_is_not_asked_for_again_and_again() {
    let stage = stage().await;
    let client = stage.client();
    stage.fake.fail_next(status(403, None));
    for _ in 0..3 {
        let refused = client.model().await;
        assert!(matches!(refused, Err(ReltioError::Refused { .. })));
    }
    assert_eq!(stage.fake.counts().requests, 1);
    stage.fake.fail_next(Fault::ForeignNotFound);
    let other = stage.client().model().await;
    assert!(matches!(other, Err(ReltioError::Rejected { code }) if code == "404"));
}
