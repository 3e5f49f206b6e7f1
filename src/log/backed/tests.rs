use tokio::sync::watch;

use super::*;
use crate::log::{Log as _, MemoryLog, ReadLimit};

const PATIENCE: Duration = Duration::from_secs(2);

/// Brokers: what each partition does with appends, and what it has.
#[derive(Debug)]
struct Brokers {
    log: MemoryLog,
    does: watch::Sender<Vec<Does>>,
    tries: AtomicUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Take,
    Hang,
    Refuse,
}

#[async_trait]
impl LogAppender for Brokers {
    fn identity(&self) -> &LogIdentity {
        self.log.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.tries.fetch_add(1, Ordering::Relaxed);
        let mut does = self.does.subscribe();
        let of = usize::from(partition);
        let now = does.wait_for(|does| does[of] != Does::Hang).await;
        let now = now.unwrap()[of];
        if now == Does::Refuse {
            return Err(LogError::Io("no leader".to_owned()));
        }
        self.log.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.log.largest_record()
    }

    fn admits(&self, _: Share) -> Result<(), LogError> {
        Ok(())
    }
}

struct Rig {
    brokers: Arc<Brokers>,
    journal: Arc<MemoryLog>,
    log: BackedLog,
}

fn rig(partitions: u16) -> Rig {
    let does = vec![Does::Take; usize::from(partitions)];
    let brokers = Arc::new(Brokers {
        log: MemoryLog::new(partitions),
        does: watch::Sender::new(does),
        tries: AtomicUsize::new(0),
    });
    let journal = Arc::new(MemoryLog::new(1));
    let first: Arc<dyn LogAppender> = Arc::<Brokers>::clone(&brokers);
    let behind: Arc<dyn LogAppender> = Arc::<MemoryLog>::clone(&journal);
    Rig {
        brokers,
        journal,
        log: BackedLog::new(first, behind, PATIENCE),
    }
}

impl Rig {
    async fn append(&self, record: &'static str) -> Duration {
        let began = Instant::now();
        let record = Bytes::from_static(record.as_bytes());
        self.log.append(0, vec![record]).await.unwrap();
        began.elapsed()
    }

    fn all(&self, does: Does) {
        self.brokers.does.send_modify(|all| all.fill(does));
    }

    async fn of(log: &MemoryLog) -> Vec<Bytes> {
        let limit = ReadLimit {
            records: 100,
            bytes: 1000,
        };
        let mut found = Vec::new();
        for partition in 0..log.identity().partitions {
            let read = log.read(partition, 0, limit).await.unwrap();
            found.extend(read.into_iter().map(|record| record.bytes));
        }
        found.sort();
        found
    }

    async fn both(&self) -> (Vec<Bytes>, Vec<Bytes>) {
        (
            Self::of(&self.brokers.log).await,
            Self::of(&self.journal).await,
        )
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_is_spread_over_the_partitions_while_they_answer() {
    let rig = rig(3);
    for _ in 0..6 {
        assert_eq!(rig.append("a").await, Duration::ZERO);
    }
    let ends = [0, 1, 2].map(|of| rig.brokers.log.range(of).end);
    assert_eq!((ends, rig.journal.range(0).end), ([2, 2, 2], 0));
}

#[tokio::test(start_paused = true)]
async fn g1_a_broker_that_hangs_is_given_its_time_once_and_the_journal_takes_what_follows() {
    let rig = rig(1);
    rig.all(Does::Hang);
    assert_eq!(rig.append("a").await, PATIENCE);
    for record in ["b", "c", "d"] {
        assert_eq!(rig.append(record).await, Duration::ZERO);
    }
    assert!(rig.log.admits(Share::Intake).is_ok());
    assert_eq!(rig.both().await.1, ["a", "b", "c", "d"]);
    // It ends well after all: what comes next goes there. A copy is in both.
    rig.all(Does::Take);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(rig.append("e").await, Duration::ZERO);
    assert_eq!(rig.both().await.0, ["a", "e"]);
}

#[tokio::test(start_paused = true)]
async fn g8_while_a_broker_hangs_one_append_tries_it() {
    let rig = rig(1);
    rig.all(Does::Hang);
    for _ in 0..1000 {
        rig.append("a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.brokers.tries.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_refuses_is_tried_every_second_by_what_comes() {
    let rig = rig(1);
    rig.all(Does::Refuse);
    for _ in 0..100 {
        assert_eq!(rig.append("a").await, Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let tries = rig.brokers.tries.load(Ordering::Relaxed);
    assert!((9..=11).contains(&tries), "{tries}");
    rig.all(Does::Take);
    tokio::time::sleep(AGAIN).await;
    rig.append("b").await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    rig.append("c").await;
    assert_eq!(rig.both().await.0, ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_without_a_leader_is_gone_around_until_it_has_one() {
    let rig = rig(3);
    rig.brokers.does.send_modify(|all| all[1] = Does::Hang);
    let mut waited = Duration::ZERO;
    for _ in 0..50 {
        waited += rig.append("a").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((waited, rig.journal.range(0).end), (PATIENCE, 1));
    rig.brokers.does.send_modify(|all| all[1] = Does::Take);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let before = rig.brokers.log.range(1).end;
    for _ in 0..3 {
        rig.append("b").await;
    }
    assert_eq!(rig.brokers.log.range(1).end, before + 1);
}

#[tokio::test(start_paused = true)]
async fn g1_without_the_journal_the_broker_is_waited_for() {
    #[derive(Debug)]
    struct Full(MemoryLog);

    #[async_trait]
    impl LogAppender for Full {
        fn identity(&self) -> &LogIdentity {
            self.0.identity()
        }

        async fn append_within(&self, _: Share, _: u16, _: Vec<Bytes>) -> Result<u64, LogError> {
            self.admits(Share::Intake).map(|()| 0)
        }

        fn largest_record(&self) -> usize {
            self.0.largest_record()
        }

        fn admits(&self, _: Share) -> Result<(), LogError> {
            Err(LogError::Full { used: 1, quota: 1 })
        }
    }

    let Rig { brokers, .. } = rig(1);
    brokers.does.send_modify(|all| all.fill(Does::Hang));
    let first: Arc<dyn LogAppender> = Arc::<Brokers>::clone(&brokers);
    let log = BackedLog::new(first, Arc::new(Full(MemoryLog::new(1))), PATIENCE);
    let log = Arc::new(log);
    let appender = Arc::clone(&log);
    let append = tokio::spawn(async move { appender.append(0, vec![Bytes::new()]).await });
    tokio::time::sleep(PATIENCE * 2).await;
    assert!(!append.is_finished());
    assert!(log.admits(Share::Intake).is_err(), "neither takes anything");
    brokers.does.send_modify(|all| all.fill(Does::Take));
    append.await.unwrap().unwrap();
}
