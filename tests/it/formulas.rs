//! The series that the formulas of `docs/metrics.md` are made of, when there is something to tell.

use std::sync::Arc;

use goldwire::runtime::{Deps, Instance};
use goldwire::telemetry;
use goldwire::time::SystemClock;
use goldwire::topology;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tempfile::TempDir;

use crate::process::until;

/// One source of each kind, one sink, as an instance in this process.
struct Bench {
    instance: Instance,
    registry: prometheus::Registry,
    _dir: TempDir,
}

impl Bench {
    async fn start(brokers: &str, start: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "tenant: acme
data_dir: {dir}/data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook: {{ webhook: {{ path: /hook, scheme: reltio, secrets: [secret] }} }}
  stream:
    kafka: {{ bootstrap_servers: \"{brokers}\", topic: t, group: goldwire-ingest{start},
      properties: {{ statistics.interval.ms: \"100\" }}, group_protocol: consumer }}
sinks: {{ lake: {{ warehouse: {{ url: \"sqlite:{dir}/lake.db\" }} }} }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
",
            dir = dir.path().display()
        );
        let file = dir.path().join("goldwire.yaml");
        std::fs::write(&file, text).unwrap();
        let config = topology::load(&file, &|_| None).unwrap();
        let (metrics, registry) = telemetry::instruments().unwrap();
        let with = Deps {
            clock: Arc::new(SystemClock),
            metrics,
            seed: 1,
            wrap: None,
        };
        let instance = Instance::start(&config, &with).await.unwrap();
        Self {
            instance,
            registry,
            _dir: dir,
        }
    }

    /// The sum of the series whose line begins so; nothing if there is none, as in `PromQL`.
    fn sum(&self, name: &str, labels: &str) -> Option<f64> {
        let text = telemetry::text(&self.registry).unwrap();
        let series = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels));
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .reduce(|a, b| a + b)
    }

    async fn state_is(&self, state: f64) {
        until(&format!("the source's state is {state}"), async || {
            self.sum("goldwire_source_state", "source=\"stream\"") == Some(state)
        })
        .await;
    }

    async fn end(self) {
        self.instance.stop().await;
    }
}

fn cluster() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("t", 1, 1).unwrap();
    cluster
}

/// With nothing but 503 the share of the 200 would have no numerator, and the alert no number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_counters_of_the_formulas_are_there_before_the_first_success() {
    let bench = Bench::start("127.0.0.1:1", ", start: earliest").await;
    let requests = "goldwire_webhook_requests_total";
    for code in ["200", "503"] {
        let labels = format!("authenticated=\"true\",code=\"{code}\",endpoint=\"hook\"");
        assert_eq!(bench.sum(requests, &labels), Some(0.0), "{code}");
    }
    until("the sink's attempts are counted", async || {
        bench.sum("goldwire_attempts_total", "result=\"retryable\"") == Some(0.0)
            && bench.sum("goldwire_attempts_total", "result=\"delivered\"") == Some(0.0)
    })
    .await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_whose_broker_is_away_says_so_from_the_start_and_later() {
    let bench = Bench::start("127.0.0.1:1", ", start: earliest").await;
    bench.state_is(1.0).await;
    assert_eq!(
        bench.sum("goldwire_source_state", "source=\"inbox\""),
        Some(0.0)
    );
    let lag = "goldwire_lag_records";
    assert_eq!(bench.sum(lag, "\"goldwire-ingest\""), None, "not known");
    assert_eq!(bench.sum(lag, "\"goldwire.lake\""), Some(0.0));
    bench.end().await;

    let cluster = cluster();
    let bench = Bench::start(&cluster.bootstrap_servers(), ", start: earliest").await;
    until("the partition is read", async || {
        bench.sum(lag, "\"goldwire-ingest\"") == Some(0.0)
    })
    .await;
    bench.state_is(0.0).await;
    cluster.broker_down(-1).unwrap();
    bench.state_is(1.0).await;
    cluster.broker_up(-1).unwrap();
    bench.state_is(0.0).await;
    bench.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_is_halted_says_so() {
    let cluster = cluster();
    let bench = Bench::start(&cluster.bootstrap_servers(), "").await;
    bench.state_is(2.0).await;
    bench.end().await;
}
