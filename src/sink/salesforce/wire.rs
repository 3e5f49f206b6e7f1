//! Requests to the org: quota, timeout, session.
//!
//! Guarantee (G3): a write whose answer did not come is reported as ambiguous, never as failed.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use governor::Quota;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;

use super::codes::{self, Fault};
use super::config::{DuplicateRules, SalesforceSink};
use super::session::{Session, Token};
use super::share::{Share, Usage};
use crate::event::tree;
use crate::pace::{Pace, Portion};
use crate::sink::SinkError;
use crate::time::SharedClock;

/// What duplicate rules may do about a write:
/// <https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/headers_duplicaterules.htm>.
/// Without `includeRecordDetails` the answer tells ids and no values.
const DUPLICATE_RULES: &str = "Sforce-Duplicate-Rule-Header";

/// The org's REST API.
#[derive(Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    session: Session,
    quota: Pace,
    timeout: Duration,
    base: String,
    place: String,
    share: Share,
    /// The value of the header that tells what duplicate rules may do.
    duplicates: &'static str,
}

/// Longest that a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(5);

impl Wire {
    /// The API that `config` names, at the `portion` of its quota. Nothing is connected yet.
    ///
    /// # Errors
    /// If the URL is not one, or not https.
    pub(super) fn new(
        config: &SalesforceSink,
        share: Share,
        portion: Portion,
        clock: SharedClock,
    ) -> Result<Self, String> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Another part may have been quicker.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let login = reqwest::Url::parse(&config.login_url)
            .map_err(|error| format!("salesforce.login_url: {error}; write https://…"))?;
        let http = reqwest::Client::builder()
            .connect_timeout(config.request_timeout.get().min(CONNECT))
            // A redirect would carry the token or the secret elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| "salesforce: the HTTP client cannot be made".to_owned())?;
        let per_second = NonZeroU32::new(config.quota.per_second).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            session: Session::new(http.clone(), config, clock)?,
            http,
            quota: Pace::shared(Quota::per_second(per_second), portion),
            timeout: config.request_timeout.get(),
            share,
            place: place(&login),
            base: format!("/services/data/{}", config.api_version),
            duplicates: match config.duplicate_rules {
                DuplicateRules::Allow => "allowSave=true",
                DuplicateRules::Refuse => "allowSave=false",
            },
        })
    }

    /// Where the org is: host and port.
    pub(super) fn place(&self) -> String {
        self.place.clone()
    }

    /// What the sink may use of the org's calls.
    pub(super) fn share(&self) -> &Share {
        &self.share
    }

    /// `GET` of a path below the API version, with a query string.
    pub(super) async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, Fault> {
        let path = format!("{}{path}", self.base);
        self.call(Method::GET, &path, query, None).await
    }

    /// `GET` of the next page that an answer names.
    pub(super) async fn next(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, &[], None).await
    }

    /// A write.
    pub(super) async fn write(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Value, Fault> {
        let path = format!("{}{path}", self.base);
        let body = serde_json::to_vec(body);
        let body = body.map_err(|_| Fault::All(unanswered("unwritable_body", false)))?;
        self.call(method, &path, &[], Some(body.into())).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> Result<Value, Fault> {
        let mut token = self.session.token(None).await.map_err(Fault::All)?;
        let mut renewed = false;
        loop {
            self.quota.ready().await;
            let request = self.request(&method, &token, path, query, body.clone());
            self.share.called();
            let (status, usage, answer) = exchange(request, body.is_some())
                .await
                .map_err(Fault::All)?;
            if let Some(usage) = usage {
                self.share.note(usage);
            }
            if status == 401 && !renewed {
                token = self.session.token(Some(&token)).await.map_err(Fault::All)?;
                renewed = true;
                continue;
            }
            return match (status, answer) {
                (200..300, Some(answer)) => Ok(answer),
                (200..300, None) if body.is_some() => {
                    Err(Fault::All(codes::lost("unreadable_answer")))
                }
                (200..300, None) => Err(Fault::All(unanswered("unreadable_answer", false))),
                (status, answer) => {
                    let answer = answer.unwrap_or_default();
                    Err(codes::request(status, &answer, body.is_some()))
                }
            };
        }
    }

    fn request(
        &self,
        method: &Method,
        token: &Token,
        path: &str,
        query: &[(&str, &str)],
        body: Option<Bytes>,
    ) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", token.instance);
        let request = self
            .http
            .request(method.clone(), url)
            .bearer_auth(token.bearer.reveal())
            .timeout(self.timeout);
        let request = if query.is_empty() {
            request
        } else {
            request.query(query)
        };
        match body {
            Some(body) => request
                .header(DUPLICATE_RULES, self.duplicates)
                .header(CONTENT_TYPE, "application/json")
                .body(body),
            None => request,
        }
    }
}

/// Sends, and reads the answer: its status, what it tells of the org's calls, and its body if that
/// is JSON.
async fn exchange(
    request: reqwest::RequestBuilder,
    writes: bool,
) -> Result<(u16, Option<Usage>, Option<Value>), SinkError> {
    let answer = request.send().await.map_err(|error| {
        if error.is_connect() || error.is_builder() {
            return unanswered("unreachable", false);
        }
        unanswered(
            if error.is_timeout() {
                "timeout"
            } else {
                "connection_lost"
            },
            writes,
        )
    })?;
    let status = answer.status().as_u16();
    let info = answer.headers().get("sforce-limit-info");
    let usage = info
        .and_then(|info| info.to_str().ok())
        .and_then(Usage::parse);
    let body = answer
        .bytes()
        .await
        .map_err(|_| unanswered("connection_lost", writes))?;
    Ok((status, usage, tree(&body).ok()))
}

fn place(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    format!("{host}:{}", url.port_or_known_default().unwrap_or(443))
}

fn unanswered(code: &str, ambiguous: bool) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous,
        outage: true,
    }
}

/// What needs no more than the wire itself is shared.
pub(super) type SharedWire = Arc<Wire>;
