//! One partition, many subjects: how near a task comes to what its records in flight allow.
//!
//! The workload of Parallel Consumer: 10,000 records of 1,000 subjects in random order, a sink that
//! takes 0 to 5 ms for each, 100 in flight. No engine is quicker than all of the sink's time, by
//! 100. Printed is how much longer this one takes, on a real journal and a real store. The sink's
//! time is what it really took, since a timer is no finer than a millisecond. The order of each
//! subject is asserted. A record that waits while a newer one of its subject comes is not delivered,
//! so that there are fewer deliveries than records.
#![expect(clippy::unwrap_used, reason = "a benchmark that fails has no result")]

mod slow;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use goldwire::dead_letter::StoredLetters;
use goldwire::engine::Retry;
use goldwire::engine::checkpoint::StoreCheckpoint;
use goldwire::engine::deliverer::Deliverer;
use goldwire::engine::gate::Gate;
use goldwire::engine::retry::RetryPolicy;
use goldwire::engine::{ClockRules, Context, SinkTask, TaskSettings};
use goldwire::event::{EventRecord, Kind, State};
use goldwire::log::journal::{Journal, JournalSettings};
use goldwire::log::{Log, LogAppender as _, WholeLog};
use goldwire::store::{SledStore, Store};
use goldwire::telemetry::Metrics;
use goldwire::time::{Millis, SystemClock};
use prost::Message as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use slow::Slow;

const RECORDS: usize = 10_000;
const SUBJECTS: u32 = 1000;
const IN_FLIGHT: usize = 100;
const RUNS: u64 = 7;
const PAYLOAD: usize = 1500;
const START: Millis = 1_700_000_000_000;
const GROUP: &str = "bench.slow";

/// Changes of random subjects, the versions of each in order.
fn records(seed: u64) -> Vec<Bytes> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut versions: HashMap<u32, i64> = HashMap::new();
    let record = |number: usize| {
        let subject = random.random_range(0..SUBJECTS);
        let version = versions.entry(subject).or_default();
        *version += 1;
        let record = EventRecord {
            id: format!("event-{number}"),
            tenant: "acme".to_owned(),
            subject: format!("entities/{subject:08}"),
            version: Some(*version),
            commit_time: Some(START + *version * 10_000),
            received_time: START + 10_000_000,
            kind: Kind::Removed.into(),
            state: State::Removed.into(),
            payload: vec![0x20; PAYLOAD].into(),
            ..EventRecord::default()
        };
        record.encode_to_vec().into()
    };
    (0..RECORDS).map(record).collect()
}

async fn filled(dir: &Path, seed: u64) -> Arc<dyn Log> {
    let log = Journal::open(JournalSettings {
        dir: dir.join("log"),
        partitions: 1,
        quota: 1 << 30,
        disk_reserve: 0,
        keep: Duration::from_hours(1),
        segment: 16 << 20,
        gather: Duration::ZERO,
    });
    let log = log.unwrap();
    for part in records(seed).chunks(500) {
        log.append(0, part.to_vec()).await.unwrap();
    }
    Arc::new(log)
}

fn task(log: Arc<dyn Log>, store: Arc<dyn Store>, sink: Arc<Slow>) -> SinkTask {
    let reader = WholeLog::partition(&log, 0);
    let context = Context {
        deliverer: Deliverer {
            sink,
            gate: Arc::new(Gate::new("slow")),
            retry: RetryPolicy::new(&Retry::default()),
            clock: Arc::new(SystemClock),
            metrics: Arc::new(Metrics::noop()),
            pieces: None,
            jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(7))),
        },
        reltio: None,
        letters: Arc::new(StoredLetters::new(Arc::clone(&store))),
        log,
        rules: ClockRules::new(3000, 200),
        isolation: Arc::default(),
    };
    let committer = Arc::new(StoreCheckpoint {
        store,
        sink: "slow".to_owned(),
        group: GROUP.to_owned(),
        partition: 0,
    });
    let settings = TaskSettings {
        in_flight: IN_FLIGHT,
        in_flight_bytes: 32 << 20,
        commit_interval: Duration::from_millis(200),
        commit_records: 1000,
        drain_timeout: Duration::from_secs(5),
        detach: false,
    };
    SinkTask::new(context, reader, settings, committer).unwrap()
}

/// One run: what the sink's time allows, until the last record was taken, until it was committed;
/// how many were delivered.
async fn run(seed: u64) -> (Duration, Duration, Duration, usize) {
    let dir = tempfile::tempdir().unwrap();
    let log = filled(dir.path(), seed).await;
    let store = Arc::new(SledStore::open(&dir.path().join("store")).unwrap());
    let sink = Arc::new(Slow::new(seed, IN_FLIGHT));
    let task = task(log, store, Arc::clone(&sink));
    let (mut status, stop) = (task.status(), CancellationToken::new());
    let began = Instant::now();
    let running = tokio::spawn(task.run(stop.clone()));
    let last = u64::try_from(RECORDS).unwrap();
    let all = status.wait_for(|status| status.position == last);
    all.await.unwrap();
    let committed = began.elapsed();
    sink.has(last).await;
    stop.cancel();
    running.await.unwrap().unwrap();
    let took = sink.took();
    let allowed = took.sum / u32::try_from(IN_FLIGHT).unwrap();
    (allowed, took.ended - began, committed, took.deliveries)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
    let mut out = std::io::stdout();
    let mut ratios = Vec::new();
    for seed in 0..RUNS {
        let (allowed, took, committed, deliveries) = runtime.block_on(run(seed));
        let ratio = took.as_secs_f64() / allowed.as_secs_f64();
        ratios.push(ratio);
        writeln!(
            out,
            "run {seed}: {deliveries} deliveries, the sink's time by {IN_FLIGHT} {allowed:.0?}, \
             taken {took:.0?}, committed {committed:.0?}, ratio {ratio:.3}"
        )
        .unwrap();
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).unwrap();
    writeln!(
        out,
        "concurrency: median ratio {median:.3} (aim: at most 1.2)"
    )
    .unwrap();
}
