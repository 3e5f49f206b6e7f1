//! The configuration of a `warehouse` sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::preview::preview;
use super::{Dialect, Warehouse, schema_text};
use crate::config::{At, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject};
use crate::sink::columns::{ColumnConfig, Columns};
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind, without_user};
use crate::sink::{Mode, Sink, Write};

/// Current and history tables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarehouseSink {
    /// `sqlite:PATH` or `postgres://user:password@host/database`; a secret, since it holds one.
    ///
    /// On another machine `sslmode` is `verify-full`, `verify-ca` or `require`. Special characters of
    /// user and password are written %XX. Settings (`options[search_path]=mdm`) are made in each
    /// transaction, so that a pooler (`PgBouncer`, Neon, Supabase) in transaction or session mode may
    /// stand before the server.
    pub url: Secret,
    /// Sends golden records and the password in clear text to a database on another machine.
    #[serde(default)]
    pub insecure_plaintext: bool,
    /// Connections at most. SQLite always writes through one.
    #[serde(default = "pool")]
    #[schemars(range(min = 1, max = 64))]
    pub connections: u32,
    /// Writes put into one transaction at most; it holds 8 MiB of JSON at most, or one write.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 5000))]
    pub batch: usize,
    /// How long the first write of a transaction waits for company.
    #[serde(default = "linger")]
    pub linger: Period,
    /// Longest a statement may take.
    #[serde(default = "statement_timeout")]
    pub statement_timeout: Period,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
    /// Columns of attributes beside the JSON, in `golden_records`, `relations`, the history and the
    /// views: name → path of the attribute, or path and type. Its operational value is written. They are
    /// added, and filled from the stored JSON, when this changes.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnConfig>,
}

fn pool() -> u32 {
    4
}
fn batch() -> usize {
    2000
}
fn linger() -> Period {
    "5ms".into()
}
fn statement_timeout() -> Period {
    "30s".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl WarehouseSink {
    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }
}

impl SinkKind for WarehouseSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: self.shown(),
            mode: Mode::History,
            guarded: true,
            dedupe: None,
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(write, &Columns::new(&self.columns))
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        let made = Warehouse::open(name, self, deps.metrics);
        Ok(Arc::new(made.map_err(|error| error.to_string())?))
    }

    fn schema_needs(&self) -> &'static [&'static str] {
        // It says which database it is.
        &["url"]
    }

    fn schema(&self, word: &str) -> Option<String> {
        if word != "warehouse" {
            return None;
        }
        let dialect = if self.url.reveal().starts_with("sqlite:") {
            Dialect::Sqlite
        } else {
            Dialect::Postgres
        };
        Some(schema_text(dialect, &self.columns))
    }
}

impl WarehouseSink {
    /// Which database it is. A text that is no URL may be a secret in the wrong place (G10).
    fn shown(&self) -> String {
        let url = self.url.reveal();
        if url.starts_with("sqlite:") || url.contains("://") {
            without_user(url)
        } else if url.starts_with("${") && url.ends_with('}') {
            url.to_owned()
        } else {
            "the database of `url`".to_owned()
        }
    }
}
