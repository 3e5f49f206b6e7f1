//! The warehouse: golden records, their history, merges and relations as tables for analysts, in
//! SQLite (embedded) or PostgreSQL.
//!
//! Guarantees: older content never replaces newer, since the `WHERE` of the statement that would
//! is the guard (G4). Every distinct change is one row, whatever copies of it arrive and in
//! whatever order (G5); intervals, the current flag and merges are computed in the transaction
//! that brings the rows, and end the same for every order of arrival. An acknowledgement follows
//! the commit (G3), and each delivery of a transaction has an outcome of its own (G7).
//!
//! # Tables
//!
//! | table | a row is |
//! |---|---|
//! | `golden_records` | an entity as it is now: `state`, and `object` while it lives |
//! | `relations` | the same of a relation, with `start_entity` and `end_entity`; relations are not in `golden_records` |
//! | `golden_record_history` | a change of an entity or a relation, valid from its commit time to the next one's |
//! | `merges` | a loser and a winner: `active` until the loser was seen alive, or absorbed by another, later |
//!
//! Times are Reltio's, in ms. A dead subject keeps its row without content; its last snapshot is
//! in the history. State `unknown`: only older changes came so far. An erasure (GDPR) takes the
//! content out of every row up to its time, also of those that arrive after it; SQLite overwrites
//! what its file held at the next checkpoint, PostgreSQL with its next vacuum. Where a snapshot holds U+0000, which PostgreSQL
//! cannot, `object` has U+FFFD instead and `object_exact` the JSON as it was. A partial snapshot is
//! laid over the current row; its history row holds what it brought.

mod batch;
mod connection;
mod content;
mod dialect;
mod fault;
mod probe;
mod remedy;
mod row;
mod schema;
mod statements;
mod target;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use dialect::Dialect;
pub use schema::schema_text;

use self::batch::{Shared, Writers};
use self::row::Prepared;
use self::statements::Statements;
use self::target::Target;
use super::{Declaration, Delivered, Delivery, Mode, Sink, SinkError};
use crate::config::WarehouseSink;
use crate::event::{Kind, Subject};
use crate::ingest::filter::Filter;
use crate::telemetry::Metrics;

/// Whether `url` names a database that this sink can write to. Connects to nothing.
///
/// # Errors
/// What is wrong with it, as the rest of a sentence that does not hold the URL.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    Target::parse(url, Duration::from_secs(1)).map(drop)
}

/// Why a warehouse cannot be as configured. Never holds the URL.
#[derive(Debug, thiserror::Error)]
#[error("sinks.{sink}.warehouse.{field} {why}")]
pub struct WarehouseError {
    sink: String,
    field: &'static str,
    why: &'static str,
}

/// The warehouse sink.
#[derive(Debug)]
pub struct Warehouse {
    writers: Writers,
    filter: Filter,
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
        let dialect = target.dialect();
        let shared = Shared {
            sink: name.to_owned(),
            target,
            statements: Statements::new(dialect),
            batch: config.batch.max(1),
            linger: config.linger.get(),
            writers: match dialect {
                Dialect::Sqlite => 1,
                Dialect::Postgres => config.connections.max(1),
            },
            metrics,
        };
        Ok(Self {
            writers: Writers::new(shared),
            filter: Filter::new(Some(&config.object_types), Some(&config.event_types), true),
        })
    }

    /// Which SQL its database speaks.
    pub fn dialect(&self) -> Dialect {
        self.writers.shared().target.dialect()
    }
}

#[async_trait]
impl Sink for Warehouse {
    fn name(&self) -> &str {
        &self.writers.shared().sink
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: Mode::History,
            // Guard `version`: a write that lands late is refused by its own WHERE.
            reassert_after: None,
            dedupe: None,
            in_steps: false,
        }
    }

    fn wants(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        kind == Kind::Erased
            || self.filter.passes_kind(kind, subject.is_relation())
                && (object_type.is_empty() || self.filter.passes_type(object_type))
    }

    async fn deliver(&self, delivery: &Delivery) -> Result<Delivered, SinkError> {
        let prepared = Prepared::of(delivery)?;
        let effect = self.writers.write(prepared).await?;
        Ok(Delivered {
            effect,
            second_look: false,
            read: None,
        })
    }

    async fn probe(&self) -> Vec<String> {
        probe::probe(&self.writers.shared().target).await
    }
}
