//! An append-only history in files, for whatever loads newline-delimited JSON: COPY, Snowpipe,
//! `read_json` of `DuckDB`, jq.
//!
//! Guarantees: an acknowledgement follows the fsync of the line (G3); a line that was acknowledged
//! is never cut. Every distinct change is one line (G5), since ids are kept for `dedupe.window`;
//! two things make a second line of a change, and the last of a (tenant, subject, version,
//! commit time) is the one to take:
//!
//! - a crash between the fsync and the commit: what was in flight comes again, with the same id;
//! - a payload that comes after the change was only read from Reltio (`observed`).
//!
//! There is no current table. What would only touch one leaves no line: what Reltio is asked for,
//! and events that lack a clock.
//!
//! **Erasure (GDPR)**: it is a line like any other. What earlier lines hold of the subject stays in
//! the files until their reader deletes it, so the sink has to be allowed to be one that keeps it.
//!
//! Files are named by a number that grows, the time in ms at which they were begun. Only the newest
//! grows; the others never change again.

mod appender;
mod line;
mod probe;
mod trouble;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

pub use appender::{Appender, Seams};
pub use trouble::Trouble;

use super::batch::{Batcher, SendRows, Shape};
use super::{Declaration, Delivered, Delivery, Effect, Mode, Sink, SinkError};
use crate::config::FileSink;
use crate::event::{Kind, Subject};
use crate::ingest::filter::Filter;
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// The file sink.
#[derive(Debug)]
pub struct File {
    name: String,
    dir: std::path::PathBuf,
    window: Duration,
    filter: Filter,
    batches: Batcher<Vec<u8>, Result<(), SinkError>>,
}

impl File {
    /// The sink called `name`. Opens its directory when there is something to write.
    pub fn new(name: &str, config: &FileSink, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        let appender = Appender::new(&config.dir, config.roll.get(), Seams::real(clock));
        let sends = Sends {
            sink: name.to_owned(),
            appender: Arc::new(Mutex::new(appender)),
            metrics,
        };
        let shape = Shape {
            linger: config.linger.get(),
            largest: config.batch.max(1),
        };
        Self {
            name: name.to_owned(),
            dir: config.dir.clone(),
            window: config.dedupe.window.get(),
            filter: Filter::new(Some(&config.object_types), Some(&config.event_types), true),
            // One write at a time: lines are in the order in which they were handed in.
            batches: Batcher::new(shape, Arc::new(Semaphore::new(1)), sends),
        }
    }
}

/// Appends batches, off the runtime's threads.
#[derive(Debug)]
struct Sends {
    sink: String,
    appender: Arc<Mutex<Appender>>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl SendRows<Vec<u8>, Result<(), SinkError>> for Sends {
    async fn send(&self, lines: Vec<Vec<u8>>) -> Vec<Result<(), SinkError>> {
        let count = lines.len();
        self.metrics.batch(&self.sink, count);
        let appender = Arc::clone(&self.appender);
        let work = move || {
            // A panic leaves the appender without an open file; it opens one again.
            let mut appender = appender.lock().unwrap_or_else(PoisonError::into_inner);
            appender.append(&lines.concat())
        };
        let ended = tokio::task::spawn_blocking(work).await;
        let result = ended
            .map_err(|_| Trouble::Ended)
            .flatten()
            .map_err(SinkError::from);
        vec![result; count]
    }
}

#[async_trait]
impl Sink for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: Mode::History,
            // What was written late is a line of its own, and overwrites nothing.
            reassert_after: None,
            dedupe: Some(self.window),
            in_steps: false,
        }
    }

    fn wants(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        kind == Kind::Erased
            || self.filter.passes_kind(kind, subject.is_relation())
                && (object_type.is_empty() || self.filter.passes_type(object_type))
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Delivered, SinkError> {
        let lines = line::lines(delivery)?;
        if !lines.is_empty() {
            let key = delivery.subject.to_string();
            let appended = self.batches.submit(key, lines).await;
            appended.unwrap_or_else(|| Err(Trouble::Ended.into()))?;
        }
        Ok(Delivered {
            effect: Effect::Delivered,
            second_look: false,
            read: None,
        })
    }

    async fn probe(&self) -> Vec<String> {
        let dir = self.dir.clone();
        let probed = tokio::task::spawn_blocking(move || probe::probe(&dir)).await;
        probed.ok().flatten().into_iter().collect()
    }
}
