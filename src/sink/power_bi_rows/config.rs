//! The configuration of a `power_bi_rows` sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::PowerBiRows;
use super::preview::preview;
use super::rows::definition;
use crate::config::{At, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject};
use crate::sink::append::Dedupe;
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};

/// A row per change in a table of a push dataset of Power BI.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerBiRowsSink {
    /// Directory (tenant) id of Microsoft Entra ID.
    pub tenant_id: String,
    /// Application (client) id of the service principal.
    pub client_id: String,
    /// A client secret of it.
    pub client_secret: Secret,
    /// Id of the workspace, as in its URL after `groups/`.
    pub group_id: String,
    /// Id of the push dataset, as its creation answered it.
    pub dataset_id: String,
    /// Name of the table.
    #[serde(default = "table")]
    pub table: String,
    /// Columns of text besides goldwire's own, each with the path of its attribute, nested ones with
    /// dots: `Email.Email`.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// That what rows hold of an erased subject (GDPR) stays in the table: Power BI deletes all rows of
    /// a table, and no single one.
    #[serde(default)]
    pub keeps_erased_records: bool,
    /// How copies of a change are known.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// Rows in a request at most.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 10_000))]
    pub batch: usize,
    /// Between the beginnings of two requests. Power BI takes 120 requests a minute, and 120 an hour
    /// into a table of 250,000 rows or more. Instances share it.
    #[serde(default = "min_interval")]
    pub min_interval: Period,
    /// How long rows wait for company.
    #[serde(default = "linger")]
    pub linger: Period,
    /// Where tokens come from; a national cloud has another.
    #[serde(default = "login_url")]
    pub login_url: String,
    /// Power BI's REST API; a national cloud has another.
    #[serde(default = "url")]
    pub url: String,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// Sends the client secret and rows in clear text. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
}

fn table() -> String {
    "changes".to_owned()
}
fn batch() -> usize {
    100
}
fn min_interval() -> Period {
    "500ms".into()
}
fn linger() -> Period {
    "250ms".into()
}
fn login_url() -> String {
    "https://login.microsoftonline.com".to_owned()
}
fn url() -> String {
    "https://api.powerbi.com".to_owned()
}
fn request_timeout() -> Period {
    "30s".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl PowerBiRowsSink {
    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }

    /// Where it writes, for a person.
    pub(super) fn shown(&self) -> String {
        format!(
            "table {} of dataset {} at {}",
            self.table, self.dataset_id, self.url
        )
    }
}

impl SinkKind for PowerBiRowsSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: self.shown(),
            mode: Mode::History,
            guarded: false,
            dedupe: Some(self.dedupe.window.get()),
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(self, write)
    }

    fn schema(&self, word: &str) -> Option<String> {
        if word != "power_bi_rows" {
            return None;
        }
        let text = serde_json::to_string_pretty(&definition(self)).ok()?;
        Some(format!("{text}\n"))
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        let sink = PowerBiRows::new(name, self, &deps.clock, deps.metrics, deps.portion)?;
        Ok(Arc::new(sink))
    }
}
