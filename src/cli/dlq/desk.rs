//! Where letters are handled: in the data directory, or by the process that has it open.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CliError;
use crate::admin::Listed;
use crate::cli::{ConfigArg, absolute, running, wiring};
use crate::config::{Loose, Secret};
use crate::dead_letter::{DeadLetter, Filter, LetterName, LetterView, Redrive, Report, Work};
use crate::time::{Clock as _, SystemClock};
use crate::topology::Config;

/// How long the running process may take to be reached. Redriving many letters may take long.
const CONNECT: Duration = Duration::from_secs(3);
/// Letters redriven in one request.
const PART: u64 = 200;

pub(super) enum Desk {
    Files(Redrive),
    Running(Running),
}

/// The admin listener of a running process.
pub(super) struct Running {
    client: Client,
    base: String,
    token: Option<Secret>,
}

impl Desk {
    /// The data directory if it is free, else the process that has it.
    pub(super) async fn open(file: &ConfigArg, loaded: &Loose<Config>) -> Result<Self, CliError> {
        let need = |path| loaded.need(path).map_err(|error| file.wrong(error));
        for path in ["data_dir", "store", "log", "inbox"] {
            need(path)?;
        }
        let config = &loaded.config;
        let why = match wiring::open(config).await {
            Ok(redrive) => return Ok(Self::Files(redrive)),
            Err(why) => why,
        };
        need("admin")?;
        let running = Running::new(config)?;
        match running.request(Method::GET, "/livez").send().await {
            Ok(_) => Ok(Self::Running(running)),
            Err(_) => Err(CliError::Unavailable(format!(
                "{why}; and nothing answers at admin.address {} (configuration: {})",
                config.admin.address,
                absolute(&file.config)
            ))),
        }
    }

    /// A page of letters: up to `max` after the letter `after`.
    pub(super) async fn list(
        &self,
        filter: &Filter,
        after: Option<&str>,
        max: usize,
    ) -> Result<Listed, CliError> {
        match self {
            Self::Files(redrive) => {
                let after = after.map(str::parse).transpose().map_err(CliError::Usage)?;
                let page =
                    Listed::page(redrive.letters.as_ref(), filter, after.as_ref(), Some(max));
                page.await.map_err(unavailable)
            }
            Self::Running(running) => {
                let request = running
                    .request(Method::GET, "/dlq")
                    .query(&wanted(filter, after, max));
                running.json(request).await
            }
        }
    }

    pub(super) async fn open_letters(&self) -> Result<u64, CliError> {
        Ok(self.depth().await?.values().sum())
    }

    /// Open letters by sink.
    pub(super) async fn depth(&self) -> Result<BTreeMap<String, u64>, CliError> {
        Ok(self.list(&Filter::default(), None, 0).await?.depth)
    }

    pub(super) async fn show(&self, name: &LetterName) -> Result<LetterView, CliError> {
        match self {
            Self::Files(redrive) => Ok(LetterView::from(&find(redrive, name).await?)),
            Self::Running(running) => {
                running
                    .json(running.request(Method::GET, &format!("/dlq/{name}")))
                    .await
            }
        }
    }

    pub(super) async fn original(&self, name: &LetterName) -> Result<Vec<u8>, CliError> {
        match self {
            Self::Files(redrive) => Ok(find(redrive, name).await?.original.to_vec()),
            Self::Running(running) => {
                let path = format!("/dlq/{name}/original");
                running.bytes(running.request(Method::GET, &path)).await
            }
        }
    }

    pub(super) async fn redrive(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Report, CliError> {
        match self {
            Self::Files(redrive) => redrive.run(work, progress).await.map_err(unavailable),
            Self::Running(running) => running.redrive(work, progress).await,
        }
    }

    pub(super) async fn discard(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Report, CliError> {
        match self {
            Self::Files(redrive) => redrive.discard(work, progress).await.map_err(unavailable),
            Self::Running(running) => running.post("/dlq/discard", work).await,
        }
    }
}

impl Running {
    fn new(config: &Config) -> Result<Self, CliError> {
        let (client, base) = running::client(&config.admin).map_err(CliError::Usage)?;
        let client = client.connect_timeout(CONNECT).build();
        let client =
            client.map_err(|_| CliError::Internal("no HTTP client can be made".to_owned()))?;
        Ok(Self {
            client,
            base,
            token: config.admin.token.clone(),
        })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token.reveal()),
            None => request,
        }
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<Report, CliError> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    /// In parts, so that progress can be shown. What is named is few, and a part that changes
    /// nothing would be the same one again.
    async fn redrive(
        &self,
        work: &Work,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Report, CliError> {
        if work.dry_run || !work.filter.names.is_empty() {
            return self.post("/dlq/redrive", work).await;
        }
        let (mut report, began) = (Report::default(), SystemClock.now());
        loop {
            let left = work
                .max
                .map_or(PART, |max| max.saturating_sub(report.done).min(PART));
            let part = Work {
                max: Some(left),
                began: Some(began),
                ..work.clone()
            };
            let part: Report = self.post("/dlq/redrive", &part).await?;
            let done = part.done;
            report.add(part);
            progress(report.done);
            if done < left || work.max.is_some_and(|max| report.done >= max) {
                return Ok(report);
            }
        }
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CliError> {
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|_| {
            let why = "the running process answers as another version would; use its own program";
            CliError::Unavailable(why.to_owned())
        })
    }

    async fn bytes(&self, request: RequestBuilder) -> Result<Vec<u8>, CliError> {
        let gone = |_| CliError::Unavailable("the running process went away".to_owned());
        let answer = request.send().await.map_err(gone)?;
        let code = answer.status();
        let body = answer.bytes().await.map_err(gone)?.to_vec();
        let text = || String::from_utf8_lossy(&body).trim_end().to_owned();
        match code {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED => Err(CliError::Unavailable(
                "the running process has another admin.token; use its configuration".to_owned(),
            )),
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => Err(CliError::Usage(text())),
            _ => Err(CliError::Unavailable(text())),
        }
    }
}

async fn find(redrive: &Redrive, name: &LetterName) -> Result<DeadLetter, CliError> {
    let letter = redrive.letters.show(name).await.map_err(unavailable)?;
    letter.ok_or_else(|| CliError::Usage(format!("no letter {name} is open")))
}

fn unavailable(error: impl std::fmt::Display) -> CliError {
    CliError::Unavailable(error.to_string())
}

/// The query of `GET /dlq`.
fn wanted(filter: &Filter, after: Option<&str>, max: usize) -> Vec<(&'static str, String)> {
    let texts = [
        ("sink", &filter.sink),
        ("reason", &filter.reason),
        ("code", &filter.code),
        ("subject", &filter.subject),
    ];
    let times = [("from", filter.from), ("until", filter.until)];
    let texts = texts
        .into_iter()
        .filter_map(|(key, text)| Some((key, text.clone()?)));
    let times = times
        .into_iter()
        .filter_map(|(key, time)| Some((key, time?.to_string())));
    texts
        .chain(times)
        .chain(after.map(|name| ("after", name.to_owned())))
        .chain([("max", max.to_string())])
        .collect()
}
