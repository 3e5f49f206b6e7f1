//! The table over Power BI's REST API.
//!
//! Guarantee (G8): one request of this process is under way, and no more begin than the quota says.
//! <https://learn.microsoft.com/en-us/rest/api/power-bi/push-datasets/datasets-post-rows-in-group>.

use governor::Quota;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::config::PowerBiRowsSink;
use super::rows::Cells;
use crate::http::entra::{App, Tokens};
use crate::http::{self, Answer, Failure};
use crate::pace::{Pace, Portion};
use crate::sink::SinkError;
use crate::time::SharedClock;

/// Rows in a request at most.
const LARGEST: usize = 10_000;
const REMEDY: &str = "check group_id, dataset_id and table: the dataset must be a push dataset (see \
                      `goldwire schema power_bi_rows`); the service principal must be a member of the \
                      workspace who may write, and the tenant must allow service principals to use \
                      the API";

/// Why rows were not taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// One of the rows, or the columns of all, do not fit; none was taken. The code is Power BI's.
    Rows(String),
    /// Anything else.
    Failed(SinkError),
}

/// A table of a push dataset.
#[derive(Debug)]
pub(super) struct Table {
    http: reqwest::Client,
    tokens: Tokens,
    name: String,
    tables: Url,
    rows: Url,
    pace: Pace,
    /// Power BI takes five requests of a dataset at once; who has several instances needs the others.
    turn: Mutex<()>,
}

#[derive(Deserialize)]
struct Refused {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
}

#[derive(Deserialize)]
struct Tables {
    value: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

impl Table {
    pub(super) fn new(
        config: &PowerBiRowsSink,
        clock: &SharedClock,
        portion: Portion,
    ) -> Result<Self, String> {
        let http = http::client(config.request_timeout.get(), config.insecure_plain_http)?;
        let app = App {
            login_url: &config.login_url,
            tenant_id: &config.tenant_id,
            client_id: &config.client_id,
            client_secret: &config.client_secret,
        };
        let (group, dataset) = (&*config.group_id, &*config.dataset_id);
        let path = [
            "v1.0", "myorg", "groups", group, "datasets", dataset, "tables",
        ];
        let tables = below(&config.url, &path)?;
        let quota = Quota::with_period(config.min_interval.get());
        let quota = quota.ok_or("min_interval: write more than 0s")?;
        Ok(Self {
            tokens: Tokens::new(&app, http.clone(), clock),
            http,
            name: config.table.clone(),
            rows: below(tables.as_str(), &[&config.table, "rows"])?,
            tables,
            pace: Pace::shared(quota, portion),
            turn: Mutex::new(()),
        })
    }

    /// Adds rows.
    pub(super) async fn post(&self, rows: &[&Cells]) -> Result<(), Refusal> {
        let _one = self.turn.lock().await;
        for (part, rows) in rows.chunks(LARGEST).enumerate() {
            self.pace.ready().await;
            let body = json!({ "rows": rows });
            let ask = || self.http.post(self.rows.clone()).json(&body);
            let answer = self.tokens.send(ask).await;
            answer
                .map_err(failed)
                .and_then(|answer| taken(&answer))
                .map_err(|refusal| {
                    // What went before was taken.
                    if part == 0 { refusal } else { half(refusal) }
                })?;
        }
        Ok(())
    }

    /// Asks whether the table is there: a sentence for each problem.
    pub(super) async fn probe(&self) -> Vec<String> {
        let answer = self.tokens.send(|| self.http.get(self.tables.clone()));
        let answer = match answer.await.map_err(Failure::of_question) {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => return vec![told(answer.failure(code(&answer), REMEDY).of_question())],
            Err(failure) => return vec![told(failure)],
        };
        let Ok(tables) = answer.json::<Tables>() else {
            return vec!["the answer that lists the dataset's tables cannot be read".to_owned()];
        };
        if tables.value.iter().any(|table| table.name == self.name) {
            return Vec::new();
        }
        let name = &self.name;
        vec![format!(
            "the dataset has no table {name:?}; create it from `goldwire schema power_bi_rows`"
        )]
    }
}

fn below(base: &str, path: &[&str]) -> Result<Url, String> {
    let none = || "url: write https:// and a host".to_owned();
    let mut url = Url::parse(base).map_err(|_| none())?;
    url.path_segments_mut()
        .map_err(|()| none())?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

fn taken(answer: &Answer) -> Result<(), Refusal> {
    match answer.status {
        200..=299 => Ok(()),
        400 | 413 => Err(Refusal::Rows(
            code(answer).unwrap_or_else(|| format!("http {}", answer.status)),
        )),
        _ => Err(failed(answer.failure(code(answer), REMEDY))),
    }
}

fn code(answer: &Answer) -> Option<String> {
    let code = answer.json::<Refused>().ok()?.error.code;
    let code = http::code(&code);
    (!code.is_empty()).then_some(code)
}

fn failed(failure: Failure) -> Refusal {
    Refusal::Failed(failure.into())
}

/// Some of the rows were taken.
fn half(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Failed(SinkError::Retryable { code, outage, .. }) => {
            Refusal::Failed(SinkError::Retryable {
                code,
                ambiguous: true,
                outage,
            })
        }
        other @ (Refusal::Rows(_) | Refusal::Failed(_)) => other,
    }
}

fn told(failure: Failure) -> String {
    match failure {
        Failure::Throttled(pause) => format!("Power BI asks for a pause of {pause:?}"),
        Failure::Unreachable(code) | Failure::Unknown(code) => format!("{code}: not reached"),
        Failure::Refused { code, remedy } => format!("{code}: {remedy}"),
    }
}
