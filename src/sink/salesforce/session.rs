//! The OAuth session: a token by client credentials or JWT bearer, renewed once for all requests in flight.
//!
//! Guarantee: however many requests find their token expired, the endpoint is asked once.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;

use super::codes;
use super::config::SalesforceSink;
use super::jwt::Signer;
use crate::config::Secret;
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
    current: RwLock<Option<Arc<Token>>>,
    renewing: Mutex<()>,
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
    /// If the secret would be sent in clear text and nobody asked for that.
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
            clock,
            plain_http: config.insecure_plain_http,
            timeout: config.request_timeout.get(),
            current: RwLock::new(None),
            renewing: Mutex::new(()),
        })
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A token other than `expired`.
    pub(super) async fn token(
        &self,
        expired: Option<&Arc<Token>>,
    ) -> Result<Arc<Token>, SinkError> {
        let usable =
            |token: &Arc<Token>| expired.is_none_or(|expired| !Arc::ptr_eq(expired, token));
        if let Some(token) = self.current().filter(usable) {
            return Ok(token);
        }
        let one_at_a_time = self.renewing.lock().await;
        if let Some(token) = self.current().filter(usable) {
            return Ok(token);
        }
        let token = Arc::new(self.grant().await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        drop(one_at_a_time);
        Ok(token)
    }

    async fn grant(&self) -> Result<Token, SinkError> {
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

    fn accept(&self, granted: Granted) -> Result<Token, SinkError> {
        let instance = granted.instance_url.trim_end_matches('/').to_owned();
        if !self.plain_http && !instance.starts_with("https://") {
            return Err(SinkError::Systemic {
                code: "token_instance_url".to_owned(),
                remedy: "the token's instance_url is not https; check login_url".to_owned(),
            });
        }
        Ok(Token {
            bearer: granted.access_token,
            instance,
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
