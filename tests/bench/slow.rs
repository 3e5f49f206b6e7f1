//! A sink that takes its time, and asserts the order of each subject.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use goldwire::event::{Kind, Subject};
use goldwire::sink::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write, each};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

const LONGEST: Duration = Duration::from_millis(5);

/// Takes 0 to 5 ms for each delivery.
#[derive(Debug)]
pub(crate) struct Slow {
    seen: Mutex<Seen>,
    /// So many deliveries at the same time; those that wait for their turn take no time yet.
    turns: Semaphore,
    /// Of all subjects, the versions that they have, summed up.
    versions: watch::Sender<u64>,
}

#[derive(Debug)]
struct Seen {
    random: ChaCha8Rng,
    /// The version that each subject has.
    versions: HashMap<Subject, i64>,
    at_once: usize,
    took: Took,
}

/// What was delivered, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    /// Fewer than the records if a newer version took the place of one that waited.
    pub(crate) deliveries: usize,
    /// Deliveries under way at the same time, at most.
    pub(crate) most_at_once: usize,
    /// The time of all deliveries together: what it really was, since a timer is no finer than a
    /// millisecond.
    pub(crate) sum: Duration,
    /// When the first one began.
    pub(crate) began: Instant,
    /// When the last one ended.
    pub(crate) ended: Instant,
}

impl Slow {
    pub(crate) fn new(seed: u64, at_once: usize) -> Self {
        let nothing = Took {
            deliveries: 0,
            most_at_once: 0,
            sum: Duration::ZERO,
            began: Instant::now(),
            ended: Instant::now(),
        };
        Self {
            seen: Mutex::new(Seen {
                random: ChaCha8Rng::seed_from_u64(seed),
                versions: HashMap::new(),
                at_once: 0,
                took: nothing,
            }),
            turns: Semaphore::new(at_once),
            versions: watch::Sender::new(0),
        }
    }

    /// What it took so far.
    pub(crate) fn took(&self) -> Took {
        self.seen.lock().unwrap().took
    }

    /// Waits until the versions of all subjects are so many, from 1 and without a gap: until it has
    /// the newest of so many records.
    pub(crate) async fn has(&self, records: u64) {
        let mut versions = self.versions.subscribe();
        let all = versions.wait_for(|versions| *versions >= records);
        assert_eq!(*all.await.unwrap(), records, "more than was asked for");
    }

    /// How long the next delivery takes at least.
    fn begin(&self, began: Instant) -> Duration {
        let mut seen = self.seen.lock().unwrap();
        if seen.took.deliveries == 0 && seen.at_once == 0 {
            seen.took.began = began;
        }
        seen.at_once += 1;
        seen.took.most_at_once = seen.took.most_at_once.max(seen.at_once);
        seen.random.random_range(Duration::ZERO..LONGEST)
    }

    fn end(&self, delivery: &Write, began: Instant) {
        let version = delivery.current.as_ref().unwrap().version.unwrap();
        let mut seen = self.seen.lock().unwrap();
        let before = seen.versions.insert(delivery.subject.clone(), version);
        let before = before.unwrap_or(0);
        assert!(before < version, "G4: {version} after {before}");
        seen.at_once -= 1;
        seen.took.deliveries += 1;
        seen.took.ended = Instant::now();
        seen.took.sum += began.elapsed();
        drop(seen);
        let more = u64::try_from(version - before).unwrap();
        self.versions.send_modify(|versions| *versions += more);
    }
}

#[async_trait]
impl Sink for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new(Mode::Latest)
    }

    fn accepts(&self, _: &Subject, _: &str, _: Kind) -> bool {
        true
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let one = async |delivery: &Write| {
            let turn = self.turns.acquire().await.unwrap();
            let began = Instant::now();
            tokio::time::sleep(self.begin(began)).await;
            self.end(delivery, began);
            drop(turn);
            Ok(Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            })
        };
        each(batch, one).await
    }

    async fn probe(&self) -> Vec<String> {
        Vec::new()
    }
}
