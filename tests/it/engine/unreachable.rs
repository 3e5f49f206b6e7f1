//! What a person hears of a sink that cannot be reached, with one record alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use goldwire::log::MemoryLog;
use goldwire::runtime::parts::{self, SinkParts};
use goldwire::runtime::{Deps, Instance, Portions};
use goldwire::sink::{Mode, SinkError};
use goldwire::store::MemoryStore;
use goldwire::telemetry::{self, Metrics};
use prometheus::Registry;
use tracing::Level;

use super::delivery::unreachable;
use super::runtime::{self, append, config, files, part, pass, to_store, with};
use super::scripted::Scripted;
use crate::logged::Logged;

/// What the target does.
const TAKES: u8 = 0;
const REFUSES: u8 = 1;
const FULL: u8 = 2;

struct Bench {
    instance: Instance,
    sink: Arc<Scripted>,
    does: Arc<AtomicU8>,
    registry: Registry,
    logged: Logged,
}

impl Bench {
    fn new(does: u8) -> Self {
        let logged = Logged::down_to(Level::INFO);
        let (metrics, registry) = telemetry::instruments().unwrap();
        let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
        let does = Arc::new(AtomicU8::new(does));
        let now = Arc::clone(&does);
        sink.answers(move |_| match now.load(Ordering::Relaxed) {
            REFUSES => Some(Err(unreachable())),
            FULL => Some(Err(SinkError::Throttled {
                code: "53100".to_owned(),
                pause: Duration::from_secs(2),
            })),
            _ => None,
        });
        let with = Deps { metrics, ..with() };
        let files = files(Arc::new(MemoryStore::new()));
        let parts = runtime::parts(&files, Arc::clone(&sink), to_store());
        let instance = Instance::assemble(&config("16s"), &with, parts).unwrap();
        Self {
            instance,
            sink,
            does,
            registry,
            logged,
        }
    }

    async fn one_record(&self, uri: &str) {
        append(self.instance.files().log.as_ref(), uri).await;
    }

    /// Lines that hold all of these.
    fn lines(&self, all: &[&str]) -> usize {
        let text = self.logged.text();
        let has_all = |line: &&str| all.iter().all(|one| line.contains(one));
        text.lines().filter(has_all).count()
    }

    fn state(&self) -> (bool, String) {
        let part = part(&self.instance.health(), "sink crm/0");
        (part.ok, part.state)
    }

    fn gauge(&self) -> String {
        let text = telemetry::text(&self.registry).unwrap();
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("goldwire_sink_state{"));
        line.unwrap().rsplit(' ').next().unwrap().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn g6_a_sink_that_cannot_be_reached_says_so_once_within_ten_seconds_at_its_first_record() {
    let bench = Bench::new(REFUSES);
    bench.one_record("entities/a").await;
    pass(10).await;
    let told = ["crm.example:443", "connect", "cannot be reached"];
    assert_eq!(bench.lines(&told), 1, "{}", bench.logged.text());
    let (ok, state) = bench.state();
    assert!(ok, "a restart does not mend it");
    for word in ["cannot be reached", "crm.example:443", "connect"] {
        assert!(state.contains(word), "{state}");
    }
    assert_eq!(bench.gauge(), "1");
    pass(600).await;
    assert_eq!(bench.lines(&told), 1, "{}", bench.logged.text());
    bench.does.store(TAKES, Ordering::Relaxed);
    pass(60).await;
    assert_eq!(bench.lines(&["crm.example:443", "answers again"]), 1);
    assert_eq!(bench.state(), (true, "running".to_owned()));
    assert_eq!(bench.gauge(), "0");
    assert_eq!(bench.sink.holds("entities/a").as_deref(), Some("removed"));
    // The next time is another one.
    bench.does.store(REFUSES, Ordering::Relaxed);
    bench.one_record("entities/b").await;
    pass(10).await;
    assert_eq!(bench.lines(&told), 2);
}

#[tokio::test(start_paused = true)]
async fn g6_a_sink_that_never_answers_says_so_within_ten_seconds() {
    let bench = Bench::new(TAKES);
    bench.sink.hangs();
    bench.one_record("entities/a").await;
    pass(10).await;
    let told = ["crm.example:443", "no answer", "does not answer"];
    assert_eq!(bench.lines(&told), 1, "{}", bench.logged.text());
    let (ok, state) = bench.state();
    assert!(
        ok && state.contains("does not answer: crm.example:443"),
        "{state}"
    );
    assert_eq!(bench.gauge(), "1");
}

#[tokio::test(start_paused = true)]
async fn g6_a_target_that_takes_nothing_says_so_and_an_answer_now_and_then_is_no_trouble() {
    let bench = Bench::new(FULL);
    bench.one_record("entities/a").await;
    pass(10).await;
    let told = ["crm.example:443", "53100", "takes nothing for now"];
    assert_eq!(bench.lines(&told), 1, "{}", bench.logged.text());
    assert_eq!(bench.gauge(), "2");
    bench.does.store(TAKES, Ordering::Relaxed);
    pass(10).await;
    assert_eq!(bench.lines(&["answers again"]), 1);
    // One failure, then a retry that is taken.
    bench.does.store(REFUSES, Ordering::Relaxed);
    bench.one_record("entities/b").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    bench.does.store(TAKES, Ordering::Relaxed);
    pass(10).await;
    assert!(bench.sink.holds("entities/b").is_some());
    assert_eq!(bench.lines(&["cannot be reached"]), 0);
}

const SINKS: &str = r#"
tenant: acme
data_dir: data
reltio: { url: "https://a.reltio.com/reltio/api/x", auth_url: "https://auth.reltio.com/oauth/token", client_id: me, client_secret: hunter2 }
sources:
  hook: { webhook: { path: /hook, scheme: reltio, secrets: [hunter2] } }
webhook: { address: 127.0.0.1:0, insecure_plain_http: true }
sinks:
  pg: { warehouse: { url: "postgres://me:hunter2@db.example:6432/lake?sslmode=verify-full" } }
  lite: { warehouse: { url: "sqlite:lake.db" } }
  topic:
    kafka:
      bootstrap_servers: "a.example:9093,b.example:9093"
      topic: golden
      properties: { security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: me, sasl.password: hunter2 }
  lines: { file: { dir: lines, keeps_erased_records: true } }
  reads: { cache: { dir: reads, tokens: [hunter2] } }
  crm:
    salesforce:
      login_url: https://me:hunter2@acme.my.salesforce.com
      client_id: me
      client_secret: hunter2
      crosswalk_source: SFDC
      objects:
        Individual:
          sobject: Contact
          ext_field: Reltio_Id__c
          mark_field: Reltio_Writer__c
          home_field: Reltio_Home__c
          archived_field: Reltio_Archived__c
          merged_into_field: Reltio_Merged_Into__c
          fields: { LastName: { attribute: LastName } }
"#;

#[tokio::test]
async fn g10_every_kind_of_sink_names_its_target_and_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("goldwire.yaml");
    std::fs::write(&path, SINKS).unwrap();
    let config = goldwire::topology::load(&path, &|_| None).unwrap();
    let clock: goldwire::time::SharedClock = with().clock;
    let parts = SinkParts {
        reltio: parts::reltio(&config, &clock).unwrap(),
        log: Arc::new(MemoryLog::new(1)),
        clock,
        metrics: Arc::new(Metrics::noop()),
        portions: Portions::default(),
    };
    for (name, target) in [
        ("pg", "db.example:6432"),
        ("lite", "/lake.db"),
        ("topic", "a.example:9093,b.example:9093"),
        ("lines", "/lines"),
        ("reads", "/reads"),
        ("crm", "acme.my.salesforce.com:443"),
    ] {
        let sink = parts::sink(name, &config.sinks[name], &config, &parts).unwrap();
        let told = sink.target();
        assert!(told.ends_with(target), "{name}: {told}");
        assert!(!told.contains("hunter2") && !told.contains("me@"), "{told}");
    }
}
