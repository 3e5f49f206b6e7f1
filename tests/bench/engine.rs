//! The engine on logs and a store in memory: from a source's records to a sink that takes
//! everything at once. What remains is goldwire's own work per event.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use goldwire::config::{CompletenessConfig, Retry};
use goldwire::decode::DecodeSettings;
use goldwire::event::{Kind, Origin, SourceRecord, Subject};
use goldwire::ingest::filter::Filter;
use goldwire::ingest::{IngestContext, IngestSettings, IngestTask, SourceRules};
use goldwire::ledger::{MemoryStore, Store};
use goldwire::log::{Log, MemoryLog};
use goldwire::sink::{Declaration, Delivered, Delivery, Effect, Mode, Sink, SinkError};
use goldwire::source::{Source, SourceError, SourceEvent};
use goldwire::task::attempt::Courier;
use goldwire::task::commit::StoreCommit;
use goldwire::task::gate::Gate;
use goldwire::task::retry::RetryPolicy;
use goldwire::task::{ClockRules, Context, SinkTask, TaskSettings};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SharedClock, SystemClock};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const EVENTS: u64 = 20_000;
const SUBJECTS: u64 = 5_000;
const START: Millis = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_millis(20);

/// Takes everything.
#[derive(Debug)]
struct Takes;

#[async_trait]
impl Sink for Takes {
    fn name(&self) -> &'static str {
        "takes"
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: Mode::Latest,
            reassert_after: None,
            dedupe: None,
            in_steps: false,
        }
    }

    fn wants(&self, _: &Subject, _: &str, _: Kind) -> bool {
        true
    }

    async fn deliver(&self, _: &Delivery) -> Result<Delivered, SinkError> {
        Ok(Delivered {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        })
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Has everything ready.
#[derive(Debug)]
struct Ready {
    records: std::vec::IntoIter<SourceRecord>,
}

#[async_trait]
impl Source for Ready {
    fn name(&self) -> &'static str {
        "ready"
    }

    async fn next(&mut self, room: bool) -> SourceEvent {
        if room && let Some(record) = self.records.next() {
            return SourceEvent::Record(Box::new(record));
        }
        std::future::pending().await
    }

    async fn commit(&mut self, _: &[(i32, u64)]) -> Result<(), SourceError> {
        Ok(())
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        Vec::new()
    }
}

fn record(number: u64) -> SourceRecord {
    let (subject, version) = (number % SUBJECTS, number / SUBJECTS + 1);
    let uri = format!("entities/{subject:08}");
    let name = |value: &str| json!([{ "ov": true, "value": value, "uri": format!("{uri}/a/1") }]);
    let attributes = json!({
        "FirstName": name("Ann"), "LastName": name("Example"), "Email": name("ann@example.com"),
        "Phone": name("+49 30 1234567"), "City": name("Berlin"), "Street": name("Long Street 1"),
    });
    let crosswalk = json!({ "type": "configuration/sources/CRM", "value": "1", "uri": uri });
    let object = json!({
        "uri": uri, "type": "configuration/entityTypes/Individual", "attributes": attributes,
        "crosswalks": [crosswalk], "label": "Ann Example",
    });
    let body = json!({ "type": "ENTITY_CHANGED", "uri": uri, "object": object });
    let commit_time = START + i64::try_from(version).unwrap() * 10_000;
    let headers = [
        ("tenantid", "acme".to_owned()),
        ("eventtype", "ENTITY_CHANGED".to_owned()),
        ("sourceobjecturi", uri),
        ("objectversion", version.to_string()),
        ("committime", commit_time.to_string()),
    ];
    SourceRecord {
        source: "ready".to_owned(),
        received_time: START + 100_000,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        origin: Some(Origin {
            offset: i64::try_from(number).unwrap(),
            ..Origin::default()
        }),
        body: body.to_string().into_bytes().into(),
        ..SourceRecord::default()
    }
}

struct Bench {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn ingest(&self, records: Vec<SourceRecord>) -> IngestTask {
        let rules = SourceRules {
            decode: DecodeSettings {
                tenant: "acme".to_owned(),
                completeness: CompletenessConfig::Whole,
                max_bytes: 1 << 20,
            },
            filter: Filter::new(None, None, false),
        };
        let context = IngestContext {
            sources: Arc::new(HashMap::from([("ready".to_owned(), rules)])),
            log: Arc::clone(&self.log),
            store: Arc::clone(&self.store),
            golden: None,
            rules: ClockRules::new(3000, 200),
            clock: Arc::clone(&self.clock),
            metrics: Arc::clone(&self.metrics),
            reads: Arc::default(),
        };
        let settings = IngestSettings {
            in_flight: 10_000,
            in_flight_bytes: 32 << 20,
            commit_interval: INTERVAL,
            drain_timeout: Duration::from_secs(5),
        };
        let records = records.into_iter();
        IngestTask::new(Box::new(Ready { records }), context, settings)
    }

    fn task(&self) -> SinkTask {
        let context = Context {
            courier: Courier {
                sink: Arc::new(Takes),
                gate: Arc::new(Gate::new("takes")),
                retry: RetryPolicy::new(&Retry::default()),
                clock: Arc::clone(&self.clock),
                metrics: Arc::clone(&self.metrics),
                jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(7))),
            },
            golden: None,
            store: Arc::clone(&self.store),
            log: Arc::clone(&self.log),
            rules: ClockRules::new(3000, 200),
        };
        let group = "bench.takes".to_owned();
        let committer = Arc::new(StoreCommit {
            store: Arc::clone(&self.store),
            sink: "takes".to_owned(),
            group: group.clone(),
            partition: 0,
        });
        let settings = TaskSettings {
            in_flight: 1000,
            in_flight_bytes: 32 << 20,
            commit_interval: INTERVAL,
            commit_records: 1000,
            drain_timeout: Duration::from_secs(5),
            detach: false,
        };
        SinkTask::new(context, &group, 0, settings, committer).unwrap()
    }

    /// From the first record read to the last one committed.
    async fn run(&self, records: Vec<SourceRecord>) {
        let stop = CancellationToken::new();
        let ingest = tokio::spawn(self.ingest(records).run(stop.clone()));
        self.deliver().await;
        stop.cancel();
        ingest.await.unwrap();
    }

    async fn deliver(&self) {
        let (task, stop) = (self.task(), CancellationToken::new());
        let mut status = task.status();
        let sink = tokio::spawn(task.run(stop.clone()));
        let end = status.wait_for(|status| status.position == EVENTS);
        end.await.unwrap();
        stop.cancel();
        sink.await.unwrap().unwrap();
    }
}

fn bench() -> Bench {
    Bench {
        log: Arc::new(MemoryLog::new(1)),
        store: Arc::new(MemoryStore::default()),
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
    }
}

fn engine(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let records: Vec<SourceRecord> = (0..EVENTS).map(record).collect();
    let mut group = criterion.benchmark_group("engine");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(8))
        .throughput(Throughput::Elements(EVENTS));
    group.bench_function("source to sink", |bencher| {
        bencher.iter_batched(
            || (bench(), records.clone()),
            |(bench, records)| runtime.block_on(bench.run(records)),
            criterion::BatchSize::PerIteration,
        );
    });
    let filled = bench();
    let stop = CancellationToken::new();
    let ingest = filled.ingest(records.clone());
    runtime.block_on(async {
        let filling = tokio::spawn(ingest.run(stop.clone()));
        filled.log.wait(0, EVENTS - 1).await;
        stop.cancel();
        filling.await.unwrap();
    });
    group.bench_function("log to sink", |bencher| {
        bencher.iter_batched(
            || Bench {
                log: Arc::clone(&filled.log),
                ..bench()
            },
            |bench| runtime.block_on(bench.deliver()),
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
