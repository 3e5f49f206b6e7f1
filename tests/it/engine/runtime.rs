//! A whole instance over parts of the test's own: its health, and its end when something hangs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::admin::{Health, Part};
use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, StoreCheckpoint, Wanted,
};
use goldwire::event::{EventRecord, Kind, State};
use goldwire::log::journal::{Journal, JournalDeps, JournalSettings};
use goldwire::log::{Log, MemoryLog};

use goldwire::runtime::{Deps, Files, Instance, MakeCheckpoint, Parts};
use goldwire::sink::OnFull;
use goldwire::sink::{Mode, Sink};
use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError, keys};
use goldwire::telemetry::Metrics;
use goldwire::time::TokioClock;
use goldwire::topology::Config;
use prost::Message as _;
use tokio::time::Instant;

use super::delivery::busy;
use super::rig::START;
use super::scripted::Scripted;

const DRAIN: Duration = Duration::from_secs(16);

pub(crate) fn config(drain: &str) -> Config {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("goldwire.yaml");
    let text = format!(
        "tenant: acme
data_dir: data
webhook: {{ address: 127.0.0.1:0, insecure_plain_http: true }}
sources:
  hook:
    webhook: {{ path: /hook, scheme: reltio, secrets: [secret-of-the-test] }}
sinks:
  crm:
    warehouse: {{ url: \"sqlite:unused.db\" }}
log: {{ partitions: 1 }}
delivery: {{ drain_timeout: {drain}, commit_interval: 100ms }}
"
    );
    std::fs::write(&path, text).unwrap();
    goldwire::topology::load(&path, &|_| None).unwrap()
}

pub(crate) fn files(store: Arc<dyn Store>) -> Files {
    Files {
        store,
        inbox: Arc::new(MemoryLog::new(1)),
        log: Arc::new(MemoryLog::new(1)),
    }
}

pub(crate) fn with() -> Deps {
    Deps {
        clock: Arc::new(TokioClock::starting_at(START)),
        metrics: Arc::new(Metrics::noop()),
        seed: 7,
        wrap: None,
    }
}

fn assemble(drain: &str, files: &Files, sink: Arc<Scripted>, commit: MakeCheckpoint) -> Instance {
    let parts = parts(files, sink, commit);
    Instance::assemble(&config(drain), &with(), parts).unwrap()
}

pub(super) fn parts(files: &Files, sink: Arc<Scripted>, commit: MakeCheckpoint) -> Parts {
    Parts {
        sinks: vec![(sink as Arc<dyn Sink>, OnFull::Stall)],
        commit,
        ..Parts::over(files.clone())
    }
}

pub(super) fn to_store() -> MakeCheckpoint {
    Arc::new(|to_store, _| Arc::new(to_store))
}

fn scripted() -> Arc<Scripted> {
    Arc::new(Scripted::new("crm", Mode::Latest, None))
}

pub(super) async fn append(log: &dyn Log, uri: &str) {
    let record = EventRecord {
        id: uri.to_owned(),
        tenant: "acme".to_owned(),
        subject: uri.to_owned(),
        version: Some(1),
        commit_time: Some(START),
        received_time: START,
        kind: Kind::Removed.into(),
        state: State::Removed.into(),
        ..EventRecord::default()
    };
    let bytes = record.encode_to_vec().into();
    log.append(0, vec![bytes]).await.unwrap();
}

pub(super) fn part(health: &Arc<dyn Health>, name: &str) -> Part {
    let parts = health.livez().parts;
    let part = parts.iter().find(|part| part.name == name);
    part.unwrap_or_else(|| panic!("no {name}: {parts:?}"))
        .clone()
}

pub(super) async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ended_in_a_panic_is_not_live() {
    let (files, sink) = (files(Arc::new(MemoryStore::new())), scripted());
    sink.answers(|_| panic!("a mistake in a sink"));
    let (metrics, registry) = goldwire::telemetry::instruments().unwrap();
    let with = Deps { metrics, ..with() };
    let parts = parts(&files, sink, to_store());
    let instance = Instance::assemble(&config("16s"), &with, parts).unwrap();
    let health = instance.health();
    let state = || {
        let text = goldwire::telemetry::text(&registry).unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with("goldwire_sink_state{"));
        line.unwrap_or_default().to_owned()
    };
    pass(1).await;
    assert!(state().ends_with(" 0"), "{}", state());
    let before = part(&health, "sink crm/0");
    assert!(before.ok && before.state == "running", "{before:?}");
    append(files.log.as_ref(), "entities/a").await;
    pass(1).await;
    let after = part(&health, "sink crm/0");
    assert!(!after.ok && after.state.contains("panic"), "{after:?}");
    pass(2).await;
    assert!(state().ends_with(" 3"), "{}", state());
    assert!(part(&health, "source inbox").ok);
    instance.stop().await;
    let stopped = part(&health, "source inbox");
    assert!(stopped.ok && stopped.state == "stopped", "{stopped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_no_restart_would_mend_is_live_and_says_why_it_is_halted() {
    let (files, sink) = (files(Arc::new(MemoryStore::new())), scripted());
    let subject = goldwire::event::Subject::new("acme", "entities/a");
    let mut batch = Batch::default();
    batch.put(keys::register("crm", 0, &subject), vec![0xFF]);
    files.store.commit(batch).unwrap();
    let instance = assemble("16s", &files, sink, to_store());
    append(files.log.as_ref(), "entities/a").await;
    pass(1).await;
    let halted = part(&instance.health(), "sink crm/0");
    assert!(halted.ok, "{halted:?}");
    assert!(
        halted.state.contains("halted: the store holds"),
        "{halted:?}"
    );
}

#[tokio::test]
async fn a_log_whose_writer_ended_in_a_panic_is_not_live() {
    let dir = tempfile::tempdir().unwrap();
    let deps = JournalDeps {
        before_write: Arc::new(|| panic!("a mistake in the writer")),
        ..JournalDeps::default()
    };
    let settings = JournalSettings {
        dir: dir.path().to_owned(),
        partitions: 1,
        quota: 1 << 20,
        disk_reserve: 0,
        keep: Duration::ZERO,
        segment: 1 << 16,
        gather: Duration::ZERO,
    };
    let files = Files {
        log: Arc::new(Journal::open_with(settings, deps).unwrap()),
        ..files(Arc::new(MemoryStore::new()))
    };
    let instance = assemble("1s", &files, scripted(), to_store());
    assert!(instance.health().livez().ok());
    let record = vec![bytes::Bytes::from_static(b"record")];
    files.log.append(0, record).await.unwrap_err();
    // The thread may be about to end.
    while files.log.is_open() {
        tokio::task::yield_now().await;
    }
    let log = part(&instance.health(), "log");
    assert!(!log.ok && log.state.contains("restart"), "{log:?}");
}

/// Commits that from some time on never end.
#[derive(Debug)]
struct HangingCommit {
    inner: StoreCheckpoint,
    hangs: Arc<AtomicBool>,
}

#[async_trait]
impl Checkpoint for HangingCommit {
    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.inner.lookup(wanted).await
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.inner.note(notes).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.inner.forget(offsets).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.inner.mark_gap(start).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.inner.discard(keys).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.inner.keep(key, value).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.inner.commit(batch).await
    }
}

#[tokio::test(start_paused = true)]
async fn g1_a_stop_ends_within_the_drain_timeout_though_commits_and_records_hang() {
    for unreadable in [false, true] {
        let (files, sink) = (files(Arc::new(MemoryStore::new())), scripted());
        sink.answers(move |_| unreadable.then(|| Err(busy())));
        let hangs = Arc::new(AtomicBool::new(false));
        let (hanging, commits) = (Arc::clone(&hangs), Arc::clone(&hangs));
        let commit = move |to_store: StoreCheckpoint, _| {
            Arc::new(HangingCommit {
                inner: to_store,
                hangs: Arc::clone(&commits),
            }) as Arc<dyn Checkpoint>
        };
        let instance = assemble("16s", &files, sink, Arc::new(commit));
        pass(1).await;
        hanging.store(true, Ordering::Relaxed);
        append(files.log.as_ref(), "entities/a").await;
        if unreadable {
            // No one reads on after it, so the inbox is never drained.
            let garbage = vec![bytes::Bytes::from_static(&[0xFF])];
            files.inbox.append(0, garbage).await.unwrap();
        }
        pass(1).await;
        let told = Instant::now();
        instance.stop().await;
        assert!(told.elapsed() <= DRAIN, "{:?}", told.elapsed());
    }
}

/// A store on a disk that from some time on does not answer.
#[derive(Debug)]
struct HangingStore {
    inner: MemoryStore,
    hangs: AtomicBool,
    /// Closed at the end of the test, so that its threads end.
    answers: Mutex<mpsc::Receiver<()>>,
}

impl HangingStore {
    fn wait(&self) {
        if self.hangs.load(Ordering::Relaxed) {
            let answers = self.answers.lock();
            answers.unwrap().recv().unwrap_err();
        }
    }
}

impl Store for HangingStore {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.wait();
        self.inner.get(key)
    }

    fn scan(&self, of: &[u8], after: Option<&[u8]>, max: usize) -> Result<Vec<Pair>, StoreError> {
        self.wait();
        self.inner.scan(of, after, max)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.wait();
        self.inner.commit(batch)
    }
}

#[tokio::test]
async fn g1_a_stop_ends_though_the_disk_does_not_answer() {
    let (disk, answers) = mpsc::channel();
    let store = Arc::new(HangingStore {
        inner: MemoryStore::new(),
        hangs: AtomicBool::new(false),
        answers: Mutex::new(answers),
    });
    let files = files(Arc::<HangingStore>::clone(&store));
    let instance = assemble("200ms", &files, scripted(), to_store());
    append(files.log.as_ref(), "entities/a").await;
    while !instance.is_caught_up() {
        tokio::task::yield_now().await;
    }
    store.hangs.store(true, Ordering::Relaxed);
    append(files.log.as_ref(), "entities/b").await;
    // One thread for all: it would hang as well if one of them asked the store itself.
    instance.stop().await;
    drop(disk);
}
