//! The warehouse: golden records, their history, merges and relations as tables for analysts, in
//! SQLite (embedded) or PostgreSQL.
//!
//! Guarantees: older content never replaces newer, since the statement that would compares the times
//! under the row's lock (G4). Every distinct change is one row, whatever copies of it arrive and in
//! whatever order (G5); merges are computed in the transaction that brings the rows, intervals when
//! they are read, and both end the same for every order of arrival. An acknowledgement follows
//! the commit (G3), and each write of a transaction has an outcome of its own (G7). A snapshot's
//! JSON text goes into its column as it came, every digit of its numbers with it.
//!
//! A SQLite file that was removed, renamed or replaced is noticed before the next acknowledgement.
//! PostgreSQL may stand behind a pooler in session or transaction mode: what a transaction needs it
//! sets itself. A database whose encoding is not UTF8 is refused.
//!
//! # Tables
//!
//! | table | a row is |
//! |---|---|
//! | `golden_records` | an entity as it is now: `state`, and `object` while it lives |
//! | `relations` | the same of a relation, with `start_entity` and `end_entity`; relations are not in `golden_records` |
//! | `golden_record_changes` | a change of an entity or a relation |
//! | `golden_record_history` | the same with its interval, from its commit time to the next one's: a view |
//! | `merges` | a loser and a winner: `active` until the loser was seen alive, or absorbed by another, later |
//! | `merges_resolved` | a loser and who stands for it in the end: a view |
//!
//! Columns of attributes, if the configuration has `columns`, are in the first three, their view and
//! the live views.
//!
//! Times are Reltio's, in ms. A dead subject keeps its row without content; its last snapshot is
//! in the history. State `unknown`: only older changes came so far. `active_from` and `active_until`
//! are Reltio's start and end dates; the views `golden_records_live` and `relations_live` hold what is
//! alive and active at the moment of the query. An erasure (GDPR)
//! deletes the changes up to its time, keeps those that arrive after it from becoming rows, and takes
//! the content out of the current row, which stays for that; SQLite overwrites what its file held at
//! the next checkpoint, PostgreSQL with its next vacuum. Where a snapshot holds U+0000,
//! half of a surrogate pair or a number of more digits than `numeric` has, which PostgreSQL cannot,
//! `object` has U+FFFD or the number in quotes instead, and `object_exact` the JSON as it was. A partial snapshot is laid over the current row; its history row holds what
//! it brought. SQLite's `->` keeps the digits of a number, and its `->>` makes a 64-bit float of one.

mod backfill;
mod batch;
mod cells;
mod columns;
mod config;
mod connection;
mod content;
mod dialect;
mod driver;
mod fault;
mod file;
mod postgres_url;
mod preview;
mod probe;
mod remedy;
mod row;
mod rules;
mod schema;
mod staging;
mod statements;
mod tables;
mod target;
mod views;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use config::WarehouseSink;
pub use dialect::Dialect;
pub use tables::schema_text;

pub use super::columns::{ColumnConfig, ColumnType, TypedColumn};

use self::batch::Pool;
use self::target::Target;
use super::columns::Columns;
use super::preview::takes;
use super::{Ack, Capabilities, Mode, Sink, SinkError, Write};
use crate::event::{Filter, Kind, Subject};
use crate::telemetry::Metrics;

/// Whether `url` names a database that this sink can write to; over the network in clear text only
/// if that is `insecure`. Connects to nothing.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that does not hold the URL.
pub fn check_url(url: &str, insecure: bool) -> Result<(), &'static str> {
    let target = Target::parse(url, Duration::from_secs(1))?;
    if target.is_exposed() && !insecure {
        return Err(EXPOSED);
    }
    Ok(())
}

const EXPOSED: &str = "demands no encryption on the way to another machine; add \
                       `sslmode=verify-full`, with `sslrootcert=FILE` if the authority is your own, \
                       or `sslmode=require` (`insecure_plaintext` is for networks that no one \
                       listens to)";

/// Why a warehouse cannot be as configured. Never holds the URL.
#[derive(Debug, thiserror::Error)]
#[error("sinks.{sink}.warehouse.{field} {why}")]
pub struct WarehouseError {
    sink: String,
    field: &'static str,
    why: &'static str,
}

/// Bytes of payload in a transaction at most, save for one write.
const LARGEST: usize = 8 << 20;

/// The warehouse sink.
#[derive(Debug)]
pub struct Warehouse {
    name: String,
    pool: Pool,
    capabilities: Capabilities,
    filter: Filter,
    metrics: Arc<Metrics>,
}

impl Warehouse {
    /// The sink called `name`. Connects when there is something to write, and makes the tables
    /// then: a database that cannot be reached is no error here.
    ///
    /// # Errors
    /// If the configuration names no database.
    pub fn open(
        name: &str,
        config: &WarehouseSink,
        metrics: Arc<Metrics>,
    ) -> Result<Self, WarehouseError> {
        let refused = |field, why| WarehouseError {
            sink: name.to_owned(),
            field,
            why,
        };
        let limit = config.statement_timeout.get();
        if limit.is_zero() {
            return Err(refused("statement_timeout", "is zero; write `30s`"));
        }
        let target =
            Target::parse(config.url.reveal(), limit).map_err(|why| refused("url", why))?;
        if target.is_exposed() && !config.insecure_plaintext {
            return Err(refused("url", EXPOSED));
        }
        let connections = match target.dialect() {
            Dialect::Sqlite => 1,
            Dialect::Postgres => usize::try_from(config.connections).unwrap_or(1).max(1),
        };
        Ok(Self {
            name: name.to_owned(),
            pool: Pool::new(target, Columns::new(&config.columns), connections),
            // Guard `version`: a write that lands late is refused where it is compared.
            capabilities: Capabilities {
                rows: config.batch.max(1),
                bytes: LARGEST,
                batches: connections,
                linger: config.linger.get(),
                ..Capabilities::new(Mode::History)
            },
            filter: config.filter(),
            metrics,
        })
    }

    /// Which SQL its database speaks.
    pub fn dialect(&self) -> Dialect {
        self.pool.target.dialect()
    }
}

#[async_trait]
impl Sink for Warehouse {
    fn name(&self) -> &str {
        &self.name
    }

    fn target(&self) -> String {
        self.pool.target.place()
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter, subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        self.metrics.batch(&self.name, batch.len());
        let ack = |effect| Ack {
            effect,
            second_look: false,
            read: None,
        };
        let answers = self.pool.write(batch).await;
        self.pool.columns().tell_unfit(&self.name, &self.metrics);
        answers.into_iter().map(|answer| answer.map(ack)).collect()
    }

    async fn probe(&self) -> Vec<String> {
        probe::probe(&self.pool.target, self.pool.columns()).await
    }
}
