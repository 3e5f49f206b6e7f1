//! Processes that take over from each other, die, wake up late, and lose requests, as chance has it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use goldwire::sink::pieces::{Landed, Pieces, Seal};
use goldwire::sink::snowflake::Snowflake;
use goldwire::sink::{Sink as _, SinkError};
use loadtest::fake_snowflake::SnowflakeFault;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::task::JoinHandle;

use super::bench::{Bench, place, write};

/// Changes of the log.
const CHANGES: i64 = 24;
const FAULTS: [SnowflakeFault; 6] = [
    SnowflakeFault::LoseAnswer,
    SnowflakeFault::LoseRequest,
    SnowflakeFault::Invalidate,
    SnowflakeFault::FailOver,
    SnowflakeFault::Unavailable,
    SnowflakeFault::OpenInProgress,
];

/// What survives a process: where the group stands, and what is prepared.
#[derive(Debug, Default)]
struct Durable {
    /// Who has the partition: others change nothing here.
    owner: u64,
    position: i64,
    prepared: Option<(Seal, i64)>,
}

struct World {
    bench: Bench,
    /// One client for all: what a process knows of its channel is in its pieces.
    sink: Snowflake,
    durable: Mutex<Durable>,
    chance: Mutex<ChaCha8Rng>,
}

/// Another process has the partition.
struct Fenced;

impl World {
    async fn new(seed: u64) -> Arc<Self> {
        let bench = Bench::new().await;
        Arc::new(Self {
            sink: bench.sink(&json!({})),
            bench,
            durable: Mutex::default(),
            chance: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
        })
    }

    fn below(&self, bound: i64) -> i64 {
        self.chance.lock().unwrap().random_range(0..bound)
    }

    async fn wait(&self, most: i64) {
        let millis = u64::try_from(self.below(most)).unwrap();
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// A step of the store, which only the owner makes.
    fn step<T>(&self, owner: u64, of: impl FnOnce(&mut Durable) -> T) -> Result<T, Fenced> {
        let mut durable = self.durable.lock().unwrap();
        if durable.owner == owner {
            Ok(of(&mut durable))
        } else {
            Err(Fenced)
        }
    }

    /// A life: until everything is in the table, or another has the partition.
    async fn live(&self) -> Result<(), Fenced> {
        let owner = {
            let mut durable = self.durable.lock().unwrap();
            durable.owner += 1;
            durable.owner
        };
        // What became of the piece decides: this one may be gone, as its rows may be.
        loop {
            let pieces = self.sink.pieces(&place("log")).unwrap();
            if let Some((seal, end)) = self.step(owner, |it| it.prepared.clone())? {
                let landed = until(|| pieces.landed(&seal)).await;
                self.wait(400).await;
                self.ended(owner, landed, end)?;
            }
            while self.piece(owner, pieces.as_ref()).await? == Landed::Yes {
                if self.step(owner, |it| it.position)? >= CHANGES {
                    return Ok(());
                }
            }
        }
    }

    /// Gathers, prepares, lands and commits a piece.
    async fn piece(&self, owner: u64, pieces: &dyn Pieces) -> Result<Landed, Fenced> {
        let from = self.step(owner, |it| it.position)?;
        let end = (from + 1 + self.below(5)).min(CHANGES);
        for version in from + 1..=end {
            loop {
                self.step(owner, |_| ())?;
                let answers = pieces.gather(&[write(version, "{}")]).await;
                if answers[0].is_ok() {
                    break;
                }
                self.wait(20).await;
            }
        }
        let Some(seal) = pieces.seal(u64::try_from(end).unwrap()) else {
            return Ok(Landed::Yes);
        };
        self.step(owner, |it| it.prepared = Some((seal.clone(), end)))?;
        self.wait(600).await;
        let landed = until(|| pieces.land(&seal)).await;
        self.wait(100).await;
        if landed == Landed::Yes {
            self.ended(owner, landed, end)?;
        }
        Ok(landed)
    }

    fn ended(&self, owner: u64, landed: Landed, end: i64) -> Result<(), Fenced> {
        self.step(owner, |it| {
            it.prepared = None;
            if landed == Landed::Yes {
                it.position = end;
            }
        })
    }

    fn start(self: &Arc<Self>) -> JoinHandle<bool> {
        let world = Arc::clone(self);
        tokio::spawn(async move { world.live().await.is_ok() })
    }

    /// Waits until a piece is prepared, by whomever, or there is nothing left to do.
    async fn has_a_piece_on_its_way(&self, life: &JoinHandle<bool>) {
        while self.durable.lock().unwrap().prepared.is_none() && !life.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Lives that overlap or are cut off, and one that ends.
    async fn run(self: Arc<Self>) {
        let mut late = Vec::new();
        for _ in 0..6 {
            let life = self.start();
            for _ in 0..self.below(3) {
                let fault = usize::try_from(self.below(6)).unwrap();
                self.bench.fake.inject(FAULTS[fault]);
            }
            self.bench.fake.hold(self.below(3) == 0);
            self.has_a_piece_on_its_way(&life).await;
            self.wait(800).await;
            if self.below(2) == 0 {
                life.abort();
            } else {
                late.push(life);
            }
        }
        self.bench.fake.hold(false);
        let last = tokio::time::timeout(Duration::from_mins(1), self.start());
        assert!(last.await.expect("it ends").unwrap(), "nobody else took it");
        for life in late {
            life.await.unwrap();
        }
    }
}

/// Asks until there is an answer.
async fn until<F>(mut ask: impl FnMut() -> F) -> Landed
where
    F: Future<Output = Result<Landed, SinkError>>,
{
    loop {
        match ask().await {
            Ok(landed) => return landed,
            Err(SinkError::Retryable { .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_g3_g5_every_change_is_one_row_whoever_dies_or_wakes_up_when() {
    let worlds = (0..24).map(|seed| async move {
        let world = World::new(seed).await;
        Arc::clone(&world).run().await;
        world.bench.holds(CHANGES);
        let committed = world.durable.lock().unwrap().position;
        assert_eq!(committed, CHANGES, "seed {seed}");
    });
    join_all(worlds).await;
}
