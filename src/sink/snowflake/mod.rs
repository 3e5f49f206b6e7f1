//! An append-only history in a table of Snowflake, by Snowpipe Streaming (high-performance, named
//! channels).
//!
//! Guarantees: every distinct change is one row (G5): an append is committed with its records or not at
//! all, what Snowflake has committed is asked and not assumed, and ids of changes are kept for
//! `dedupe.window`. An append that was answered is durable only when the channel says so. One thing
//! makes a second row of a change: a payload that comes after the change was only read from Reltio
//! (`observed`). Another may, where Snowflake refused some rows of an append: then the sink halts, and
//! says what to delete before they are appended again.
//!
//! **Erasure (GDPR)**: it is a row like any other. Streaming only inserts: the rows before it are
//! deleted by a task of Snowflake's, which `goldwire schema snowflake` prints.

mod body;
mod channel;
mod config;
mod http;
mod land;
mod piece;
mod preview;
mod recover;
mod rows;
mod rules;
mod schema;
mod session;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::{LostChannel, SnowflakeRoll, SnowflakeSink};

use self::piece::{Appends, DUE, Shared};
use self::wire::Wire;
use super::pieces::{PieceLimits, Pieces, Place};
use super::preview::takes;
use super::registry::without_user;
use super::{Ack, Capabilities, Mode, SILENCE, Sink, SinkError, Write};
use crate::event::{Filter, Kind, Subject};
use crate::telemetry::Metrics;
use crate::time::SharedClock;

/// Writes that are gathered at once, and bytes of their payloads: it takes no longer than to copy
/// them.
const ROWS: usize = 1000;
const BYTES: usize = 4 << 20;
/// An unknown channel; its status tells whether the pipe is there.
const NOBODY: &str = "GOLDWIRE-PROBE";

/// The Snowflake sink.
#[derive(Debug)]
pub struct Snowflake {
    capabilities: Capabilities,
    filter: Filter,
    shared: Shared,
    limits: PieceLimits,
    host: String,
    silence: Duration,
}

impl Snowflake {
    /// The sink called `name`. Connects to nothing.
    ///
    /// # Errors
    /// What is wrong with a URL or the key, as one sentence.
    pub fn open(
        name: &str,
        config: &SnowflakeSink,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let wire = Arc::new(Wire::new(config, Arc::clone(&clock))?);
        let commit_timeout = config.commit_timeout.get();
        Ok(Self {
            // What is appended late is refused: its channel was opened again.
            capabilities: Capabilities {
                dedupe: Some(config.dedupe.window.get()),
                rows: ROWS,
                bytes: BYTES,
                batches: 1,
                ..Capabilities::new(Mode::History)
            },
            filter: config.filter(),
            shared: Shared {
                sink: name.to_owned(),
                metrics,
                wire,
                clock,
                table: config.place(),
                commit_timeout,
                lost_channel: config.lost_channel,
                deleted_pieces: config.deleted(),
            },
            limits: PieceLimits {
                rows: config.roll.rows,
                bytes: DUE,
                age: config.roll.age.get(),
            },
            host: without_user(&config.control()),
            silence: SILENCE + commit_timeout,
        })
    }
}

#[async_trait]
impl Sink for Snowflake {
    fn name(&self) -> &str {
        &self.shared.sink
    }

    fn target(&self) -> String {
        format!("{} at {}", self.shared.table, self.host)
    }

    fn silence(&self) -> Duration {
        self.silence
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, subject, object_type, kind)
    }

    fn pieces(&self, place: &Place) -> Option<Arc<dyn Pieces>> {
        let appends = Appends::new(self.shared.clone(), place.clone(), self.limits);
        Some(Arc::new(appends))
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        let error = SinkError::Systemic {
            code: "no_append".to_owned(),
            remedy: "the snowflake sink takes rows an append at a time".to_owned(),
        };
        batch.iter().map(|_| Err(error.clone())).collect()
    }

    async fn probe(&self) -> Vec<String> {
        let status = self.shared.wire.status(NOBODY).await;
        let wrong = status.err().map(|error| format!("snowflake: {error}"));
        wrong.into_iter().collect()
    }
}
