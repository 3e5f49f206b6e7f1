//! The engine with one partition and one sink, put together the way an instance does it.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use goldwire::dead_letter::StoredLetters;
use goldwire::decode::DecodeSettings;
use goldwire::engine::Retry;
use goldwire::engine::checkpoint::StoreCheckpoint;
use goldwire::engine::deliverer::Deliverer;
use goldwire::engine::gate::Gate;
use goldwire::engine::retry::RetryPolicy;
use goldwire::engine::{ClockRules, Context, Isolation, SinkTask, TaskSettings, TaskStatus};
use goldwire::event::CompletenessConfig;
use goldwire::event::Filter;
use goldwire::event::proto::DeadLetter;
use goldwire::event::{Origin, SourceRecord};
use goldwire::ingest::{IngestContext, IngestSettings, IngestStatus, IngestTask, SourceRules};
use goldwire::log::{Log, WholeLog};
use goldwire::reltio::RecordReader;
use goldwire::sink::Mode;
use goldwire::store::{Store, keys};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SharedClock};
use prost::Message as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::flaky::{FlakyLog, FlakyStore, HostClock, SlowCheckpoint};
use super::scripted::{Fed, Scripted};
use super::tenant::Tenant;

pub(super) const SETTLE: Millis = 3000;
pub(super) const SKEW: Millis = 200;
/// When every test's history begins, ms.
pub(crate) const START: Millis = 1_800_000_000_000;

/// What one sink's task runs on, and how it is seen and stopped.
pub(super) struct Running {
    pub(super) sink: Arc<Scripted>,
    pub(super) gate: Arc<Gate>,
    pub(super) status: watch::Receiver<TaskStatus>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

pub(super) struct Rig {
    pub(super) clock: SharedClock,
    pub(super) host_clock: Arc<HostClock>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) store: Arc<dyn Store>,
    pub(super) log: Arc<dyn Log>,
    pub(super) flaky_store: Arc<FlakyStore>,
    pub(super) flaky_log: Arc<FlakyLog>,
    /// How long commits of the sinks wait, ms.
    pub(super) slow_commits: Arc<AtomicU64>,
    /// How long their look-ups wait, ms.
    pub(super) slow_lookups: Arc<AtomicU64>,
    isolation: Arc<Isolation>,
    /// Whether the sinks' tasks may read Reltio.
    pub(super) has_api: bool,
    feed: mpsc::UnboundedSender<SourceRecord>,
    ingest: watch::Receiver<IngestStatus>,
    sent: Mutex<i64>,
}

impl Rig {
    /// Ingest on its way; sinks are added with [`Self::sink`].
    pub(super) fn new() -> Self {
        Self::committing(Duration::ZERO)
    }

    /// The same with a source that takes so long for each commit.
    pub(super) fn committing(commit: Duration) -> Self {
        let host_clock = Arc::new(HostClock::starting_at(START));
        let clock: SharedClock = Arc::<HostClock>::clone(&host_clock);
        let tenant = Arc::new(Tenant::new(Arc::clone(&clock)));
        let flaky_store = Arc::new(FlakyStore::default());
        let flaky_log = Arc::new(FlakyLog::new());
        let store: Arc<dyn Store> = Arc::<FlakyStore>::clone(&flaky_store);
        let log: Arc<dyn Log> = Arc::<FlakyLog>::clone(&flaky_log);
        let letters = Arc::new(StoredLetters::new(Arc::clone(&store)));
        let context = IngestContext {
            sources: Arc::new(sources()),
            log: Arc::<FlakyLog>::clone(&flaky_log),
            letters,
            reltio: Some(Arc::clone(&tenant) as Arc<dyn RecordReader>),
            rules: ClockRules::new(SETTLE, SKEW),
            clock: Arc::clone(&clock),
            metrics: Arc::new(Metrics::noop()),
            reads: Arc::default(),
        };
        let (feed, records) = mpsc::unbounded_channel();
        let source = Fed {
            records,
            announced: false,
            read: 0,
            committed: Arc::default(),
            commit,
        };
        let settings = IngestSettings {
            in_flight: 1000,
            in_flight_bytes: 1 << 20,
            commit_interval: Duration::from_millis(100),
            drain_timeout: Duration::from_secs(5),
        };
        let task = IngestTask::new(Box::new(source), context, settings);
        let ingest = task.status();
        tokio::spawn(task.run(CancellationToken::new()));
        Self {
            clock,
            host_clock,
            slow_commits: Arc::default(),
            slow_lookups: Arc::default(),
            isolation: Arc::default(),
            tenant,
            store,
            log,
            flaky_store,
            flaky_log,
            has_api: true,
            feed,
            ingest,
            sent: Mutex::new(0),
        }
    }

    pub(super) fn latest(&self, name: &str) -> Running {
        self.sink(Scripted::new(name, Mode::Latest, None))
    }

    /// Starts a task for `sink`.
    pub(super) fn sink(&self, sink: Scripted) -> Running {
        self.run(Arc::new(sink))
    }

    /// Starts a task for `sink` that may lose its place in the log.
    pub(super) fn detaching(&self, sink: Scripted) -> Running {
        self.run_with(Arc::new(sink), true)
    }

    fn run(&self, sink: Arc<Scripted>) -> Running {
        self.run_with(sink, false)
    }

    fn run_with(&self, sink: Arc<Scripted>, detach: bool) -> Running {
        let name = goldwire::sink::Sink::name(sink.as_ref()).to_owned();
        let retry = Retry {
            attempts: 5,
            ..Retry::default()
        };
        let gate = Arc::new(Gate::new(&name));
        let context = Context {
            deliverer: Deliverer {
                sink: Arc::clone(&sink) as Arc<dyn goldwire::sink::Sink>,
                gate: Arc::clone(&gate),
                retry: RetryPolicy::new(&retry),
                clock: Arc::clone(&self.clock),
                metrics: Arc::new(Metrics::noop()),
                pieces: None,
                jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(7))),
            },
            reltio: self
                .has_api
                .then(|| Arc::clone(&self.tenant) as Arc<dyn RecordReader>),
            letters: Arc::new(StoredLetters::new(Arc::clone(&self.store))),
            log: Arc::<FlakyLog>::clone(&self.flaky_log),
            rules: ClockRules::new(SETTLE, SKEW),
            isolation: Arc::clone(&self.isolation),
        };
        let group = format!("app.{name}");
        let committer = Arc::new(SlowCheckpoint {
            commits: Arc::clone(&self.slow_commits),
            lookups: Arc::clone(&self.slow_lookups),
            inner: StoreCheckpoint {
                store: Arc::clone(&self.store),
                sink: name,
                group: group.clone(),
                partition: 0,
            },
        });
        let settings = TaskSettings {
            in_flight: 100,
            in_flight_bytes: 1 << 20,
            commit_interval: Duration::from_millis(100),
            commit_records: 1000,
            drain_timeout: Duration::from_secs(5),
            detach,
        };
        let reader = WholeLog::partition(&self.log, 0);
        let task = SinkTask::new(context, reader, settings, committer).unwrap();
        let (status, stop) = (task.status(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { task.run(stopped).await.unwrap() });
        Running {
            sink,
            gate,
            status,
            task,
            stop,
        }
    }

    /// Stops a sink's task: drained, or as a crash does, and starts it again on the same store.
    pub(super) async fn restart(&self, running: Running, clean: bool) -> Running {
        if clean {
            running.stop.cancel();
            running.task.await.unwrap();
        } else {
            running.task.abort();
            assert!(running.task.await.is_err(), "the task ended by itself");
        }
        self.run(running.sink)
    }

    /// The process dies: all of them at one moment, and then all start again.
    pub(super) async fn dies<const N: usize>(&self, running: [Running; N]) -> [Running; N] {
        for one in &running {
            one.task.abort();
        }
        let ended = running.map(async |one| {
            assert!(one.task.await.is_err(), "the task ended by itself");
            one.sink
        });
        let sinks = futures::future::join_all(ended).await;
        let mut sinks = sinks.into_iter();
        std::array::from_fn(|_| self.run(sinks.next().unwrap()))
    }

    /// Sends an event of the given type; the clocks that are there go into its headers.
    pub(super) fn send(&self, event: &str, uri: &str, clocks: Clock, body: &Value) {
        let body = body.to_string().into_bytes();
        self.send_record(Self::headers(event, uri, clocks), body);
    }

    /// A snapshot as the source named sends it.
    pub(super) fn told(&self, source: &str, clocks: Clock, object: &Value) {
        let uri = object["uri"].as_str().unwrap();
        let headers = Self::headers("ENTITY_CHANGED", uri, clocks);
        let body = json!({ "type": "ENTITY_CHANGED", "object": object });
        self.send_from(source, headers, body.to_string().into_bytes());
    }

    fn headers(event: &str, uri: &str, clocks: Clock) -> HashMap<String, String> {
        let mut headers = HashMap::from([
            ("tenantid".to_owned(), "acme".to_owned()),
            ("eventtype".to_owned(), event.to_owned()),
            ("sourceobjecturi".to_owned(), uri.to_owned()),
        ]);
        if let Some(version) = clocks.version {
            headers.insert("objectversion".to_owned(), version.to_string());
        }
        if let Some(commit_time) = clocks.commit_time {
            headers.insert("committime".to_owned(), commit_time.to_string());
        }
        headers
    }

    pub(super) fn send_record(&self, headers: HashMap<String, String>, body: Vec<u8>) {
        self.send_from("fed", headers, body);
    }

    /// Sends through one of [`sources`].
    pub(super) fn send_from(&self, source: &str, headers: HashMap<String, String>, body: Vec<u8>) {
        let mut sent = self.sent.lock().unwrap();
        let origin = Origin {
            source: source.to_owned(),
            offset: *sent,
            ..Origin::default()
        };
        *sent += 1;
        let record = SourceRecord {
            source: source.to_owned(),
            received_time: self.clock.now(),
            headers,
            origin: Some(origin),
            body: body.into(),
            ..SourceRecord::default()
        };
        self.feed.send(record).unwrap();
    }

    /// A whole snapshot.
    pub(super) fn changed(&self, clocks: Clock, object: &Value) {
        let uri = object["uri"].as_str().unwrap();
        let body = json!({ "type": "ENTITY_CHANGED", "object": object });
        self.send("ENTITY_CHANGED", uri, clocks, &body);
    }

    /// Waits, in simulated time, until everything sent has its outcome at `running`.
    pub(super) async fn caught_up(&self, running: &Running) {
        for _ in 0..200_000 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let taken = {
                let ingest = self.ingest.borrow();
                ingest.done == u64::try_from(*self.sent.lock().unwrap()).unwrap()
            };
            let status = running.status.borrow().clone();
            let settled = status.in_flight == 0 && status.reassertions == 0;
            if taken && status.position == self.log.range(0).end && settled {
                return;
            }
        }
        panic!(
            "did not catch up: {:?}, {:?}",
            self.ingest.borrow(),
            running.status.borrow()
        );
    }

    /// Time passes.
    pub(super) async fn pass(&self, millis: Millis) {
        tokio::time::sleep(Duration::from_millis(u64::try_from(millis).unwrap())).await;
    }

    pub(super) fn letters(&self, sink: &str) -> Vec<DeadLetter> {
        let prefix = keys::dead_letters_of(Some(sink));
        let pairs = self.store.scan(&prefix, None, 1000).unwrap();
        let whole = |(_, head): &(Vec<u8>, Vec<u8>)| {
            let mut letter = DeadLetter::decode(head.as_slice()).unwrap();
            let key = keys::dead_letter_record(&letter.sink, &letter.id, letter.round);
            letter
                .merge(&*self.store.get(&key).unwrap().unwrap())
                .unwrap();
            letter
        };
        pairs.iter().map(whole).collect()
    }
}

/// `fed` sends whole objects, `values` operational values, `first` and `last` one field each.
fn sources() -> HashMap<String, SourceRules> {
    let field = |name: &str| CompletenessConfig::Fields(vec![format!("attributes.{name}")]);
    let sources = [
        ("fed", CompletenessConfig::Whole),
        ("values", CompletenessConfig::OvOnly),
        ("first", field("FirstName")),
        ("last", field("LastName")),
    ];
    let rules = |completeness| SourceRules {
        decode: DecodeSettings {
            tenant: "acme".to_owned(),
            completeness,
            max_bytes: 1 << 20,
        },
        filter: Filter::new(None, None, true),
        schemas: None,
    };
    let sources = sources.map(|(name, completeness)| (name.to_owned(), rules(completeness)));
    HashMap::from(sources)
}

/// Clocks of an event, relative to [`START`].
#[derive(Clone, Copy, Default)]
pub(super) struct Clock {
    version: Option<i64>,
    commit_time: Option<Millis>,
}

/// Both clocks.
pub(super) fn at(version: i64, commit_time: Millis) -> Clock {
    Clock {
        version: Some(version),
        commit_time: Some(START + commit_time),
    }
}

/// Only a commit time.
pub(super) fn unversioned(commit_time: Millis) -> Clock {
    Clock {
        version: None,
        commit_time: Some(START + commit_time),
    }
}

/// Only a version.
pub(super) fn untimed(version: i64) -> Clock {
    Clock {
        version: Some(version),
        commit_time: None,
    }
}
