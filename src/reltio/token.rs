//! OAuth client credentials: where Reltio's tokens come from.
//!
//! Guarantee: that of [`TokenCache`]; a request for a token ends within the retry rules.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::ReltioApi;
use super::http::{self, Reply};
use super::jitter::Jitter;
use super::verdict::{self, ATTEMPTS, Verdict};
use super::{ReltioError, throttle::Throttle};
use crate::config::Secret;
use crate::oauth::{Granted, TokenCache};
use crate::time::SharedClock;

/// A token without `expires_in` is taken for this long.
const UNKNOWN_LIFETIME: u64 = 300;

/// `Bearer …`, marked as sensitive.
pub(super) type Token = Arc<HeaderValue>;

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Tokens {
    http: reqwest::Client,
    url: Url,
    client_id: String,
    client_secret: Secret,
    jitter: Jitter,
    cache: TokenCache<HeaderValue, ReltioError>,
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
            jitter,
            cache: TokenCache::new(clock),
        })
    }

    /// The token of now.
    pub(super) async fn get(&self) -> Result<Token, ReltioError> {
        self.cache.get(|| self.ask()).await
    }

    /// A token other than `refused`, which was answered 401.
    pub(super) async fn renew(&self, refused: &Token) -> Result<Token, ReltioError> {
        self.cache.renew(refused, || self.ask()).await
    }

    /// Asks for a token within the retry rules.
    async fn ask(&self) -> Result<Granted<HeaderValue>, ReltioError> {
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
                    Verdict::Answered => return granted(&reply),
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
}

fn granted(reply: &Reply) -> Result<Granted<HeaderValue>, ReltioError> {
    let unreadable = || ReltioError::Unavailable {
        code: "token answer unreadable".to_owned(),
    };
    let given: Given = serde_json::from_slice(&reply.body).map_err(|_| unreadable())?;
    let bearer = format!("Bearer {}", given.access_token);
    let mut token = HeaderValue::try_from(bearer).map_err(|_| unreadable())?;
    token.set_sensitive(true);
    // Reltio gives the same token again until it ends, with the time that remains.
    let lifetime = Duration::from_secs(given.expires_in.unwrap_or(UNKNOWN_LIFETIME));
    let lifetime = Some(lifetime);
    Ok(Granted { token, lifetime })
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
