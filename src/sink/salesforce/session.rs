//! The OAuth session: tokens by client credentials or JWT bearer.
//!
//! Guarantee: that of [`TokenCache`]. An org does not tell how long a token is good for.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::codes;
use super::config::SalesforceSink;
use super::jwt::Signer;
use crate::config::Secret;
use crate::oauth::{self, TokenCache};
use crate::sink::SinkError;
use crate::time::SharedClock;

const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A token, and where its org answers.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) bearer: Secret,
    pub(super) instance: String,
}

/// Tokens of one org.
#[derive(Debug)]
pub(super) struct Session {
    http: reqwest::Client,
    url: String,
    client_id: String,
    proof: Proof,
    clock: SharedClock,
    plain_http: bool,
    timeout: Duration,
    cache: TokenCache<Token, SinkError>,
}

/// What the client shows.
#[derive(Debug)]
enum Proof {
    /// Client credentials.
    Secret(Secret),
    /// JWT bearer.
    Key(Box<Signer>),
}

impl Proof {
    fn of(config: &SalesforceSink) -> Result<Self, String> {
        match (&config.client_secret, &config.jwt) {
            (Some(secret), None) => Ok(Self::Secret(secret.clone())),
            (None, Some(jwt)) => Ok(Self::Key(Box::new(Signer::new(config, jwt)?))),
            (Some(_), Some(_)) | (None, None) => {
                Err("salesforce: write either client_secret or jwt".to_owned())
            }
        }
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    instance_url: String,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Session {
    /// A session that has no token yet.
    ///
    /// # Errors
    /// If the secret would be sent in clear text and no one asked for that.
    pub(super) fn new(
        http: reqwest::Client,
        config: &SalesforceSink,
        clock: SharedClock,
    ) -> Result<Self, String> {
        let login = config.login_url.trim_end_matches('/');
        if !config.insecure_plain_http && !login.starts_with("https://") {
            return Err(format!(
                "salesforce.login_url: found {login}; use https:// (the client secret is sent there)"
            ));
        }
        Ok(Self {
            http,
            url: format!("{login}/services/oauth2/token"),
            client_id: config.client_id.clone(),
            proof: Proof::of(config)?,
            cache: TokenCache::new(Arc::clone(&clock)),
            clock,
            plain_http: config.insecure_plain_http,
            timeout: config.request_timeout.get(),
        })
    }

    /// A token other than `expired`.
    pub(super) async fn token(
        &self,
        expired: Option<&Arc<Token>>,
    ) -> Result<Arc<Token>, SinkError> {
        match expired {
            Some(expired) => self.cache.renew(expired, || self.grant()).await,
            None => self.cache.get(|| self.grant()).await,
        }
    }

    async fn grant(&self) -> Result<oauth::Granted<Token>, SinkError> {
        let request = self.http.post(&self.url).timeout(self.timeout);
        let request = match &self.proof {
            Proof::Secret(secret) => request.form(&[
                ("grant_type", "client_credentials"),
                ("client_id", &self.client_id),
                ("client_secret", secret.reveal()),
            ]),
            Proof::Key(signer) => {
                let assertion = signer.assertion(self.clock.now());
                let assertion = assertion.ok_or_else(|| unavailable("token_unsigned"))?;
                request.form(&[
                    ("grant_type", JWT_BEARER),
                    ("assertion", assertion.as_str()),
                ])
            }
        };
        let answer = request
            .send()
            .await
            .map_err(|_| unavailable("token_unreachable"))?;
        let status = answer.status();
        let body = answer
            .bytes()
            .await
            .map_err(|_| unavailable("token_unreachable"))?;
        if status.is_success() {
            let granted: Granted =
                serde_json::from_slice(&body).map_err(|_| unavailable("token_unreadable"))?;
            return self.accept(granted);
        }
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(unavailable(&format!("token_http_{}", status.as_u16())));
        }
        let code = serde_json::from_slice::<Denied>(&body).map_or_else(
            |_| format!("http_{}", status.as_u16()),
            |denied| codes::code(&denied.error),
        );
        Err(SinkError::Systemic {
            code: format!("token_{code}"),
            remedy: match &self.proof {
                Proof::Secret(_) => {
                    "check client_id, client_secret, that login_url is the org's My Domain, and \
                     that the app allows the client credentials flow with a run-as user"
                }
                Proof::Key(_) => {
                    "check client_id, jwt.username, jwt.audience (a sandbox's is \
                     https://test.salesforce.com), this host's clock, that the app holds the \
                     certificate of jwt.private_key, and that it is pre-authorised for the user"
                }
            }
            .to_owned(),
        })
    }

    fn accept(&self, granted: Granted) -> Result<oauth::Granted<Token>, SinkError> {
        let instance = granted.instance_url.trim_end_matches('/').to_owned();
        if !self.plain_http && !instance.starts_with("https://") {
            return Err(SinkError::Systemic {
                code: "token_instance_url".to_owned(),
                remedy: "the token's instance_url is not https; check login_url".to_owned(),
            });
        }
        Ok(oauth::Granted {
            token: Token {
                bearer: granted.access_token,
                instance,
            },
            lifetime: None,
        })
    }
}

/// Nothing was sent to the org itself.
fn unavailable(code: &str) -> SinkError {
    SinkError::Retryable {
        code: code.to_owned(),
        ambiguous: false,
        outage: true,
    }
}
