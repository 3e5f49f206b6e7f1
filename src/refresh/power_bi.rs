//! A Power BI dataset (semantic model), over the REST API.
//!
//! Guarantee: 409 means that a refresh is under way, whoever started it, and nothing was started.
//! <https://learn.microsoft.com/en-us/rest/api/power-bi/datasets/refresh-dataset-in-group>,
//! <https://learn.microsoft.com/en-us/power-bi/connect-data/asynchronous-refresh>.

use async_trait::async_trait;
use reqwest::Method;
use reqwest::header::LOCATION;
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::PowerBi;
use super::{Dashboard, End, Progress, SKEW, Seen, Trouble, Wanted};
use crate::http::entra::{App, Tokens};
use crate::http::{self, Answer, Failure};
use crate::time::SharedClock;

/// Refreshes of the history that are looked at. More than one of ours in it is rare.
const HISTORY: usize = 20;
/// What refreshes that were asked for over the API are called.
const OURS: [&str; 2] = ["ViaApi", "ViaEnhancedApi"];
const REMEDY: &str = "check group_id and dataset_id; the service principal must be a member of the \
                      workspace who may write, the tenant must allow service principals to use the \
                      API, and `enhanced` needs a workspace on Premium, Fabric or Embedded capacity";

/// One dataset.
#[derive(Debug)]
pub(super) struct Dataset {
    http: reqwest::Client,
    tokens: Tokens,
    refreshes: String,
    body: Value,
    /// Started refreshes are named as in the history.
    is_enhanced: bool,
}

#[derive(Deserialize)]
struct History {
    value: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    refresh_type: String,
    start_time: String,
    status: String,
}

impl Entry {
    fn seen(&self) -> Option<Seen> {
        let progress = match self.status.as_str() {
            "Completed" => Progress::Ended(End::Succeeded),
            // Unknown is Power BI's word for a refresh that runs.
            "Unknown" | "NotStarted" | "InProgress" => Progress::UnderWay,
            _ => Progress::Ended(End::Failed),
        };
        Some(Seen {
            id: self.request_id.clone(),
            started: http::time(&self.start_time)?,
            progress,
        })
    }
}

#[derive(Deserialize)]
struct Refused {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Dataset {
    pub(super) fn new(config: &PowerBi, clock: &SharedClock) -> Result<Self, String> {
        let made = http::client(config.request_timeout.get(), config.insecure_plain_http);
        let http = made.map_err(|why| format!("power_bi.{why}"))?;
        let app = App {
            login_url: &config.login_url,
            tenant_id: &config.tenant_id,
            client_id: &config.client_id,
            client_secret: &config.client_secret,
        };
        let url = config.url.trim_end_matches('/');
        let (group, dataset) = (&config.group_id, &config.dataset_id);
        Ok(Self {
            tokens: Tokens::new(&app, http.clone(), clock),
            http,
            refreshes: format!("{url}/v1.0/myorg/groups/{group}/datasets/{dataset}/refreshes"),
            is_enhanced: config.enhanced.is_some(),
            body: match &config.enhanced {
                // Any other key would ask for an enhanced one, which a shared capacity refuses.
                None => json!({ "notifyOption": "NoNotification" }),
                Some(enhanced) => json!(enhanced),
            },
        })
    }

    async fn history(&self, entries: usize) -> Result<History, Trouble> {
        let ask = || {
            let request = self.http.request(Method::GET, &self.refreshes);
            request.query(&[("$top", entries)])
        };
        let answer = self.tokens.send(ask).await;
        let answer = answer.map_err(Failure::of_question)?;
        if answer.status != 200 {
            return Err(refused(&answer).of_question());
        }
        Ok(answer.json().map_err(Failure::of_question)?)
    }
}

/// What a refusal means.
fn refused(answer: &Answer) -> Trouble {
    let problem = answer.json::<Refused>().ok().map(|refused| refused.error);
    let is_spent = |problem: &Problem| problem.message.contains("in last 24 hours exceeded limit");
    match (answer.status, problem) {
        (409, _) => Trouble::Busy,
        (_, Some(problem)) if is_spent(&problem) => Trouble::BudgetUsed,
        (_, Some(problem)) if !problem.code.is_empty() => answer
            .failure(Some(http::code(&problem.code)), REMEDY)
            .into(),
        (_, _) => answer.failure(None, REMEDY).into(),
    }
}

#[async_trait]
impl Dashboard for Dataset {
    async fn start(&self) -> Result<Option<String>, Trouble> {
        let ask = || self.http.post(&self.refreshes).json(&self.body);
        let answer = self.tokens.send(ask).await?;
        if answer.status != 202 {
            return Err(refused(&answer));
        }
        let location = answer.header(LOCATION.as_str());
        let last = location.and_then(|place| place.rsplit('/').next());
        let id = last.filter(|id| !id.is_empty());
        Ok(id.or_else(|| answer.header("requestid")).map(str::to_owned))
    }

    /// Refreshes that the service or a person starts are not ours.
    async fn look(&self, wanted: Wanted<'_>) -> Result<Option<Seen>, Trouble> {
        let history = self.history(HISTORY).await?.value;
        let named = history
            .iter()
            .find(|entry| Some(entry.request_id.as_str()) == wanted.id);
        if let Some(entry) = named {
            return Ok(entry.seen());
        }
        // One that is not in the history was dropped. What is there then is of another client.
        if self.is_enhanced && wanted.id.is_some() {
            return Ok(None);
        }
        let ours = history
            .iter()
            .filter(|entry| OURS.contains(&entry.refresh_type.as_str()))
            .filter_map(Entry::seen)
            .filter(|seen| seen.started >= wanted.since.saturating_sub(SKEW));
        Ok(ours.min_by_key(|seen| seen.started))
    }

    async fn probe(&self) -> Vec<String> {
        let asked = self.history(1).await;
        asked
            .err()
            .map(|trouble| trouble.to_string())
            .into_iter()
            .collect()
    }
}
