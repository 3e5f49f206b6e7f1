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
mod config;
mod preview;
mod rules;
mod trouble;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

pub use appender::{Appender, FileDeps};
pub use config::FileSink;
pub use trouble::Trouble;

use super::directory;
use super::line;
use super::preview::takes;
use super::{Ack, Capabilities, Effect, Mode, Sink, SinkError, Write};
use crate::event::{Filter, Kind, Subject};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// The file sink.
#[derive(Debug)]
pub struct File {
    name: String,
    dir: std::path::PathBuf,
    capabilities: Capabilities,
    filter: Filter,
    appender: Arc<Mutex<Appender>>,
    metrics: Arc<Metrics>,
}

impl File {
    /// The sink called `name`. Opens its directory when there is something to write.
    pub fn new(name: &str, config: &FileSink, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        let appender = Appender::new(&config.dir, config.roll.get(), FileDeps::real(clock));
        Self {
            name: name.to_owned(),
            dir: config.dir.clone(),
            // What was written late is a line of its own, and overwrites nothing.
            capabilities: Capabilities {
                dedupe: Some(config.dedupe.window.get()),
                rows: config.batch.max(1),
                batches: 1,
                linger: config.linger.get(),
                ..Capabilities::new(Mode::History)
            },
            filter: config.filter(),
            appender: Arc::new(Mutex::new(appender)),
            metrics,
        }
    }

    /// Appends lines, off the runtime's threads.
    async fn append(&self, lines: Vec<u8>) -> Result<(), SinkError> {
        let appender = Arc::clone(&self.appender);
        let work = move || {
            // A panic leaves the appender without an open file; it opens one again.
            let mut appender = appender.lock().unwrap_or_else(PoisonError::into_inner);
            appender.append(&lines)
        };
        let ended = tokio::task::spawn_blocking(work).await;
        let result = ended.map_err(|_| Trouble::Ended).flatten();
        result.map_err(SinkError::from)
    }
}

#[async_trait]
impl Sink for File {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        let whole = std::path::absolute(&self.dir);
        whole.as_ref().unwrap_or(&self.dir).display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let mut lines = Vec::with_capacity(batch.iter().map(line::room).sum());
        let made: Vec<_> = batch
            .iter()
            .map(|write| line::add(&mut lines, write))
            .collect();
        let appended = if lines.is_empty() {
            Ok(())
        } else {
            self.metrics.batch(&self.name, batch.len());
            self.append(lines).await
        };
        let answers = made.into_iter().map(|made| {
            made.and_then(|()| appended.clone()).map(|()| Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            })
        });
        answers.collect()
    }

    async fn probe(&self) -> Vec<String> {
        let dir = self.dir.clone();
        let probed = tokio::task::spawn_blocking(move || directory::probe("file.dir", &dir)).await;
        probed.ok().flatten().into_iter().collect()
    }
}
