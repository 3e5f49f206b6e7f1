//! The client of Reltio's API.
//!
//! Guarantee: one token and one quota for all requests; a read ends within the retry rules, as an
//! [`Answer`] that carries Reltio's own clock or as an error that says whether asking again helps.
//! A subject is reported as gone only if Reltio itself says so, never because an address is wrong.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, RequestBuilder, Url};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::ReltioApi;
use super::http::{self, Reply, TOO_LARGE};
use super::jitter::Jitter;
use super::parse;
use super::refusals::Refusals;
use super::throttle::Throttle;
use super::token::Tokens;
use super::verdict::{self, ATTEMPTS, ATTEMPTS_AT_500, Verdict};
use super::{Answer, Found, RecordReader, ReltioError, TenantModel};
use crate::event::{LONGEST_AHEAD, Object};
use crate::pace::Portion;
use crate::telemetry::spans;
use crate::time::{Millis, SharedClock};

/// Reads golden records over Reltio's REST API.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    tokens: Tokens,
    throttle: Throttle,
    jitter: Jitter,
    refusals: Refusals,
    clock: SharedClock,
    /// This host's clock is far off, which was told.
    off: AtomicBool,
    /// The tenant's configuration, or why there is none, and when that was asked.
    model: Mutex<Option<(Instant, Model)>>,
}

type Model = Result<Arc<TenantModel>, ReltioError>;

/// How long a tenant's configuration is taken for the newest.
const MODEL_IS_FRESH: Duration = Duration::from_hours(1);
/// How long no one asks again for a configuration that may not be read.
const MODEL_IS_REFUSED: Duration = Duration::from_mins(10);

impl Client {
    /// A client as configured; nothing is sent yet. `clock` tells when tokens end, and seeds the
    /// jitter.
    ///
    /// # Errors
    /// One sentence, if an address cannot be used or would carry the secret in clear text.
    pub fn new(config: &ReltioApi, clock: SharedClock) -> Result<Self, String> {
        let base = http::address("reltio.url", &config.url, config.insecure_plain_http)?;
        let quota = NonZeroU32::new(config.requests_per_second)
            .ok_or("reltio.requests_per_second: found 0; allow at least 1")?;
        let jitter = Jitter::new(clock.now().unsigned_abs());
        let http = http::client(config)?;
        Ok(Self {
            tokens: Tokens::new(config, http.clone(), Arc::clone(&clock), jitter.clone())?,
            http,
            base,
            throttle: Throttle::new(quota, Portion::whole()),
            jitter,
            refusals: Refusals::default(),
            clock,
            off: AtomicBool::new(false),
            model: Mutex::new(None),
        })
    }

    /// The same, with a portion of the tenant's quota: other instances have the rest. One that is
    /// asked for nothing else still reads a record a second, as what it takes in may need.
    pub(crate) fn sharing(mut self, config: &ReltioApi, of: Vec<Portion>) -> Self {
        if let Some(quota) = NonZeroU32::new(config.requests_per_second) {
            let least = 1.0 / f64::from(quota.get());
            self.throttle = Throttle::new(quota, Portion::mean(of, least));
        }
        self
    }

    /// The base address with `parts` as further segments, each encoded.
    fn address<'a>(&self, parts: impl IntoIterator<Item = &'a str>) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// Sends a request within the quota and the retry rules.
    async fn send(&self, request: RequestBuilder) -> Result<Reply, ReltioError> {
        let mut renewed = false;
        let mut attempt = 1;
        let mut token = self.tokens.get().await?;
        loop {
            self.throttle.ready().await;
            let copy = request.try_clone().ok_or_else(|| rejected("request"))?;
            let sent = copy.header(AUTHORIZATION, HeaderValue::clone(&token));
            let code = match http::send(sent).await {
                Ok(reply) => match verdict::verdict(reply.status) {
                    Verdict::Answered => return Ok(reply),
                    Verdict::Renew if !renewed => {
                        renewed = true;
                        token = self.tokens.renew(&token).await?;
                        continue;
                    }
                    Verdict::Again => {
                        if let Some(pause) = verdict::retry_after(&reply.headers) {
                            self.throttle.hold(pause);
                        }
                        reply.status.to_string()
                    }
                    Verdict::AgainAFewTimes if attempt < ATTEMPTS_AT_500 => {
                        reply.status.to_string()
                    }
                    last @ (Verdict::Renew
                    | Verdict::Refused(_)
                    | Verdict::Rejected
                    | Verdict::AgainAFewTimes) => return Err(last.error(reply.status)),
                },
                Err(TOO_LARGE) => return Err(rejected(TOO_LARGE)),
                Err(code) => code.to_owned(),
            };
            if attempt == ATTEMPTS {
                return Err(ReltioError::Unavailable { code });
            }
            tokio::time::sleep(verdict::wait(attempt, self.jitter.next())).await;
            attempt += 1;
            token = self.tokens.get().await?;
        }
    }
}

impl Client {
    async fn object(&self, uri: &str) -> Result<Answer, ReltioError> {
        let uri = uri.trim_start_matches('/');
        let (kind, id) = parse::uri(uri).ok_or_else(|| rejected("uri"))?;
        let request = self.http.get(self.address([kind, id]));
        let reply = self.send(request).await?;
        let date = self.date(&reply)?;
        if reply.status == 404 {
            parse::nothing(&reply.body)?;
            let found = Found::Nothing;
            return Ok(Answer { date, found });
        }
        let object = parse::object(&reply.body)?;
        let found = if object.uri() == Some(uri) {
            Found::Alive(Arc::new(object))
        } else {
            Found::Survivor(Arc::new(object))
        };
        Ok(Answer { date, found })
    }

    async fn holder(&self, source: &str, value: &str) -> Result<Answer, ReltioError> {
        let query = [("type", format!("configuration/sources/{source}"))];
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let request = if !value.is_empty() && value.chars().all(plain) {
            let url = self.address(["entities", "_byCrosswalk", value]);
            self.http.get(url)
        } else {
            // Values that do not go well in an address are sent in the body.
            let url = self.address(["entities", "_byCrosswalk"]);
            self.http
                .request(Method::POST, url)
                .header(CONTENT_TYPE, "text/plain; charset=utf-8")
                .body(value.to_owned())
        };
        let reply = self.send(request.query(&query)).await?;
        let date = self.date(&reply)?;
        let found = if reply.status == 404 {
            parse::nothing(&reply.body)?;
            None
        } else {
            let holds = |object: &Object| parse::holds(object, source, value, date);
            parse::objects(&reply.body)?.into_iter().find(holds)
        };
        let found = found.map_or(Found::Nothing, |object| Found::Alive(Arc::new(object)));
        Ok(Answer { date, found })
    }

    /// Types with what they inherit and sources: `GET {tenant}/configuration`.
    async fn configuration(&self) -> Model {
        let request = self.http.get(self.address(["configuration"]));
        let reply = self.send(request).await?;
        if reply.status == 404 {
            return Err(rejected("404"));
        }
        TenantModel::parse(&reply.body).map(Arc::new)
    }

    /// Reltio's clock at the answer. Without it no one could say what the answer may have seen.
    fn date(&self, reply: &Reply) -> Result<Millis, ReltioError> {
        let date = verdict::date(&reply.headers).ok_or_else(|| ReltioError::Unavailable {
            code: "no_date".to_owned(),
        })?;
        let ahead = self.clock.now().saturating_sub(date);
        let off = ahead.saturating_abs() > LONGEST_AHEAD;
        if off && !self.off.swap(off, Ordering::Relaxed) {
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            tracing::error!(
                "this host's clock is {} s {way} Reltio's: reads wait, and what one entity's lane \
                 takes over from another's may be refused as stale; set it by NTP",
                ahead.saturating_abs() / 1000
            );
        }
        self.off.store(off, Ordering::Relaxed);
        Ok(date)
    }
}

#[async_trait]
impl RecordReader for Client {
    async fn read(&self, uri: &str) -> Result<Answer, ReltioError> {
        let result = self.object(uri).instrument(spans::read("uri")).await;
        self.refusals.book(uri, result)
    }

    async fn by_crosswalk(&self, source: &str, value: &str) -> Result<Answer, ReltioError> {
        let span = spans::read("crosswalk");
        let result = self.holder(source, value).instrument(span).await;
        self.refusals.book(&format!("{source} {value}"), result)
    }

    /// Who comes while Reltio is asked waits for its answer.
    async fn model(&self) -> Model {
        let mut known = self.model.lock().await;
        if let Some((asked, model)) = &*known {
            let fresh = match model {
                Ok(_) => MODEL_IS_FRESH,
                Err(_) => MODEL_IS_REFUSED,
            };
            if asked.elapsed() < fresh {
                return model.clone();
            }
        }
        let asked = Instant::now();
        let model = self.configuration().instrument(spans::read("model")).await;
        // One that did not answer may do so the next time.
        let told = !matches!(model, Err(ReltioError::Unavailable { .. }));
        *known = told.then(|| (asked, model.clone()));
        model
    }
}

fn rejected(code: &str) -> ReltioError {
    ReltioError::Rejected {
        code: code.to_owned(),
    }
}
