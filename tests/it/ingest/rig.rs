//! An ingest task between a source and a log that do as they are told.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::dead_letter::StoredLetters;
use goldwire::decode::DecodeSettings;
use goldwire::engine::ClockRules;
use goldwire::event::CompletenessConfig;
use goldwire::event::Filter;
use goldwire::event::{Object, Origin, Received, SourceRecord};
use goldwire::ingest::{IngestContext, IngestSettings, IngestStatus, IngestTask, SourceRules};
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, MemoryLog, OffsetRange, ReadLimit,
    Retention, Share,
};
use goldwire::reltio::{Answer, Found, RecordReader, ReltioError};
use goldwire::schema_registry::SchemaRegistry;
use goldwire::source::{Batch, Committing, Room, Source, SourceEvent};
use goldwire::store::{MemoryStore, Store};
use goldwire::telemetry::Metrics;
use goldwire::time::TokioClock;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const START: i64 = 1_800_000_000_000;
/// The entity that Reltio knows, and how large it is.
pub(super) const LARGE: &str = "entities/large";
pub(super) const LARGER: usize = 4000;
pub(super) const PARTITIONS: u16 = 4;
pub(super) const IN_FLIGHT: usize = 1000;
pub(super) const IN_FLIGHT_BYTES: usize = 1 << 20;
pub(super) const DRAIN: Duration = Duration::from_secs(5);

/// What the source was told to make durable, and did.
#[derive(Debug, Default)]
pub(super) struct Taken(Mutex<Vec<(i32, u64)>>);

impl Taken {
    /// The newest position of a partition.
    pub(super) fn of(&self, partition: i32) -> Option<u64> {
        let taken = self.0.lock().unwrap();
        let mut of = taken.iter().filter(|(of, _)| *of == partition);
        of.next_back().map(|(_, position)| *position)
    }
}

#[derive(Debug)]
struct Told {
    events: mpsc::UnboundedReceiver<SourceEvent>,
    batches: mpsc::UnboundedReceiver<Batch>,
    answers: watch::Receiver<bool>,
    taken: Arc<Taken>,
}

#[async_trait]
impl Source for Told {
    fn name(&self) -> &'static str {
        "told"
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => event,
            Some(batch) = self.batches.recv(), if !room.is_none() => SourceEvent::Batch(batch),
        }
    }

    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing {
        let (mut answers, positions) = (self.answers.clone(), positions.to_vec());
        let taken = Arc::clone(&self.taken);
        Box::pin(async move {
            answers.wait_for(|answers| *answers).await.unwrap();
            taken.0.lock().unwrap().extend(positions);
            Ok(())
        })
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        Vec::new()
    }
}

/// A log that can be held, or be full.
#[derive(Debug)]
pub(super) struct HeldLog {
    inner: MemoryLog,
    /// Appends wait while this is false.
    pub(super) opens: watch::Sender<bool>,
    pub(super) full: AtomicBool,
    /// Records that one append may have at most.
    pub(super) largest: AtomicUsize,
    /// Bytes that one record may have at most.
    pub(super) largest_record: AtomicUsize,
    pub(super) appends: AtomicUsize,
    /// Bytes in appends that wait.
    pub(super) waiting: AtomicUsize,
}

impl HeldLog {
    /// How many records a partition holds, over all partitions.
    pub(super) fn records(&self) -> u64 {
        (0..PARTITIONS).map(|of| self.range(of).end).sum()
    }
}

#[async_trait]
impl LogAppender for HeldLog {
    fn identity(&self) -> &LogIdentity {
        self.inner.identity()
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.appends.fetch_add(1, Ordering::Relaxed);
        let larger = |record: &Bytes| record.len() > self.largest_record();
        if records.iter().any(larger) {
            return Err(LogError::Refused("a record is too large".to_owned()));
        }
        let bytes = records.iter().map(Bytes::len).sum();
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        let opens = self
            .opens
            .subscribe()
            .wait_for(|opens| *opens)
            .await
            .is_ok();
        self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        let too_large = records.len() > self.largest.load(Ordering::Relaxed);
        if !opens || too_large || self.full.load(Ordering::Relaxed) {
            return Err(LogError::Full { used: 2, quota: 1 });
        }
        self.inner.append_within(share, partition, records).await
    }

    fn largest_record(&self) -> usize {
        self.largest_record.load(Ordering::Relaxed)
    }

    fn admits(&self, _: Share) -> Result<(), LogError> {
        Ok(())
    }
}

#[async_trait]
impl Retention for HeldLog {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.trim(floors).await
    }

    async fn evict(&self, floors: &[u64]) -> Result<(), LogError> {
        self.inner.evict(floors).await
    }

    fn usage(&self) -> (u64, u64) {
        self.inner.usage()
    }
}

#[async_trait]
impl Log for HeldLog {
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

/// A Reltio that knows one entity, once it answers.
#[derive(Debug)]
struct OfOne(watch::Receiver<bool>);

#[async_trait]
impl RecordReader for OfOne {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        let mut answers = self.0.clone();
        answers.wait_for(|answers| *answers).await.unwrap();
        if uri == LARGE {
            let object = json!({ "uri": uri, "label": "x".repeat(LARGER) }).to_string();
            let object = Object::parse(object.as_bytes()).unwrap();
            return Ok(Answer {
                date: START + 3_600_000,
                found: Found::Alive(Arc::new(object)),
            });
        }
        Err(ReltioError::Rejected {
            code: "no_such_type".to_owned(),
        })
    }

    async fn by_crosswalk(&self, _: &str, _: &str) -> Result<Answer, ReltioError> {
        std::future::pending().await
    }
}

pub(super) struct Rig {
    events: mpsc::UnboundedSender<SourceEvent>,
    batches: mpsc::UnboundedSender<Batch>,
    /// Whether the source answers commits.
    pub(super) commits: watch::Sender<bool>,
    /// Whether Reltio answers.
    pub(super) reltio: watch::Sender<bool>,
    pub(super) taken: Arc<Taken>,
    pub(super) log: Arc<HeldLog>,
    pub(super) store: Arc<dyn Store>,
    pub(super) status: watch::Receiver<IngestStatus>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    /// One whose source has a schema registry.
    pub(super) fn with(schemas: Option<Arc<SchemaRegistry>>) -> Self {
        let (events, told) = mpsc::unbounded_channel();
        let (batches, records) = mpsc::unbounded_channel();
        let (commits, reltio) = (watch::Sender::new(true), watch::Sender::new(true));
        let taken = Arc::new(Taken::default());
        let source = Told {
            events: told,
            batches: records,
            answers: commits.subscribe(),
            taken: Arc::clone(&taken),
        };
        let log = Arc::new(HeldLog {
            inner: MemoryLog::new(PARTITIONS),
            opens: watch::Sender::new(true),
            full: AtomicBool::new(false),
            largest: AtomicUsize::new(usize::MAX),
            largest_record: AtomicUsize::new(usize::MAX),
            appends: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        });
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let rules = SourceRules {
            decode: DecodeSettings {
                tenant: "acme".to_owned(),
                completeness: CompletenessConfig::Whole,
                max_bytes: 1 << 20,
            },
            filter: Filter::new(None, None, true),
            schemas,
        };
        let context = IngestContext {
            sources: Arc::new(HashMap::from([("told".to_owned(), rules)])),
            log: Arc::<HeldLog>::clone(&log),
            letters: Arc::new(StoredLetters::new(Arc::clone(&store))),
            reltio: Some(Arc::new(OfOne(reltio.subscribe()))),
            rules: ClockRules::new(1000, 100),
            clock: Arc::new(TokioClock::starting_at(START)),
            metrics: Arc::new(Metrics::noop()),
            reads: Arc::default(),
        };
        let settings = IngestSettings {
            in_flight: IN_FLIGHT,
            in_flight_bytes: IN_FLIGHT_BYTES,
            commit_interval: Duration::from_millis(100),
            drain_timeout: DRAIN,
        };
        let task = IngestTask::new(Box::new(source), context, settings);
        let (status, stop) = (task.status(), CancellationToken::new());
        let rig = Self {
            events,
            batches,
            commits,
            reltio,
            taken,
            log,
            store,
            status,
            task: tokio::spawn(task.run(stop.clone())),
            stop,
        };
        let partitions = vec![0, 1];
        rig.tell(SourceEvent::Assigned { partitions });
        rig
    }

    pub(super) fn tell(&self, event: SourceEvent) {
        self.events.send(event).unwrap();
    }

    /// Hands over bodies as one batch, from `offset` on.
    pub(super) fn send(&self, partition: i32, offset: i64, bodies: Vec<Vec<u8>>) {
        let records = (offset..).zip(bodies).map(|(offset, body)| {
            Received::from(SourceRecord {
                source: "told".to_owned(),
                received_time: START,
                origin: Some(Origin {
                    partition,
                    offset,
                    ..Origin::default()
                }),
                body: body.into(),
                ..SourceRecord::default()
            })
        });
        let batch = Batch {
            partition,
            records: records.collect(),
            reached: None,
        };
        self.batches.send(batch).unwrap();
    }

    /// Reading got to `position`; what lies before it and was not sent is no record.
    pub(super) fn reach(&self, partition: i32, position: u64) {
        let batch = Batch {
            partition,
            reached: Some(position),
            ..Batch::default()
        };
        self.batches.send(batch).unwrap();
    }

    pub(super) async fn pass(&self, millis: u64) {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Stops the task; how long it took.
    pub(super) async fn stop(self) -> Duration {
        let began = tokio::time::Instant::now();
        self.stop.cancel();
        self.task.await.unwrap();
        assert!(self.status.borrow().stopped);
        began.elapsed()
    }
}

/// A snapshot.
pub(super) fn event(subject: usize, version: usize) -> Vec<u8> {
    let time = 1_800_000_000_000 + version;
    format!(
        r#"{{"type":"ENTITY_CHANGED","tenantId":"acme","objectVersion":{version},"commitTime":{time},"object":{{"uri":"entities/{subject}","type":"configuration/entityTypes/HCP","attributes":{{}}}}}}"#
    )
    .into_bytes()
}

/// An event that has to be read.
pub(super) fn hint(subject: usize) -> Vec<u8> {
    format!(r#"{{"type":"ENTITY_CHANGED","uri":"entities/{subject}"}}"#).into_bytes()
}
