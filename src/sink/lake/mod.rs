//! An append-only history in files of an object store or a directory, for Auto Loader, Snowpipe,
//! `DuckDB` and whatever reads Parquet.
//!
//! Guarantees: every distinct change is one row of one file (G5), since a file lands with the commit of
//! its records or not at all, and ids of changes are kept for `dedupe.window`. A file appears whole,
//! never changes, and its name is never used again. One thing makes a second row of a change: a payload
//! that comes after the change was only read from Reltio (`observed`).
//!
//! **Erasure (GDPR)**: it is a row like any other. With `erase_within`, what earlier rows hold of the
//! subject is out of the files within that time: those concerned are written again. Otherwise it stays, and
//! the sink has to be allowed to be one that keeps it.

mod body;
mod columns;
mod config;
mod databricks;
mod erasure;
mod name;
mod piece;
mod preview;
mod rewrite;
mod rules;
mod snowpipe;
mod target;
mod trouble;
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::task::AbortOnDropHandle;

pub use config::{Bucket, Format, LakeSink, Roll, Snowpipe};

use self::piece::{Files, Shared, Targets};
use self::snowpipe::Pipe;
use self::target::Target;
use super::columns::Columns;
use super::directory;
use super::pieces::{PieceLimits, Pieces, Place};
use super::preview::takes;
use super::{Ack, Capabilities, Mode, Sink, SinkError, Write};
use crate::config::Period;
use crate::event::{Filter, Kind, Subject};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// Writes that are gathered at once: it takes no longer than to copy them.
const ROWS: usize = 1000;

/// The lake sink.
#[derive(Debug)]
pub struct Lake {
    capabilities: Capabilities,
    filter: Filter,
    shared: Shared,
    roll: Roll,
    /// Bytes of rows that wait, in all partitions.
    memory: u64,
    erase_within: Option<Duration>,
}

impl Lake {
    /// The sink called `name`. Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with a URL or its options, as one sentence.
    pub fn open(
        name: &str,
        config: &LakeSink,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let first = Target::open(&config.bucket())?;
        let mirror = config.mirror.as_ref().map(Target::open).transpose();
        let mirror = mirror.map_err(|why| format!("mirror.{why}"))?;
        let pipe = config.snowpipe.as_ref();
        let pipe = pipe.map(|pipe| Pipe::new(pipe, Arc::clone(&clock)));
        let pipe = pipe.transpose().map_err(|why| format!("snowpipe.{why}"))?;
        Ok(Self {
            // A file that landed late is one whose commit waits for it.
            capabilities: Capabilities {
                dedupe: Some(config.dedupe.window.get()),
                rows: ROWS,
                batches: 1,
                ..Capabilities::new(Mode::History)
            },
            filter: config.filter(),
            shared: Shared {
                sink: name.to_owned(),
                metrics,
                targets: Arc::new(Targets { first, mirror }),
                pipe: pipe.map(Arc::new),
                format: config.format,
                columns: Arc::new(Columns::new(&config.columns)),
                clock,
                erases: config.erase_within.is_some(),
            },
            erase_within: config.erase_within.as_ref().map(Period::get),
            roll: config.roll.clone(),
            memory: config.memory.get(),
        })
    }
}

impl Lake {
    /// Takes out of all files what was erased and noted, as is done again and again with
    /// `erase_within`: how many files were written again.
    ///
    /// # Errors
    /// If a file could not be read or put; the rest is tried again the next time.
    pub async fn take_out_erased(&self) -> Result<usize, SinkError> {
        erasure::look_through(self.shared.format, &self.shared.targets).await
    }
}

#[async_trait]
impl Sink for Lake {
    fn name(&self) -> &str {
        &self.shared.sink
    }

    fn target(&self) -> String {
        self.shared.targets.first.shown().to_owned()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, subject, object_type, kind)
    }

    fn pieces(&self, place: &Place) -> Option<Arc<dyn Pieces>> {
        // One file takes rows while another is on its way.
        let share = self.memory / (2 * u64::from(place.partitions.max(1)));
        let bytes = share.min(self.roll.bytes.get());
        let limits = PieceLimits {
            rows: self.roll.rows,
            bytes: usize::try_from(bytes).unwrap_or(usize::MAX),
            age: self.roll.age.get(),
        };
        // Whoever has the first partition looks through the files of all.
        let erasing = self
            .erase_within
            .filter(|_| place.partition == 0)
            .map(|within| {
                let (name, format) = (self.shared.sink.clone(), self.shared.format);
                let targets = Arc::clone(&self.shared.targets);
                let keeps_up = erasure::keep_up(name, format, targets, within);
                AbortOnDropHandle::new(tokio::spawn(keeps_up))
            });
        let files = Files::new(self.shared.clone(), place.clone(), limits, erasing);
        Some(Arc::new(files))
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let error = SinkError::Systemic {
            code: "no_file".to_owned(),
            remedy: "the lake sink takes rows a file at a time".to_owned(),
        };
        batch.iter().map(|_| Err(error.clone())).collect()
    }

    async fn probe(&self) -> Vec<String> {
        let targets = &self.shared.targets;
        let mut wrong = Vec::new();
        for target in std::iter::once(&targets.first).chain(&targets.mirror) {
            if let Some(dir) = target.directory.clone() {
                let probe = move || directory::probe("lake.url", &dir);
                wrong.extend(tokio::task::spawn_blocking(probe).await.ok().flatten());
            } else if let Err(error) = target.ask().await {
                wrong.push(format!(
                    "lake {}: {}; let the sink's credentials get, put and list objects there",
                    target.shown(),
                    trouble::innermost(&error)
                ));
            }
        }
        wrong
    }
}
