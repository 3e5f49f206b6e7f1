//! A whole instance whose one sink is away for an hour, while changes come all the time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::event::SourceRecord;
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, MemoryLog, OffsetRange, ReadLimit,
    Retention, Share,
};

use goldwire::runtime::{Deps, Files, Instance, Parts};
use goldwire::sink::OnFull;
use goldwire::sink::{Mode, Sink};
use goldwire::store::MemoryStore;
use goldwire::telemetry::Metrics;
use goldwire::time::TokioClock;
use goldwire::topology::Config;
use prost::Message as _;
use serde_json::json;

use super::delivery::unreachable;
use super::rig::START;
use super::scripted::Scripted;
use super::tenant::person;

const LOG_QUOTA: u64 = 200_000;
const INBOX_QUOTA: u64 = 100_000;
const IN_FLIGHT: usize = 50;
const SUBJECTS: i64 = 20;
/// Simulated seconds.
const HOUR: u32 = 3600;

/// A log in memory that is full at its quota.
#[derive(Debug)]
struct BoundedLog {
    inner: MemoryLog,
    quota: u64,
    sizes: Mutex<VecDeque<u64>>,
    used: AtomicU64,
    /// Whether it ever refused.
    was_full: AtomicBool,
}

impl BoundedLog {
    fn new(quota: u64) -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryLog::new(1),
            quota,
            sizes: Mutex::default(),
            used: AtomicU64::new(0),
            was_full: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl LogAppender for BoundedLog {
    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let sizes = records
            .iter()
            .map(|record| record.len().try_into().unwrap());
        let sizes: Vec<u64> = sizes.collect();
        let more = sizes.iter().sum();
        let (used, quota) = self.usage();
        if used + more > share.of_quota(quota) {
            self.was_full.store(true, Ordering::Relaxed);
            return Err(LogError::Full { used, quota });
        }
        self.used.fetch_add(more, Ordering::Relaxed);
        self.sizes.lock().unwrap().extend(sizes);
        self.inner.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.inner.largest_record()
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        let (used, quota) = self.usage();
        let room = used < share.of_quota(quota);
        room.then_some(()).ok_or(LogError::Full { used, quota })
    }
}

#[async_trait]
impl Retention for BoundedLog {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        let before = self.range(0).start;
        self.inner.trim(floors).await?;
        let gone: usize = (self.range(0).start - before).try_into().unwrap();
        let less = self.sizes.lock().unwrap().drain(..gone).sum();
        self.used.fetch_sub(less, Ordering::Relaxed);
        Ok(())
    }

    async fn evict(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    fn usage(&self) -> (u64, u64) {
        (self.used.load(Ordering::Relaxed), self.quota)
    }
}

#[async_trait]
impl Log for BoundedLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.inner.read(partition, from, limit).await
    }

    async fn wait(&self, partition: u16, from: u64) {
        self.inner.wait(partition, from).await;
    }

    fn range(&self, partition: u16) -> OffsetRange {
        self.inner.range(partition)
    }
}

fn config() -> Config {
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
  away:
    warehouse: {{ url: \"sqlite:unused.db\" }}
log: {{ partitions: 1 }}
delivery: {{ in_flight: {IN_FLIGHT} }}
"
    );
    std::fs::write(&path, text).unwrap();
    goldwire::topology::load(&path, &|_| None).unwrap()
}

/// What the inbox holds of a change.
fn change(subject: i64, version: i64) -> Bytes {
    let object = person(&format!("entities/{subject}"), &format!("v{version}"));
    let body = json!({
        "type": "ENTITY_CHANGED", "tenantId": "acme", "sourceObjectUri": object["uri"],
        "objectVersion": version, "commitTime": START + version * 10_000, "object": object,
    });
    let record = SourceRecord {
        source: "hook".to_owned(),
        received_time: START + version * 10_000,
        body: body.to_string().into_bytes().into(),
        ..SourceRecord::default()
    };
    record.encode_to_vec().into()
}

struct Outage {
    instance: Instance,
    inbox: Arc<BoundedLog>,
    log: Arc<BoundedLog>,
    sinks: [Arc<Scripted>; 2],
    /// The newest version of each subject that was taken in.
    taken: BTreeMap<i64, i64>,
}

impl Outage {
    fn begin() -> Self {
        let (inbox, log) = (BoundedLog::new(INBOX_QUOTA), BoundedLog::new(LOG_QUOTA));
        let files = Files {
            store: Arc::new(MemoryStore::new()),
            inbox: Arc::<BoundedLog>::clone(&inbox),
            log: Arc::<BoundedLog>::clone(&log),
        };
        let sinks = ["away", "good"].map(|name| Arc::new(Scripted::new(name, Mode::Latest, None)));
        sinks[0].answers(|_| Some(Err(unreachable())));
        let with = Deps {
            clock: Arc::new(TokioClock::starting_at(START)),
            metrics: Arc::new(Metrics::noop()),
            seed: 7,
            wrap: None,
        };
        let of = |sink: &Arc<Scripted>| (Arc::clone(sink) as Arc<dyn Sink>, OnFull::Stall);
        let parts = Parts {
            sinks: sinks.iter().map(of).collect(),
            ..Parts::over(files)
        };
        Self {
            instance: Instance::assemble(&config(), &with, parts).unwrap(),
            inbox,
            log,
            sinks,
            taken: BTreeMap::new(),
        }
    }

    /// A change of every subject, until the inbox refuses one.
    async fn changes(&mut self) {
        for subject in 0..SUBJECTS {
            let version = self.taken.get(&subject).map_or(1, |version| version + 1);
            let record = vec![change(subject, version)];
            if self.inbox.append(0, record).await.is_err() {
                break;
            }
            self.taken.insert(subject, version);
        }
    }

    fn is_within_bounds(&self) {
        for sink in self.instance.sinks() {
            let status = &sink.tasks.statuses()[&0];
            assert!(status.in_flight <= IN_FLIGHT, "{}: {status:?}", sink.name);
        }
        let ingest = self.instance.ingest()[0].status.borrow();
        assert!(ingest.in_flight <= IN_FLIGHT * 10, "{ingest:?}");
        for log in [&self.inbox, &self.log] {
            let (used, quota) = log.usage();
            assert!(used <= quota);
        }
        let live = self.instance.health().livez();
        assert!(live.ok(), "a restart would not help: {live:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn g8_an_hour_without_a_sink_stays_within_bounds_and_everything_taken_in_arrives_after() {
    let mut outage = Outage::begin();
    for _ in 0..HOUR {
        outage.changes().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        outage.is_within_bounds();
    }
    assert!(
        outage.inbox.was_full.load(Ordering::Relaxed),
        "intake stalled"
    );
    let (used, quota) = outage.log.usage();
    assert!(used > quota / 10 * 9, "the log held what it may: {used}");
    assert_eq!(outage.instance.sinks()[0].tasks.statuses()[&0].position, 0);
    assert!(outage.sinks[1].holds("entities/0").is_some());

    outage.sinks[0].answers(|_| None);
    for _ in 0..HOUR {
        tokio::time::sleep(Duration::from_secs(1)).await;
        outage.is_within_bounds();
        if outage.instance.is_caught_up() {
            break;
        }
    }
    assert!(outage.instance.is_caught_up());
    for sink in &outage.sinks {
        for (subject, version) in &outage.taken {
            let held = sink.holds(&format!("entities/{subject}"));
            assert_eq!(held, Some(format!("v{version}")), "{sink:?} {subject}");
        }
    }
    // Space comes back once a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(outage.log.usage().0, 0, "the space came back");
    assert_eq!(outage.inbox.usage().0, 0, "the space came back");
}
