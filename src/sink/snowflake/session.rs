//! Signing in: the host that takes rows, and a token for it alone.
//!
//! Guarantee: that of [`TokenCache`]. Where the host is, is asked with every token: it may move.

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;

use super::config::SnowflakeSink;
use super::http;
use crate::config::Secret;
use crate::http::snowflake::{LIFE, Signer, signed};
use crate::oauth::{Granted, TokenCache};
use crate::sink::SinkError;
use crate::time::SharedClock;

/// A token, and the host that it is for.
#[derive(Debug)]
pub(super) struct Scoped {
    pub(super) bearer: Secret,
    /// `https://host`.
    pub(super) ingest: String,
}

/// Tokens of one user.
#[derive(Debug)]
pub(super) struct Session {
    http: reqwest::Client,
    signer: Signer,
    control: String,
    clock: SharedClock,
    cache: TokenCache<Scoped, SinkError>,
}

/// The host's name: the documentation shows JSON, and clients see text.
#[derive(Debug, Deserialize)]
struct Host {
    hostname: String,
}

/// The token: as with the host.
#[derive(Debug, Deserialize)]
struct Token {
    token: Secret,
}

impl Session {
    /// A session that has no token yet.
    ///
    /// # Errors
    /// If the key is none, as one sentence.
    pub(super) fn new(
        http: reqwest::Client,
        config: &SnowflakeSink,
        clock: SharedClock,
    ) -> Result<Self, String> {
        let key = config.private_key.reveal();
        Ok(Self {
            http,
            signer: Signer::new(&config.account, &config.user, key)?,
            control: config.control(),
            cache: TokenCache::new(Arc::clone(&clock)),
            clock,
        })
    }

    /// A token other than `refused`.
    ///
    /// # Errors
    /// If none is to be had now, or at all.
    pub(super) async fn token(
        &self,
        refused: Option<&Arc<Scoped>>,
    ) -> Result<Arc<Scoped>, SinkError> {
        match refused {
            Some(refused) => self.cache.renew(refused, || self.grant()).await,
            None => self.cache.get(|| self.grant()).await,
        }
    }

    async fn grant(&self) -> Result<Granted<Scoped>, SinkError> {
        let token = self.signer.token(self.clock.now());
        let token = token.ok_or_else(|| http::away("token_unsigned"))?;
        let url = format!("{}/v2/streaming/hostname", self.control);
        let host = self.ask(self.http.get(url), &token).await?;
        let host = match serde_json::from_slice::<Host>(&host) {
            Ok(json) => json.hostname,
            Err(_) => text(&host),
        };
        let host = host.replace('_', "-");
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-.:".contains(letter);
        if host.is_empty() || !host.chars().all(plain) {
            return Err(http::away("hostname_unreadable"));
        }
        let form = reqwest::Url::parse_with_params(
            "form:",
            [
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("scope", host.as_str()),
            ],
        );
        let form = form.map_err(|_| http::away("hostname_unreadable"))?;
        let request = self
            .http
            .post(format!("{}/oauth/token", self.control))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.query().unwrap_or_default().to_owned());
        let token = self.ask(request, &token).await?;
        let bearer = match serde_json::from_slice::<Token>(&token) {
            Ok(json) => json.token,
            Err(_) => Secret::new(text(&token)),
        };
        let scheme = self.control.split_once("://").map_or("https", |it| it.0);
        Ok(Granted {
            token: Scoped {
                bearer,
                ingest: format!("{scheme}://{host}"),
            },
            lifetime: u64::try_from(LIFE).ok().map(Duration::from_secs),
        })
    }

    /// A request to the control host.
    async fn ask(&self, request: RequestBuilder, token: &str) -> Result<Vec<u8>, SinkError> {
        let answer = http::send(signed(request, token), false).await?;
        if answer.0.status == 200 {
            return Ok(answer.0.body);
        }
        if let Some(error) = answer.passing(false) {
            return Err(error);
        }
        Err(SinkError::Systemic {
            code: format!("sign_in_{}", answer.code()),
            remedy: "check account and user, that the user's RSA_PUBLIC_KEY is that of private_key \
                     (DESC USER shows its fingerprint), that no network policy keeps this host out, \
                     and this host's clock"
                .to_owned(),
        })
    }
}

/// A bare text of an answer, with or without quotes.
fn text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.trim().trim_matches('"').to_owned()
}
