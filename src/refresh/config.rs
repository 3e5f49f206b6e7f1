//! The configuration of a refresh.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Pacing;
use crate::config::{Period, Secret};

/// A dashboard that is refreshed after what a sink wrote: exactly one of `power_bi` and `tableau`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshConfig {
    /// The sink whose target the dashboard reads. A refresh follows what that sink has committed.
    pub after: String,
    /// Refreshes in any 24 hours at most. They start no closer than a day divided by it: with 8,
    /// three hours. Less what the service's own schedule takes of the same limit.
    #[serde(default = "budget_per_day")]
    #[schemars(range(min = 1, max = 1440))]
    pub budget_per_day: u32,
    /// The least time between two starts, where the budget would allow less.
    #[serde(default = "min_interval")]
    pub min_interval: Period,
    /// A Power BI dataset (semantic model).
    pub power_bi: Option<PowerBi>,
    /// An extract of Tableau.
    pub tableau: Option<Tableau>,
}

fn budget_per_day() -> u32 {
    8
}
fn min_interval() -> Period {
    "15m".into()
}
fn request_timeout() -> Period {
    "30s".into()
}

impl RefreshConfig {
    /// How far apart refreshes start.
    pub(crate) fn pacing(&self) -> Pacing {
        Pacing::new(self.budget_per_day, self.min_interval.get())
    }

    /// Its key in the configuration, and what is refreshed, never with a secret.
    pub(crate) fn described(&self) -> (&'static str, String) {
        match (&self.power_bi, &self.tableau) {
            (Some(of), _) => (
                "power_bi",
                format!("dataset {} at {}", of.dataset_id, of.url),
            ),
            (None, Some(of)) => {
                let (kind, id) = of.content().unwrap_or_default();
                ("tableau", format!("{kind} {id} at {}", of.url))
            }
            (None, None) => ("", String::new()),
        }
    }
}

/// A dataset of Power BI, refreshed by a service principal.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PowerBi {
    /// Directory (tenant) id of Microsoft Entra ID.
    pub tenant_id: String,
    /// Application (client) id of the service principal.
    pub client_id: String,
    /// A client secret of it.
    pub client_secret: Secret,
    /// Id of the workspace, as in its URL after `groups/`.
    pub group_id: String,
    /// Id of the dataset, as in its URL after `datasets/`.
    pub dataset_id: String,
    /// An enhanced refresh, for a workspace on Premium, Fabric or Embedded capacity. Without it a
    /// plain one, which a shared capacity takes too.
    pub enhanced: Option<Enhanced>,
    /// Where tokens come from; a national cloud has another.
    #[serde(default = "login_url")]
    pub login_url: String,
    /// Power BI's REST API; a national cloud has another.
    #[serde(default = "power_bi_url")]
    pub url: String,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// Sends the client secret in clear text. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

fn login_url() -> String {
    "https://login.microsoftonline.com".to_owned()
}
fn power_bi_url() -> String {
    "https://api.powerbi.com".to_owned()
}

/// What an enhanced refresh does. Its keys are those of Power BI's request.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Enhanced {
    /// What is done with the data.
    #[serde(rename = "type", default)]
    pub kind: EnhancedType,
    /// How often Power BI tries again by itself before the refresh has failed.
    #[serde(default)]
    pub retry_count: u32,
    /// The tables or partitions that are refreshed; all of them if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<EnhancedObject>,
}

/// What an enhanced refresh does with the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EnhancedType {
    /// What needs it is loaded and calculated.
    #[default]
    Automatic,
    /// All data is loaded, and calculated.
    Full,
    /// All data is loaded, and nothing calculated.
    DataOnly,
    /// Nothing is loaded, and what needs it calculated.
    Calculate,
}

/// A table, or a partition of one.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnhancedObject {
    /// The table's name.
    pub table: String,
    /// The partition's name; all of the table without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<String>,
}

/// An extract of Tableau Cloud or Tableau Server: exactly one of `datasource` and `workbook`, and one
/// of `personal_access_token` and `connected_app`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tableau {
    /// The server, or the pod of Tableau Cloud: `https://10ax.online.tableau.com`.
    pub url: String,
    /// The site as in its URL after `site/`; empty is the default site of a server.
    #[serde(default)]
    pub site: String,
    /// REST API version.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// Signs in by a personal access token, which no one else uses: Tableau ends the session of one
    /// when another signs in with it.
    pub personal_access_token: Option<PersonalAccessToken>,
    /// Signs in by a connected app (direct trust).
    pub connected_app: Option<ConnectedApp>,
    /// Id of a data source with an extract.
    pub datasource: Option<String>,
    /// Id of a workbook with extracts.
    pub workbook: Option<String>,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// Sends secrets in clear text. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

fn api_version() -> String {
    "3.24".to_owned()
}

/// A personal access token of Tableau.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonalAccessToken {
    /// Its name.
    pub name: String,
    /// Its secret.
    pub secret: Secret,
}

/// A connected app of Tableau with direct trust.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectedApp {
    /// Client id.
    pub client_id: String,
    /// Id of the secret.
    pub secret_id: String,
    /// The secret's value.
    pub secret: Secret,
    /// The user that refreshes are made as.
    pub username: String,
}

/// How one signs in.
#[derive(Debug, Clone)]
pub(super) enum TableauProof {
    Token(PersonalAccessToken),
    App(ConnectedApp),
}

impl Tableau {
    /// Nothing where the rules were not applied.
    pub(super) fn proof(&self) -> Option<TableauProof> {
        match (&self.personal_access_token, &self.connected_app) {
            (Some(token), None) => Some(TableauProof::Token(token.clone())),
            (None, Some(app)) => Some(TableauProof::App(app.clone())),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }

    /// What is refreshed: its kind and its id. Nothing where the rules were not applied.
    pub(super) fn content(&self) -> Option<(&'static str, &str)> {
        match (&self.datasource, &self.workbook) {
            (Some(id), None) => Some(("datasource", id)),
            (None, Some(id)) => Some(("workbook", id)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    }
}
