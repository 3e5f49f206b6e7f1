//! The configuration of a `lake` sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Lake;
use super::databricks::notebook;
use super::preview::preview;
use crate::config::{At, ByteSize, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject};
use crate::sink::append::Dedupe;
use crate::sink::columns::{ColumnConfig, Columns};
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};

/// An append-only history in files of an object store or a directory, for Auto Loader, Snowpipe and
/// `DuckDB`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LakeSink {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `abfss://container@account.dfs.core.windows.net/prefix`,
    /// or `file:///directory`. The prefix may name a tier: `s3://lake/bronze/reltio`.
    pub url: String,
    /// Settings of the object store by the names of the Rust library `object_store`: `region`, `endpoint`,
    /// `access_key_id`, `secret_access_key`, `google_service_account`, `azure_storage_account_key`. What
    /// is not set is taken from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`), then from the machine's
    /// role.
    #[serde(default)]
    pub options: BTreeMap<String, Secret>,
    /// Sends golden records in clear text, to an `endpoint` with `http://`.
    #[serde(default)]
    pub insecure_plain_http: bool,
    /// A second place that gets a copy of every file before the file counts as written: another bucket,
    /// another region.
    #[serde(default)]
    pub mirror: Option<Bucket>,
    /// A pipe of Snowpipe that is told of every file before the file counts as written, where no
    /// notification of the object store tells it.
    #[serde(default)]
    pub snowpipe: Option<Snowpipe>,
    /// What is in a file.
    #[serde(default)]
    pub format: Format,
    /// When a file is written.
    #[serde(default)]
    pub roll: Roll,
    /// Memory of the rows that wait for their file, all partitions of the log together. A file holds
    /// at most what a partition's half of it holds, compressed.
    #[serde(default = "memory")]
    pub memory: ByteSize,
    /// What rows hold of an erased subject (GDPR) is out of the files within this time after the
    /// erasure's row: files concerned are written again under their names. All files are read for it, at
    /// most four times in that time.
    #[serde(default)]
    pub erase_within: Option<Period>,
    /// That it stays in the files instead. The erasure itself is a row; deleting the rows before it is
    /// for those to do who read them.
    #[serde(default)]
    pub keeps_erased_records: bool,
    /// Columns of attributes beside the JSON: name → path of the attribute, or path and type. Its
    /// operational value is written. A change of this applies to the files of then on.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnConfig>,
    /// How copies of a change are known.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
}

/// A place for files.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// As the sink's own `url`.
    pub url: String,
    /// As the sink's own `options`.
    #[serde(default)]
    pub options: BTreeMap<String, Secret>,
    /// As the sink's own `insecure_plain_http`.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

/// A pipe of Snowpipe, without `AUTO_INGEST`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snowpipe {
    /// The account: `myorg-myaccount`, or a locator with its region, `xy12345.eu-central-1`.
    pub account: String,
    /// The user, who has the public key in `RSA_PUBLIC_KEY`.
    pub user: String,
    /// PEM text of the user's RSA private key, unencrypted.
    pub private_key: Secret,
    /// The pipe's whole name: `DATABASE.SCHEMA.PIPE`.
    pub pipe: String,
    /// Where the sink's files are below the pipe's stage; left out, the stage is at the sink's `url`.
    #[serde(default)]
    pub stage_path: String,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// Where the account answers, if not at `https://<account>.snowflakecomputing.com`.
    pub url: Option<String>,
    /// Sends tokens in clear text, to a `url` with `http://`. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Columns, compressed with zstd.
    #[default]
    Parquet,
    /// Lines of JSON, as the `file` sink writes them.
    Ndjson,
}

/// When a file is written: at the first of these.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Roll {
    /// Rows of it.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rows: usize,
    /// What a file holds, compressed, about. A partition's half of `memory` is the most.
    pub bytes: ByteSize,
    /// Since its first row: how long a change may wait.
    pub age: Period,
}

impl Default for Roll {
    fn default() -> Self {
        Self {
            rows: 100_000,
            bytes: "64MiB".into(),
            age: "1m".into(),
        }
    }
}

fn request_timeout() -> Period {
    "30s".into()
}
fn memory() -> ByteSize {
    "96MiB".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl LakeSink {
    /// Where the files go.
    pub(super) fn bucket(&self) -> Bucket {
        Bucket {
            url: self.url.clone(),
            options: self.options.clone(),
            insecure_plain_http: self.insecure_plain_http,
        }
    }

    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }
}

impl SinkKind for LakeSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: format!("files in {}", self.url),
            mode: Mode::History,
            guarded: false,
            dedupe: Some(self.dedupe.window.get()),
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(&self.url, write, &Columns::new(&self.columns))
    }

    fn schema(&self, word: &str) -> Option<String> {
        (word == "databricks")
            .then(|| notebook(self).ok())
            .flatten()
    }

    fn schema_needs(&self) -> &'static [&'static str] {
        &["url"]
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        let made = Lake::open(name, self, deps.clock, deps.metrics);
        Ok(Arc::new(
            made.map_err(|why| format!("sinks.{name}.lake.{why}"))?,
        ))
    }
}
