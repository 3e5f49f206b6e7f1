//! Deliveries of many lanes, gathered into transactions; each is answered by itself (G7).
//!
//! A writer owns its connection and is nobody's future: a lane that goes away does not cut a
//! transaction short. What waits is bounded by one batch (G8).

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Failed};
use super::fault::{Fault, Phase};
use super::row::{Key, Prepared};
use super::schema;
use super::statements::Statements;
use super::target::Target;
use super::write::write;
use crate::sink::{Effect, SinkError};
use crate::telemetry::Metrics;

/// A transaction holds about this much JSON at most, or one delivery.
const LARGEST: usize = 8 << 20;

/// What the writers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) sink: String,
    pub(super) target: Target,
    pub(super) statements: Statements,
    /// Deliveries in a transaction at most.
    pub(super) batch: usize,
    /// How long the first one waits for company.
    pub(super) linger: Duration,
    /// How many write at once.
    pub(super) writers: u32,
    pub(super) metrics: Arc<Metrics>,
}

#[derive(Debug)]
struct Job {
    prepared: Prepared,
    answer: oneshot::Sender<Result<Effect, SinkError>>,
}

/// The way to the writers. They start with the first delivery and end with this.
#[derive(Debug)]
pub(super) struct Writers {
    shared: Arc<Shared>,
    jobs: OnceLock<mpsc::Sender<Job>>,
}

impl Writers {
    pub(super) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
            jobs: OnceLock::new(),
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Has `prepared` written; returns after its transaction is committed.
    pub(super) async fn write(&self, prepared: Prepared) -> Result<Effect, SinkError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.get_or_init(|| start(&self.shared));
        if jobs.send(Job { prepared, answer }).await.is_err() {
            return Err(gone(false));
        }
        answered.await.unwrap_or_else(|_| Err(gone(true)))
    }
}

/// The writers ended: the process stops.
fn gone(ambiguous: bool) -> SinkError {
    SinkError::Retryable {
        code: "writer_gone".to_owned(),
        ambiguous,
        outage: true,
    }
}

fn start(shared: &Arc<Shared>) -> mpsc::Sender<Job> {
    let (sender, jobs) = mpsc::channel(shared.batch);
    let intake = Arc::new(Mutex::new(Intake { jobs, held: None }));
    for _ in 0..shared.writers {
        let writer = Writer {
            shared: Arc::clone(shared),
            connection: None,
        };
        tokio::spawn(writer.run(Arc::clone(&intake)));
    }
    sender
}

/// Where batches are gathered, by one writer at a time while the others write.
#[derive(Debug)]
struct Intake {
    jobs: mpsc::Receiver<Job>,
    /// Taken, but no part of the batch it was taken for.
    held: Option<Job>,
}

impl Intake {
    /// The next batch, no subject twice; nothing when there will be no more.
    async fn gather(&mut self, shared: &Shared) -> Option<Vec<Job>> {
        let first = match self.held.take() {
            Some(job) => job,
            None => self.jobs.recv().await?,
        };
        let deadline = Instant::now() + shared.linger;
        let mut bytes = first.prepared.bytes;
        let mut subjects: HashSet<Key> = HashSet::from([first.prepared.key.clone()]);
        let mut batch = vec![first];
        while batch.len() < shared.batch {
            let Ok(Some(job)) = timeout_at(deadline, self.jobs.recv()).await else {
                break;
            };
            bytes = bytes.saturating_add(job.prepared.bytes);
            if bytes > LARGEST || !subjects.insert(job.prepared.key.clone()) {
                self.held = Some(job);
                break;
            }
            batch.push(job);
        }
        Some(batch)
    }
}

struct Writer {
    shared: Arc<Shared>,
    connection: Option<Connection>,
}

impl Writer {
    async fn run(mut self, intake: Arc<Mutex<Intake>>) {
        loop {
            let batch = intake.lock().await.gather(&self.shared).await;
            let Some(batch) = batch else { break };
            self.shared.metrics.batch(&self.shared.sink, batch.len());
            self.settle(batch).await;
        }
        if let Some(connection) = self.connection {
            connection.close().await;
        }
    }

    /// Answers every job. A batch that fails for what may be one record's sake is halved until
    /// that record is alone.
    async fn settle(&mut self, batch: Vec<Job>) {
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            match self.write(&part).await {
                Ok(effects) => {
                    for (job, effect) in part.into_iter().zip(effects) {
                        answer(job, Ok(effect));
                    }
                }
                Err(fault) if fault.of_a_record && part.len() > 1 => {
                    let half = part.split_off(part.len() / 2);
                    parts.push(half);
                    parts.push(part);
                }
                Err(fault) => {
                    // The target's failure is everybody's; a record's is its own.
                    if !fault.of_a_record {
                        part.extend(parts.drain(..).flatten());
                    }
                    for job in part {
                        answer(job, Err(fault.error.clone()));
                    }
                }
            }
        }
    }

    async fn write(&mut self, part: &[Job]) -> Result<Vec<Effect>, Fault> {
        let rows: Vec<&Prepared> = part.iter().map(|job| &job.prepared).collect();
        loop {
            let (mut connection, kept) = match self.connection.take() {
                Some(connection) => (connection, true),
                None => (connect(&self.shared.target).await?, false),
            };
            let result = write(&mut connection, &self.shared.statements, &rows).await;
            let broken = match result {
                Ok(effects) => {
                    self.connection = Some(connection);
                    return Ok(effects);
                }
                Err(broken) => broken,
            };
            let fault = Fault::of(&broken.failed, broken.phase);
            if !fault.lost {
                if connection.roll_back().await.is_ok() {
                    self.connection = Some(connection);
                }
                return Err(fault);
            }
            drop(connection);
            // A kept connection that died of idleness says nothing about the server now.
            let idled = kept && broken.phase == Phase::Begin;
            if !idled || matches!(broken.failed, Failed::Timeout) {
                return Err(fault);
            }
        }
    }
}

/// A connection whose tables are as this program knows them.
async fn connect(target: &Target) -> Result<Connection, Fault> {
    let ready = async {
        let mut connection = Connection::open(target).await?;
        match schema::migrate(&mut connection).await? {
            schema::VERSION => Ok(connection),
            newer => Err(Failed::Newer(newer)),
        }
    };
    ready
        .await
        .map_err(|failed| Fault::of(&failed, Phase::Connect))
}

fn answer(job: Job, result: Result<Effect, SinkError>) {
    // A lane that went away needs no answer: its record is read again.
    drop(job.answer.send(result));
}
