//! The configuration of a `snowflake` sink.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use uuid::Uuid;

use super::Snowflake;
use super::preview::preview;
use super::schema::schema_text;
use crate::config::{At, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject};
use crate::http::snowflake::control;
use crate::sink::append::Dedupe;
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};

/// An append-only history in a table of Snowflake, by Snowpipe Streaming.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SnowflakeSink {
    /// The account: `myorg-myaccount`, or a locator with its region, `xy12345.eu-central-1`.
    pub account: String,
    /// The user, who has the public key in `RSA_PUBLIC_KEY`.
    pub user: String,
    /// PEM text of the user's RSA private key, unencrypted.
    pub private_key: Secret,
    /// The user's default role, which the printed grants are for.
    #[serde(default = "role")]
    pub role: String,
    /// The database.
    pub database: String,
    /// The schema.
    pub schema: String,
    /// The table of the changes.
    #[serde(default = "table")]
    pub table: String,
    /// The pipe; left out, the table's default one, `<TABLE>-STREAMING`.
    pub pipe: Option<String>,
    /// When rows are appended. One append holds 4 MB at most, compressed, whatever this says.
    #[serde(default)]
    pub roll: SnowflakeRoll,
    /// How long Snowflake may take to commit an append; then its channel is opened again, which
    /// discards what was not committed, and the records are read again.
    #[serde(default = "commit_timeout")]
    pub commit_timeout: Period,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// What becomes of an append of which no one can know whether it was committed, since its channel
    /// was unused for 30 days and Snowflake deleted it.
    #[serde(default)]
    pub lost_channel: LostChannel,
    /// Appends of which Snowflake refused some rows, and whose other rows a person has deleted since:
    /// their records are appended again. An append is named as in the column `piece`.
    #[serde(default)]
    pub deleted_pieces: Vec<String>,
    /// That what rows hold of an erased subject (GDPR) stays in the table until a task of Snowflake's
    /// deletes it, as `goldwire schema snowflake` prints: streaming only inserts.
    #[serde(default)]
    pub keeps_erased_records: bool,
    /// How copies of a change are known.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
    /// Where the account answers, if not at `https://<account>.snowflakecomputing.com`: a private
    /// link, or a test.
    pub url: Option<String>,
    /// Sends tokens and golden records in clear text, to a `url` with `http://`. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

/// When rows are appended: at the first of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SnowflakeRoll {
    /// Rows of an append.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rows: usize,
    /// Since its first row: how long a change may wait.
    pub age: Period,
}

impl Default for SnowflakeRoll {
    fn default() -> Self {
        Self {
            rows: 100_000,
            age: "10s".into(),
        }
    }
}

/// What becomes of an append of which no one can know whether it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LostChannel {
    /// The sink halts, and says how to find out.
    #[default]
    Halt,
    /// It was not: its records are read again.
    NotCommitted,
    /// It was.
    Committed,
}

fn role() -> String {
    "GOLDWIRE".to_owned()
}
fn table() -> String {
    "GOLDEN_RECORD_CHANGES".to_owned()
}
fn commit_timeout() -> Period {
    "2m".into()
}
fn request_timeout() -> Period {
    "60s".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl SnowflakeSink {
    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }

    /// The pipe that rows go through, as Snowflake spells a name that was written without quotes.
    pub(super) fn pipe(&self) -> String {
        let default = || format!("{}-STREAMING", self.table);
        self.pipe.clone().unwrap_or_else(default).to_uppercase()
    }

    /// The pieces of `deleted_pieces`.
    pub(super) fn deleted(&self) -> Vec<Uuid> {
        let pieces = self.deleted_pieces.iter();
        pieces.filter_map(|it| Uuid::try_parse(it).ok()).collect()
    }

    /// The table's whole name.
    pub(super) fn place(&self) -> String {
        format!("{}.{}.{}", self.database, self.schema, self.table)
    }

    /// Where the account answers.
    pub(super) fn control(&self) -> String {
        control(&self.account, self.url.as_deref())
    }
}

impl SinkKind for SnowflakeSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: format!("{} at {}", self.place(), self.account),
            mode: Mode::History,
            guarded: false,
            dedupe: Some(self.dedupe.window.get()),
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(&self.place(), write)
    }

    fn schema(&self, word: &str) -> Option<String> {
        (word == "snowflake").then(|| schema_text(self))
    }

    fn schema_needs(&self) -> &'static [&'static str] {
        &["user", "role", "database", "schema", "table", "pipe"]
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        let made = Snowflake::open(name, self, deps.clock, deps.metrics);
        Ok(Arc::new(
            made.map_err(|why| format!("sinks.{name}.snowflake.{why}"))?,
        ))
    }
}
