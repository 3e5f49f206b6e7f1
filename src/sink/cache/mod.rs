//! The newest golden records on this machine's disk, served over HTTP: what others read while Reltio
//! is away.
//!
//! Guarantees: a record is acknowledged when it is durable (G3). What is older than what is kept
//! changes nothing, whatever writes it (G4): the table compares content times itself. A loser is
//! answered with its survivor. What was erased is answered no more from the acknowledgement on, and
//! is gone from the files `purge_after` later. No one is answered without a token.
//!
//! `docs/cache.md` says what an answer holds, and what its mark `stale` means.

mod answer;
mod config;
mod entry;
mod place;
mod preview;
mod purge;
mod rules;
mod serve;
mod table;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

pub use config::CacheSink;
pub use entry::Entry;
pub use table::{Found, Row, Table};

use self::place::Place;
use self::serve::Desk;
use super::{
    Ack, Capabilities, Effect, Mode, Serving, Sink, SinkError, UNANSWERED, Write, directory,
};
use crate::event::{Filter, Kind, Subject};
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock};

/// That nothing is known yet, as a time.
const NEVER: Millis = Millis::MIN;

/// The cache sink.
#[derive(Debug)]
pub struct Cache {
    name: String,
    config: CacheSink,
    filter: Filter,
    place: Arc<Place>,
    /// The newest time of which it is known that the cache has everything of then, ms.
    as_of: Arc<AtomicI64>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

impl Cache {
    /// The sink called `name`. Opens its table when there is something to write or to answer.
    pub fn new(name: &str, config: &CacheSink, clock: SharedClock, metrics: Arc<Metrics>) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
            filter: config.filter(),
            place: Arc::new(Place::new(&config.dir, config.memory.get())),
            as_of: Arc::new(AtomicI64::new(NEVER)),
            clock,
            metrics,
        }
    }

    /// Rewrites the table's files now if erased content may be left in them for `purge_after` or
    /// longer. Blocks on the disk.
    ///
    /// # Errors
    /// If the disk fails, or the directory is not to be had.
    pub fn purge_if_due(&self) -> Result<bool, SinkError> {
        let after = self.config.purge_after.get();
        purge::purge_if_due(&self.place, &self.clock, after).map_err(place::failed)
    }

    /// Keeps rows, off the runtime's threads.
    async fn keep(&self, rows: Vec<Row>) -> Result<Vec<Result<Ack, SinkError>>, SinkError> {
        let (place, now) = (Arc::clone(&self.place), self.clock.now());
        let work = move || place.open()?.table.write(&rows, now);
        let ended = tokio::task::spawn_blocking(work).await;
        // No one knows what a thread wrote that panicked.
        let effects = ended.map_err(|_| UNANSWERED)?.map_err(place::failed)?;
        Ok(effects.into_iter().map(|made| made.map(ack)).collect())
    }
}

fn ack(effect: Effect) -> Ack {
    Ack {
        effect,
        second_look: false,
        read: None,
    }
}

/// What is to be kept of a write; nothing if there is no news, or it is about a relation, of which
/// erasures come.
fn row(write: &Write) -> Option<Row> {
    let current = write.current.clone()?;
    (!write.subject.is_relation()).then(|| Row {
        subject: write.subject.clone(),
        object_type: write.object_type.to_string(),
        current,
    })
}

#[async_trait]
impl Sink for Cache {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        let dir = self.place.dir();
        let whole = std::path::absolute(dir);
        whole.as_deref().unwrap_or(dir).display().to_string()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            rows: self.config.batch.max(1),
            batches: 1,
            linger: self.config.linger.get(),
            ..Capabilities::new(Mode::Latest)
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        config::takes_entity(&self.filter, subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let rows: Vec<Option<Row>> = batch.iter().map(row).collect();
        let is_kept: Vec<bool> = rows.iter().map(Option::is_some).collect();
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        if rows.is_empty() {
            return vec![Ok(ack(Effect::Delivered)); batch.len()];
        }
        self.metrics.batch(&self.name, rows.len());
        let mut kept = match self.keep(rows).await {
            Ok(kept) => kept.into_iter(),
            Err(error) => return vec![Err(error); batch.len()],
        };
        let answers = is_kept.into_iter().map(|is_kept| {
            if is_kept {
                kept.next().unwrap_or(Err(UNANSWERED))
            } else {
                Ok(ack(Effect::Delivered))
            }
        });
        answers.collect()
    }

    async fn serve(&self) -> Result<Option<Serving>, String> {
        let desk = Desk::new(
            &self.name,
            &self.config,
            &self.place,
            &self.as_of,
            (&self.clock, &self.metrics),
        );
        serve::start(&self.name, &self.config, desk).await.map(Some)
    }

    fn caught_up(&self, time: Millis) {
        self.as_of.fetch_max(time, Ordering::AcqRel);
    }

    async fn probe(&self) -> Vec<String> {
        let dir = self.place.dir().to_owned();
        let probed = tokio::task::spawn_blocking(move || directory::probe("cache.dir", &dir)).await;
        probed.ok().flatten().into_iter().collect()
    }
}
