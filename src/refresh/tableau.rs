//! An extract of Tableau, of a data source or of a workbook, over the REST API.
//!
//! Guarantee: a job that is queued already has not begun to read, so that it shows what is committed
//! now: it is taken for the one that was asked for. One that has begun, or of which no one says
//! whether it has, is not.
//! <https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_ref_jobs_tasks_and_schedules.htm>

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::ACCEPT;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::Tableau;
use super::sign_in::{Session, Sessions, code};
use super::{Dashboard, End, Progress, SKEW, Seen, Trouble, Wanted};
use crate::http::{self, Answer, Failure};
use crate::time::{Millis, SharedClock};

/// A job of this content is queued, and another is not.
const QUEUED: &str = "409093";
/// Jobs that wait for longer are not looked for, ms.
const LONGEST_WAIT: Millis = 24 * 60 * 60 * 1000;
const REMEDY: &str = "check url, api_version, and the id of the datasource or workbook; the user \
                      must be its owner, its project's leader or an administrator, and extract \
                      refreshes must be allowed";

/// One extract.
#[derive(Debug)]
pub(super) struct Extract {
    http: reqwest::Client,
    sessions: Sessions,
    api: String,
    /// `datasource` or `workbook`.
    kind: &'static str,
    id: String,
    clock: SharedClock,
}

#[derive(Deserialize)]
struct OneJob {
    job: Job,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    id: String,
    created_at: String,
    completed_at: Option<String>,
    /// The reference shows a number in text; a plain number is taken as well.
    finish_code: Option<Value>,
}

impl Job {
    fn seen(self) -> Option<Seen> {
        let code = self.finish_code;
        let progress = match self.completed_at {
            None => Progress::UnderWay,
            Some(_) if code.is_some_and(|it| it == "0" || it == 0) => {
                Progress::Ended(End::Succeeded)
            }
            Some(_) => Progress::Ended(End::Failed),
        };
        Some(Seen {
            started: http::time(&self.created_at)?,
            id: self.id,
            progress,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Jobs {
    background_jobs: JobList,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobList {
    #[serde(default)]
    background_job: Vec<BackgroundJob>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackgroundJob {
    id: String,
    status: String,
    created_at: String,
    #[serde(default)]
    title: String,
}

impl BackgroundJob {
    fn seen(&self) -> Option<Seen> {
        let progress = match self.status.as_str() {
            "Success" => Progress::Ended(End::Succeeded),
            "Pending" | "InProgress" => Progress::UnderWay,
            _ => Progress::Ended(End::Failed),
        };
        Some(Seen {
            id: self.id.clone(),
            started: http::time(&self.created_at)?,
            progress,
        })
    }
}

impl Extract {
    pub(super) fn new(config: &Tableau, clock: &SharedClock) -> Result<Self, String> {
        let made = http::client(config.request_timeout.get(), config.insecure_plain_http);
        let http = made.map_err(|why| format!("tableau.{why}"))?;
        let api = format!(
            "{}/api/{}",
            config.url.trim_end_matches('/'),
            config.api_version
        );
        let (kind, id) = config
            .content()
            .ok_or_else(|| "tableau: write either datasource or workbook".to_owned())?;
        Ok(Self {
            sessions: Sessions::new(config, &api, http.clone(), clock)?,
            http,
            api,
            kind,
            id: id.to_owned(),
            clock: Arc::clone(clock),
        })
    }

    /// Sends below the site, and once more in another session if it is refused: then nothing was
    /// done.
    async fn send(
        &self,
        method: Method,
        path: &str,
        more: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answer, Trouble> {
        let session = self.sessions.get(None).await?;
        let within = |session: &Session| {
            let url = format!("{}/sites/{}/{path}", self.api, session.site);
            let request = self.http.request(method.clone(), url);
            let request = request.header("X-Tableau-Auth", session.token.clone());
            http::send(more(request.header(ACCEPT, "application/json")))
        };
        let answer = within(&session).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let session = self.sessions.get(Some(&session)).await?;
        Ok(within(&session).await?)
    }

    async fn ask(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, Trouble> {
        let asked = self.send(Method::GET, path, |request| request.query(query));
        asked.await.map_err(Trouble::of_question)
    }

    /// What the content is called: jobs say no more of what they refresh.
    async fn title(&self) -> Result<String, Trouble> {
        let answer = self
            .ask(&format!("{}s/{}", self.kind, self.id), &[])
            .await?;
        if answer.status != 200 {
            return Err(refused(&answer).of_question());
        }
        let content: Value = answer.json().map_err(Failure::of_question)?;
        let name = content
            .get(self.kind)
            .and_then(|it| it.get("name")?.as_str());
        let nameless = || Trouble::Unreachable("content without a name".to_owned());
        name.map(str::to_owned).ok_or_else(nameless)
    }

    /// The content's refreshes since then. Tableau tells them to administrators only.
    async fn jobs(&self, since: Millis) -> Result<Vec<BackgroundJob>, Trouble> {
        let title = self.title().await?;
        let since = jiff::Timestamp::from_second(since.div_euclid(1000)).unwrap_or_default();
        let filter = format!("jobType:eq:refresh_extracts,createdAt:gte:{since}");
        let query = [("filter", filter), ("pageSize", "1000".to_owned())];
        let answer = self.ask("jobs", &query).await?;
        if answer.status != 200 {
            return Err(refused(&answer).of_question());
        }
        let jobs: Jobs = answer.json().map_err(Failure::of_question)?;
        let mut jobs = jobs.background_jobs.background_job;
        jobs.retain(|job| job.title == title);
        Ok(jobs)
    }

    /// The job that is queued and has not begun.
    async fn queued(&self) -> Result<Option<String>, Trouble> {
        let jobs = self
            .jobs(self.clock.now().saturating_sub(LONGEST_WAIT))
            .await;
        let waits = |jobs: Vec<BackgroundJob>| {
            let mut jobs = jobs.into_iter();
            jobs.find(|job| job.status == "Pending").map(|job| job.id)
        };
        jobs.ok().and_then(waits).map(Some).ok_or(Trouble::Busy)
    }
}

fn refused(answer: &Answer) -> Trouble {
    answer.failure(code(answer), REMEDY).into()
}

#[async_trait]
impl Dashboard for Extract {
    async fn start(&self) -> Result<Option<String>, Trouble> {
        let path = format!("{}s/{}/refresh", self.kind, self.id);
        let sent = self.send(Method::POST, &path, |request| request.json(&json!({})));
        let answer = sent.await?;
        match answer.status {
            // Something else than a refresh holds the content.
            409 if code(&answer).as_deref() != Some(QUEUED) => Err(Trouble::Busy),
            409 => self.queued().await,
            200..=299 => Ok(answer.json::<OneJob>().ok().map(|it| it.job.id)),
            _ => Err(refused(&answer)),
        }
    }

    async fn look(&self, wanted: Wanted<'_>) -> Result<Option<Seen>, Trouble> {
        let Some(id) = wanted.id else {
            let jobs = self.jobs(wanted.since.saturating_sub(SKEW)).await?;
            let seen = jobs.iter().filter_map(BackgroundJob::seen);
            return Ok(seen.min_by_key(|seen| seen.started));
        };
        let answer = self.ask(&format!("jobs/{id}"), &[]).await?;
        match answer.status {
            200 => Ok(answer
                .json::<OneJob>()
                .map_err(Failure::of_question)?
                .job
                .seen()),
            404 => Ok(None),
            _ => Err(refused(&answer).of_question()),
        }
    }

    async fn probe(&self) -> Vec<String> {
        let asked = self.title().await;
        asked
            .err()
            .map(|trouble| trouble.to_string())
            .into_iter()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_succeeded_whether_its_code_is_a_text_or_a_number() {
        for (code, end) in [
            (json!("0"), End::Succeeded),
            (json!(0), End::Succeeded),
            (json!("1"), End::Failed),
            (json!(2), End::Failed),
            (Value::Null, End::Failed),
        ] {
            let job = json!({
                "id": "a", "createdAt": "2026-11-30T10:00:00Z",
                "completedAt": "2026-11-30T10:05:00Z", "finishCode": code,
            });
            let job: Job = serde_json::from_value(job).unwrap();
            assert_eq!(job.seen().unwrap().progress, Progress::Ended(end), "{code}");
        }
    }
}
