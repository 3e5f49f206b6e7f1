//! The engine on logs and a store in memory: from a source's records to a sink that takes
//! everything at once. What remains is goldwire's own work per event, with every allocation counted.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails has no result"
)]

mod counted;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::dead_letter::StoredLetters;
use goldwire::decode::DecodeSettings;
use goldwire::engine::Retry;
use goldwire::engine::checkpoint::StoreCheckpoint;
use goldwire::engine::deliverer::Deliverer;
use goldwire::engine::gate::Gate;
use goldwire::engine::retry::RetryPolicy;
use goldwire::engine::{ClockRules, Context, SinkTask, TaskSettings};
use goldwire::event::CompletenessConfig;
use goldwire::event::Filter;
use goldwire::event::{Kind, Origin, Received, SourceRecord, Subject};
use goldwire::ingest::{IngestContext, IngestSettings, IngestTask, SourceRules};
use goldwire::log::{Log, MemoryLog, WholeLog};
use goldwire::sink::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write};
use goldwire::source::{Batch, Committing, Room, Source, SourceEvent};
use goldwire::store::{MemoryStore, Store};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SharedClock, SystemClock};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::counted::{head, measured};

const EVENTS: u64 = 200_000;
const SUBJECTS: u64 = 40_000;
const START: Millis = 1_700_000_000_000;
const INTERVAL: Duration = Duration::from_millis(20);

/// Takes everything.
#[derive(Debug)]
struct Takes(Mode);

#[async_trait]
impl Sink for Takes {
    fn name(&self) -> &'static str {
        "takes"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rows: 2000,
            batches: 4,
            ..Capabilities::new(self.0)
        }
    }

    fn accepts(&self, _: &Subject, _: &str, _: Kind) -> bool {
        true
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let taken = Ack {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        };
        batch.iter().map(|_| Ok(taken)).collect()
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Has everything ready.
#[derive(Debug)]
struct Ready {
    records: Batch,
}

#[async_trait]
impl Source for Ready {
    fn name(&self) -> &'static str {
        "ready"
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        let room = room.min(Room {
            records: 1000,
            bytes: 2 << 20,
        });
        if room.is_none() || self.records.records.is_empty() {
            return std::future::pending().await;
        }
        SourceEvent::Batch(self.records.split(room))
    }

    fn commit(&mut self, _: &[(i32, u64)]) -> Committing {
        Box::pin(std::future::ready(Ok(())))
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        Vec::new()
    }
}

fn record(number: u64) -> Received {
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
    let record = SourceRecord {
        source: "ready".to_owned(),
        received_time: START + 100_000,
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        origin: Some(Origin {
            offset: i64::try_from(number).unwrap(),
            ..Origin::default()
        }),
        body: body.to_string().into_bytes().into(),
        ..SourceRecord::default()
    };
    record.into()
}

struct Bench {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    mode: Mode,
}

impl Bench {
    fn ingest(&self, records: Vec<Received>) -> IngestTask {
        let rules = SourceRules {
            decode: DecodeSettings {
                tenant: "acme".to_owned(),
                completeness: CompletenessConfig::Whole,
                max_bytes: 1 << 20,
            },
            filter: Filter::new(None, None, false),
            schemas: None,
        };
        let context = IngestContext {
            sources: Arc::new(HashMap::from([("ready".to_owned(), rules)])),
            log: Arc::<dyn Log>::clone(&self.log),
            letters: Arc::new(StoredLetters::new(Arc::clone(&self.store))),
            reltio: None,
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
        let records = Batch {
            partition: 0,
            records: records.into(),
            reached: None,
        };
        IngestTask::new(Box::new(Ready { records }), context, settings)
    }

    fn task(&self) -> SinkTask {
        let context = Context {
            deliverer: Deliverer {
                sink: Arc::new(Takes(self.mode)),
                gate: Arc::new(Gate::new("takes")),
                retry: RetryPolicy::new(&Retry::default()),
                clock: Arc::clone(&self.clock),
                metrics: Arc::clone(&self.metrics),
                pieces: None,
                jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(7))),
            },
            reltio: None,
            letters: Arc::new(StoredLetters::new(Arc::clone(&self.store))),
            log: Arc::<dyn Log>::clone(&self.log),
            rules: ClockRules::new(3000, 200),
            isolation: Arc::default(),
        };
        let group = "bench.takes".to_owned();
        let committer = Arc::new(StoreCheckpoint {
            store: Arc::clone(&self.store),
            sink: "takes".to_owned(),
            group: group.clone(),
            partition: 0,
        });
        let settings = TaskSettings {
            in_flight: 10_000,
            in_flight_bytes: 32 << 20,
            commit_interval: INTERVAL,
            commit_records: 1000,
            drain_timeout: Duration::from_secs(5),
            detach: false,
        };
        let reader = WholeLog::partition(&self.log, 0);
        SinkTask::new(context, reader, settings, committer).unwrap()
    }

    /// From the first record read to the last one committed.
    async fn run(&self, records: Vec<Received>) {
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

fn bench(mode: Mode) -> Bench {
    Bench {
        log: Arc::new(MemoryLog::new(1)),
        store: Arc::new(MemoryStore::default()),
        clock: Arc::new(SystemClock),
        metrics: Arc::new(Metrics::noop()),
        mode,
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let events = usize::try_from(EVENTS).unwrap();
    let records: Vec<Received> = (0..EVENTS).map(record).collect();
    println!("{EVENTS} events of {SUBJECTS} subjects, logs and a store in memory");
    head();
    for (mode, name) in [(Mode::Latest, "latest"), (Mode::History, "history")] {
        let whole = bench(mode);
        let given = records.clone();
        measured(&format!("source to a {name} sink"), events, || {
            runtime.block_on(whole.run(given));
        });
        let again = Bench {
            log: Arc::clone(&whole.log),
            ..bench(mode)
        };
        measured(&format!("log to a {name} sink"), events, || {
            runtime.block_on(again.deliver());
        });
    }
}
