//! A sink that takes its rows a piece at a time, killed anywhere between the steps of a commit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use goldwire::dead_letter::StoredLetters;
use goldwire::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, Prepared, Prepares, Sealed,
    StoreCheckpoint, Wanted,
};
use goldwire::engine::deliverer::Deliverer;
use goldwire::engine::gate::Gate;
use goldwire::engine::landing::Landing;
use goldwire::engine::retry::RetryPolicy;
use goldwire::engine::{ClockRules, Context, Isolation, Retry, SinkTask, TaskError, TaskSettings};
use goldwire::log::WholeLog;
use goldwire::mutation::{self, Mutation};
use goldwire::sink::pieces::{Gathered, Landed, PieceLimits, Pieces, Seal};
use goldwire::sink::{Ack, Effect, SinkError, Write};
use goldwire::store::{Store, StoreError, keys};
use goldwire::telemetry::Metrics;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::rig::{Rig, SETTLE, SKEW, at};
use super::scripted::Scripted;

const SINK: &str = "lake";
const EVENTS: i64 = 60;

/// URI and version of a change.
type Row = (String, i64);

/// Where pieces land. A name is made once; one without rows was made by a recovery.
#[derive(Debug, Default)]
struct Bucket(Mutex<BTreeMap<String, Vec<Row>>>);

impl Bucket {
    /// Makes `name`, unless it is there; what is there then.
    fn make(&self, name: &str, rows: Vec<Row>) -> Vec<Row> {
        let mut files = self.0.lock().unwrap();
        files.entry(name.to_owned()).or_insert(rows).clone()
    }

    fn rows(&self) -> Vec<Row> {
        let files = self.0.lock().unwrap();
        let mut rows: Vec<Row> = files.values().flatten().cloned().collect();
        rows.sort();
        rows
    }
}

/// Chance, repeatable.
#[derive(Debug, Clone)]
struct Chance(Arc<Mutex<ChaCha8Rng>>);

impl Chance {
    fn of(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))))
    }

    fn below(&self, bound: u64) -> u64 {
        self.0.lock().unwrap().random_range(0..bound)
    }

    async fn wait(&self, most: u64) {
        let millis = self.below(most);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// The pieces of one life of the process.
#[derive(Debug)]
struct Lot {
    bucket: Arc<Bucket>,
    chance: Chance,
    open: Mutex<(Vec<Row>, Option<Instant>)>,
    sealed: Mutex<Option<(Seal, Vec<Row>)>>,
    names: Arc<AtomicU64>,
}

#[async_trait]
impl Pieces for Lot {
    fn limits(&self) -> PieceLimits {
        PieceLimits {
            rows: 7,
            bytes: 1 << 20,
            age: Duration::from_secs(2),
        }
    }

    async fn gather(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        for write in batch {
            let changes = write.changes.iter();
            let rows = changes.map(|it| (write.subject.uri().to_owned(), it.version));
            let mut open = self.open.lock().unwrap();
            open.0.extend(rows);
            open.1.get_or_insert_with(Instant::now);
        }
        // What a row group takes to be compressed.
        self.chance.wait(20).await;
        let ack = Ack {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        };
        batch.iter().map(|_| Ok(ack)).collect()
    }

    fn gathered(&self) -> Gathered {
        let open = self.open.lock().unwrap();
        Gathered {
            rows: open.0.len(),
            bytes: 0,
            since: open.1,
        }
    }

    fn seal(&self, position: u64) -> Option<Seal> {
        let (rows, _) = std::mem::take(&mut *self.open.lock().unwrap());
        if rows.is_empty() {
            return None;
        }
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let seal = Seal(format!("{position}-{number}"));
        let before = self.sealed.lock().unwrap().replace((seal.clone(), rows));
        assert!(before.is_none(), "another is on its way");
        Some(seal)
    }

    async fn land(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let sealed = self.sealed.lock().unwrap().clone();
        let (of, rows) = sealed.expect("a piece was sealed");
        assert_eq!(of, *seal);
        let (bucket, chance, seal) = (Arc::clone(&self.bucket), self.chance.clone(), of);
        // A request outlives who made it.
        let request = tokio::spawn(async move {
            chance.wait(300).await;
            let is = bucket.make(&seal.0, rows);
            chance.wait(300).await;
            !is.is_empty()
        });
        let landed = request.await.unwrap();
        if self.chance.below(4) == 0 {
            return Err(SinkError::Retryable {
                code: "answer_lost".to_owned(),
                ambiguous: true,
                outage: true,
            });
        }
        *self.sealed.lock().unwrap() = None;
        Ok(if landed { Landed::Yes } else { Landed::Never })
    }

    async fn landed(&self, seal: &Seal) -> Result<Landed, SinkError> {
        self.chance.wait(100).await;
        let is = self.bucket.make(&seal.0, Vec::new());
        Ok(if is.is_empty() {
            Landed::Never
        } else {
            Landed::Yes
        })
    }
}

/// A store whose steps take a while before and after they are made.
#[derive(Debug)]
struct Slow(StoreCheckpoint, Chance);

impl Slow {
    async fn step<T>(&self, step: impl Future<Output = T>) -> T {
        self.1.wait(100).await;
        let made = step.await;
        self.1.wait(100).await;
        made
    }

    /// The same, of a step that now and then is in doubt: it may have been made or not.
    async fn doubted(
        &self,
        step: impl Future<Output = Result<(), CommitError>>,
    ) -> Result<(), CommitError> {
        let doubt = self.1.below(10);
        if doubt != 0 {
            self.step(step).await?;
        }
        match doubt {
            0 | 1 => Err(CommitError::Fenced("not known".to_owned())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Checkpoint for Slow {
    fn open(&self) -> Result<Opened, StoreError> {
        self.0.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.0.lookup(wanted).await
    }

    async fn commit(&self, batch: CommitBatch) -> Result<(), CommitError> {
        self.step(self.0.commit(batch)).await
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.0.note(notes).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.step(self.0.forget(offsets)).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.0.mark_gap(start).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.0.discard(keys).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.0.keep(key, value).await
    }
}

#[async_trait]
impl Prepares for Slow {
    fn plan(&self, batch: CommitBatch, piece: Sealed) -> Prepared {
        self.0.plan(batch, piece)
    }

    async fn prepare(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.step(self.0.prepare(prepared)).await
    }

    async fn prepared(&self) -> Result<Option<Prepared>, StoreError> {
        self.step(self.0.prepared()).await
    }

    async fn end(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.doubted(self.0.end(prepared)).await
    }

    async fn give_up(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.doubted(self.0.give_up(prepared)).await
    }
}

/// What outlives a task.
#[derive(Clone)]
struct Kept {
    store: Arc<dyn Store>,
    bucket: Arc<Bucket>,
    chance: Chance,
    names: Arc<AtomicU64>,
}

impl Kept {
    fn stored(&self) -> StoreCheckpoint {
        StoreCheckpoint {
            store: Arc::clone(&self.store),
            sink: SINK.to_owned(),
            group: format!("app.{SINK}"),
            partition: 0,
        }
    }

    /// The checkpoint of a task that begins: nothing is gathered.
    fn checkpoint(&self) -> Arc<Landing> {
        let pieces = Lot {
            bucket: Arc::clone(&self.bucket),
            chance: self.chance.clone(),
            open: Mutex::default(),
            sealed: Mutex::default(),
            names: Arc::clone(&self.names),
        };
        let inner = Arc::new(Slow(self.stored(), self.chance.clone()));
        let gate = Arc::new(Gate::new(SINK));
        Arc::new(Landing::over(inner, Arc::new(pieces), gate, 0))
    }
}

/// A sink's process, which dies and starts again.
struct World {
    rig: Rig,
    kept: Kept,
    chance: Chance,
}

impl World {
    fn new(seed: u64) -> Self {
        let (rig, chance) = (Rig::new(), Chance::of(seed));
        Self {
            kept: Kept {
                store: Arc::clone(&rig.store),
                bucket: Arc::default(),
                chance: chance.clone(),
                names: Arc::default(),
            },
            rig,
            chance,
        }
    }

    fn context(&self) -> Context {
        let sink = Scripted::appending(SINK, Duration::from_hours(100));
        Context {
            deliverer: Deliverer {
                sink: Arc::new(sink),
                gate: Arc::new(Gate::new(SINK)),
                retry: RetryPolicy::new(&Retry::default()),
                clock: Arc::clone(&self.rig.clock),
                metrics: Arc::new(Metrics::noop()),
                pieces: None,
                jitter: Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(7))),
            },
            reltio: None,
            letters: Arc::new(StoredLetters::new(Arc::clone(&self.rig.store))),
            log: Arc::<super::flaky::FlakyLog>::clone(&self.rig.flaky_log),
            rules: ClockRules::new(SETTLE, SKEW),
            isolation: Arc::new(Isolation::default()),
        }
    }

    /// A life of the process: until it is stopped, or its task is aborted.
    fn start(&self, stop: &CancellationToken) -> JoinHandle<()> {
        let (kept, context) = (self.kept.clone(), self.context());
        let (log, stop) = (Arc::clone(&self.rig.log), stop.clone());
        let settings = TaskSettings {
            in_flight: 20,
            in_flight_bytes: 1 << 20,
            commit_interval: Duration::from_millis(100),
            commit_records: 5,
            drain_timeout: Duration::from_secs(1),
            detach: false,
        };
        tokio::spawn(async move {
            loop {
                let checkpoint = kept.checkpoint();
                checkpoint.take_over().await.unwrap();
                let reader = WholeLog::partition(&log, 0);
                let task = SinkTask::new(context.clone(), reader, settings, checkpoint).unwrap();
                match task.run(stop.clone()).await {
                    Err(TaskError::Commit(CommitError::Fenced(_))) => {}
                    ended => return ended.unwrap(),
                }
            }
        })
    }

    fn position(&self) -> u64 {
        let kept = self.kept.stored();
        kept.open().unwrap().cursor.map_or(0, |it| it.position)
    }

    /// Sends some changes, each twice, of a few entities, out of order. The rows that they are.
    async fn send(&self) -> Vec<Row> {
        let mut sent = Vec::new();
        for number in 0..EVENTS {
            let uri = format!("entities/{}", self.chance.below(5));
            let object = json!({ "uri": uri, "type": "configuration/entityTypes/Individual",
                "attributes": {} });
            let version = EVENTS * 2 - number * 7 % EVENTS;
            sent.push((uri, version));
            self.rig.changed(at(version, version * 1000), &object);
            if self.chance.below(3) == 0 {
                self.rig.changed(at(version, version * 1000), &object);
            }
            self.chance.wait(80).await;
        }
        sent.sort();
        sent.dedup();
        sent
    }

    /// Lives and deaths, and one life that catches up; whether the rows are what was sent.
    async fn run(&self) -> (Vec<Row>, Vec<Row>) {
        let lives = async {
            for _ in 0..=self.chance.below(6) {
                let (stop, clean) = (CancellationToken::new(), self.chance.below(4) == 0);
                let life = self.start(&stop);
                self.chance.wait(1500).await;
                if clean {
                    stop.cancel();
                    life.await.unwrap();
                } else {
                    life.abort();
                    assert!(life.await.is_err(), "the task ended by itself");
                }
            }
        };
        let ((), sent) = tokio::join!(lives, self.send());
        let stop = CancellationToken::new();
        let last = self.start(&stop);
        let mut left = 2000;
        while self.position() < self.rig.log.range(0).end || left > 1800 {
            left -= 1;
            assert!(left > 0, "did not catch up: {}", self.position());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stop.cancel();
        last.await.unwrap();
        (sent, self.kept.bucket.rows())
    }
}

#[tokio::test(start_paused = true)]
async fn g3_g5_a_row_is_in_one_piece_wherever_the_process_dies() {
    for seed in 0..100 {
        let world = World::new(seed);
        let (sent, rows) = world.run().await;
        assert_eq!(rows, sent, "seed {seed}");
        let key = keys::prepared(SINK, 0);
        let left = world.rig.store.scan(&key, None, 10).unwrap();
        assert_eq!(left, [], "nothing is prepared any more; seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_piece_that_lands_before_its_commit_is_prepared_is_found_out() {
    let mut wrong = 0;
    for seed in 0..30 {
        mutation::set(Some(Mutation::PieceUnprepared));
        let (sent, rows) = World::new(seed).run().await;
        mutation::set(None);
        wrong += u32::from(rows != sent);
    }
    assert!(wrong > 0);
}
