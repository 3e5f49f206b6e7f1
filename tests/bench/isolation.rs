//! One sink stopped: what the other one loses by it (G6).
//!
//! A whole instance on real files, from the inbox to two sinks. Rounds with a sink that refuses or
//! hangs alternate with rounds without it. In each, the healthy sink first drains what was received
//! at once, which is its throughput, then takes a steady stream, which gives the 99th percentile of
//! the time from the inbox to its acknowledgement. Printed are the ratios of neighbouring rounds:
//! 1 is no difference, less is what the stopped sink costs.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::event::{Kind, SourceRecord, Subject};

use goldwire::runtime::{Deps, Files, Instance, Parts};
use goldwire::sink::OnFull;
use goldwire::sink::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write, each};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SystemClock};
use goldwire::topology::Config;
use prost::Message as _;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

const ROUNDS: usize = 5;
/// Received at once.
const BACKLOG: usize = 20_000;
/// Received one after the other, and how many every [`STEP`].
const STREAM: usize = 4000;
const TOGETHER: usize = 20;
const STEP: Duration = Duration::from_millis(10);
const SUBJECTS: usize = 2000;
const START: Millis = 1_700_000_000_000;

/// What a sink does with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Takes,
    Refuses,
    Hangs,
}

/// A sink that notes when it took what.
#[derive(Debug)]
struct Target {
    name: &'static str,
    way: Way,
    taken: Mutex<Vec<(usize, Instant)>>,
    count: watch::Sender<usize>,
}

impl Target {
    fn new(name: &'static str, way: Way) -> Arc<Self> {
        Arc::new(Self {
            name,
            way,
            taken: Mutex::default(),
            count: watch::Sender::new(0),
        })
    }

    async fn has(&self, records: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|count| *count >= records).await.unwrap();
    }
}

#[async_trait]
impl Sink for Target {
    fn name(&self) -> &str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mode::Latest)
    }

    fn accepts(&self, _: &Subject, _: &str, _: Kind) -> bool {
        true
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        each(batch, |write| self.one(write)).await
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Target {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        match self.way {
            Way::Hangs => std::future::pending().await,
            Way::Refuses => {
                return Err(SinkError::Retryable {
                    code: "connect".to_owned(),
                    ambiguous: false,
                    outage: true,
                });
            }
            Way::Takes => {}
        }
        let version = delivery.current.as_ref().unwrap().version.unwrap();
        let subject: usize = delivery
            .subject
            .uri()
            .rsplit('/')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let number = (usize::try_from(version).unwrap() - 1) * SUBJECTS + subject;
        self.taken.lock().unwrap().push((number, Instant::now()));
        self.count.send_modify(|count| *count += 1);
        Ok(Ack {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        })
    }
}

fn config(dir: &Path) -> Config {
    let path = dir.join("goldwire.yaml");
    let data = dir.join("data");
    let text = format!(
        "tenant: acme
data_dir: {}
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook:
    webhook: {{ path: /hook, scheme: reltio, secrets: [secret-of-the-bench] }}
sinks:
  healthy:
    warehouse: {{ url: \"sqlite:unused.db\" }}
log: {{ partitions: 2, disk_reserve: 1MiB }}
",
        data.display()
    );
    std::fs::write(&path, text).unwrap();
    goldwire::topology::load(&path, &|_| None).unwrap()
}

/// The inbox's record of a change; the changes of a subject follow each other.
fn received(number: usize) -> Bytes {
    let (subject, version) = (number % SUBJECTS, number / SUBJECTS + 1);
    let uri = format!("entities/{subject}");
    let value = json!([{ "ov": true, "value": "long street ".repeat(80) }]);
    let object = json!({
        "uri": uri, "type": "configuration/entityTypes/Individual",
        "attributes": { "Street": value },
    });
    let body = json!({
        "type": "ENTITY_CHANGED", "tenantId": "acme", "sourceObjectUri": uri,
        "objectVersion": version, "object": object,
        "commitTime": START + i64::try_from(version).unwrap() * 10_000,
    });
    let record = SourceRecord {
        source: "hook".to_owned(),
        received_time: START + 100_000,
        body: body.to_string().into_bytes().into(),
        ..SourceRecord::default()
    };
    record.encode_to_vec().into()
}

/// Records a second, and the 99th percentile.
async fn round(stopped: Option<Way>) -> (f64, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    let files = Files::open(&config).unwrap();
    for first in (0..BACKLOG).step_by(500) {
        let records = (first..first + 500).map(received).collect();
        files.inbox.append(0, records).await.unwrap();
    }
    let healthy = Target::new("healthy", Way::Takes);
    let first: Arc<dyn Sink> = Arc::<Target>::clone(&healthy);
    let mut sinks = vec![(first, OnFull::Stall)];
    if let Some(way) = stopped {
        sinks.push((Target::new("stopped", way), OnFull::Stall));
    }
    let with = Deps {
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        seed: 7,
        wrap: None,
    };
    let inbox = Arc::clone(&files.inbox);
    let parts = Parts {
        sinks,
        ..Parts::over(files)
    };
    let began = Instant::now();
    let instance = Instance::assemble(&config, &with, parts).unwrap();
    healthy.has(BACKLOG).await;
    let throughput = f64::from(u32::try_from(BACKLOG).unwrap()) / began.elapsed().as_secs_f64();
    let mut rhythm = tokio::time::interval(STEP);
    rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::with_capacity(STREAM);
    for first in (BACKLOG..BACKLOG + STREAM).step_by(TOGETHER) {
        rhythm.tick().await;
        sent.extend(std::iter::repeat_n(Instant::now(), TOGETHER));
        let records = (first..first + TOGETHER).map(received).collect();
        inbox.append(0, records).await.unwrap();
    }
    healthy.has(BACKLOG + STREAM).await;
    drop(inbox);
    let taken = std::mem::take(&mut *healthy.taken.lock().unwrap());
    let waited = |(number, at): &(usize, Instant)| {
        let sent = sent.get(number.checked_sub(BACKLOG)?)?;
        Some(at.saturating_duration_since(*sent))
    };
    let mut latencies: Vec<Duration> = taken.iter().filter_map(waited).collect();
    latencies.sort_unstable();
    let p99 = *latencies.get(latencies.len() * 99 / 100).unwrap();
    instance.stop().await;
    (throughput, p99)
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    *ratios.get(ratios.len() / 2).unwrap()
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let mut out = std::io::stdout();
    for way in [Way::Refuses, Way::Hangs] {
        let (mut throughputs, mut latencies) = (Vec::new(), Vec::new());
        for number in 1..=ROUNDS {
            let alone = runtime.block_on(round(None));
            let beside = runtime.block_on(round(Some(way)));
            throughputs.push(beside.0 / alone.0);
            latencies.push(alone.1.as_secs_f64() / beside.1.as_secs_f64());
            writeln!(
                out,
                "{way:?}, round {number}: alone {:.0}/s, p99 {:.1?}; beside it {:.0}/s, p99 {:.1?}",
                alone.0, alone.1, beside.0, beside.1
            )
            .unwrap();
        }
        writeln!(
            out,
            "{way:?}: median ratio of throughput {:.3}, of p99 {:.3} (aim: at least 0.9)",
            median(throughputs),
            median(latencies)
        )
        .unwrap();
    }
}
