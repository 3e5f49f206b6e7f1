//! OAuth client credentials: one token for all requests in flight.
//!
//! Guarantee: however many requests wait for a token, one request for it is under way; a token is
//! renewed before it expires, and once when it is refused.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ReltioApi;
use super::http::{self, Reply};
use super::jitter::Jitter;
use super::verdict::{self, ATTEMPTS, Verdict};
use super::{ReltioError, throttle::Throttle};
use crate::config::Secret;
use crate::time::{Millis, SharedClock, as_millis};

/// How long before its end a token is renewed, at most; a tenth of its time if that is shorter.
const MARGIN: Duration = Duration::from_mins(1);
/// A token without `expires_in` is taken for this long.
const UNKNOWN_LIFETIME: u64 = 300;
/// Requests that waited for a token that could not be had share the failure for this long.
const SHARED_FAILURE: Duration = Duration::from_secs(1);

/// A token, and which one it is.
#[derive(Debug, Clone)]
pub(super) struct Token {
    /// `Bearer …`, marked as sensitive.
    pub(super) header: HeaderValue,
    number: u64,
    renew_at: Millis,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    failure: Option<(Instant, ReltioError)>,
    given: u64,
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Tokens {
    http: reqwest::Client,
    url: Url,
    client_id: String,
    client_secret: Secret,
    clock: SharedClock,
    jitter: Jitter,
    held: Mutex<Held>,
}

#[derive(Deserialize)]
struct Given {
    access_token: String,
    expires_in: Option<u64>,
}

impl Tokens {
    pub(super) fn new(
        config: &ReltioApi,
        http: reqwest::Client,
        clock: SharedClock,
        jitter: Jitter,
    ) -> Result<Self, String> {
        let plain = config.insecure_plain_http;
        Ok(Self {
            http,
            url: http::address("reltio.auth_url", &config.auth_url, plain)?,
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            clock,
            jitter,
            held: Mutex::default(),
        })
    }

    /// The token of now. Who waits here is served by the one request that is under way.
    pub(super) async fn get(&self) -> Result<Token, ReltioError> {
        let mut held = self.held.lock().await;
        if let Some(token) = &held.token
            && self.clock.now() < token.renew_at
        {
            return Ok(token.clone());
        }
        if let Some((at, error)) = &held.failure
            && at.elapsed() < SHARED_FAILURE
        {
            return Err(error.clone());
        }
        match self.ask(held.given + 1).await {
            Ok(token) => {
                held.given = token.number;
                held.failure = None;
                held.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => {
                held.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    /// A token other than `refused`, which was answered 401.
    pub(super) async fn renew(&self, refused: &Token) -> Result<Token, ReltioError> {
        {
            let mut held = self.held.lock().await;
            held.token.take_if(|token| token.number == refused.number);
        }
        self.get().await
    }

    /// Asks for a token within the retry rules.
    async fn ask(&self, number: u64) -> Result<Token, ReltioError> {
        let mut attempt = 1;
        loop {
            let form = [("grant_type", "client_credentials")];
            let request = self
                .http
                .post(self.url.clone())
                .basic_auth(&self.client_id, Some(self.client_secret.reveal()))
                .form(&form);
            let (code, pause) = match http::send(request).await {
                Ok(reply) => match judge(reply.status) {
                    Verdict::Answered => return self.token(&reply, number),
                    Verdict::Again | Verdict::AgainAFewTimes => {
                        let pause = verdict::retry_after(&reply.headers);
                        (reply.status.to_string(), pause)
                    }
                    last @ (Verdict::Renew | Verdict::Refused(_) | Verdict::Rejected) => {
                        return Err(last.error(reply.status));
                    }
                },
                Err(code) => (code.to_owned(), None),
            };
            if attempt == ATTEMPTS {
                return Err(ReltioError::Unavailable {
                    code: format!("token {code}"),
                });
            }
            let wait = verdict::wait(attempt, self.jitter.next());
            let asked = Throttle::bounded(pause.unwrap_or_default());
            tokio::time::sleep(wait.max(asked)).await;
            attempt += 1;
        }
    }

    fn token(&self, reply: &Reply, number: u64) -> Result<Token, ReltioError> {
        let unreadable = || ReltioError::Unavailable {
            code: "token answer unreadable".to_owned(),
        };
        let given: Given = serde_json::from_slice(&reply.body).map_err(|_| unreadable())?;
        let bearer = format!("Bearer {}", given.access_token);
        let mut header = HeaderValue::try_from(bearer).map_err(|_| unreadable())?;
        header.set_sensitive(true);
        // Reltio gives the same token again until it ends, with the time that remains.
        let lifetime = Duration::from_secs(given.expires_in.unwrap_or(UNKNOWN_LIFETIME));
        let lifetime = lifetime.saturating_sub(MARGIN.min(lifetime / 10));
        Ok(Token {
            header,
            number,
            renew_at: self.clock.now().saturating_add(as_millis(lifetime)),
        })
    }
}

/// What the token endpoint's status means.
fn judge(status: u16) -> Verdict {
    match status {
        400 | 401 | 403 => {
            Verdict::Refused("correct reltio.client_id and reltio.client_secret (reltio.auth_url)")
        }
        404 => Verdict::Refused("there is no token endpoint; correct reltio.auth_url"),
        500 => Verdict::Again,
        other => match verdict::verdict(other) {
            Verdict::Rejected => Verdict::Refused("correct reltio.auth_url"),
            verdict @ (Verdict::Answered
            | Verdict::Renew
            | Verdict::Again
            | Verdict::AgainAFewTimes
            | Verdict::Refused(_)) => verdict,
        },
    }
}
