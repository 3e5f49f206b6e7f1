//! Tokens of Microsoft Entra ID for Power BI: OAuth client credentials of a service principal.
//!
//! Guarantee: that of [`TokenCache`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::{Answer, Failure};
use crate::config::Secret;
use crate::oauth::{Granted, TokenCache};
use crate::time::SharedClock;

/// Power BI takes tokens of this audience
/// (<https://learn.microsoft.com/en-us/power-bi/connect-data/asynchronous-refresh>).
const SCOPE: &str = "https://api.powerbi.com/.default";
const REMEDY: &str =
    "check tenant_id, client_id and client_secret, and that the secret has not expired";

/// A service principal: an app of Entra ID with a client secret.
#[derive(Debug)]
pub(crate) struct App<'a> {
    /// Where tokens come from; a national cloud has another address.
    pub(crate) login_url: &'a str,
    /// Directory (tenant) id.
    pub(crate) tenant_id: &'a str,
    /// Application (client) id.
    pub(crate) client_id: &'a str,
    /// A client secret of it.
    pub(crate) client_secret: &'a Secret,
}

/// Where tokens come from.
#[derive(Debug)]
pub(crate) struct Tokens {
    http: reqwest::Client,
    url: String,
    client_id: String,
    client_secret: Secret,
    cache: TokenCache<HeaderValue, Failure>,
}

#[derive(Deserialize)]
struct Given {
    access_token: Secret,
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
struct Denied {
    error: String,
}

impl Tokens {
    pub(crate) fn new(app: &App<'_>, http: reqwest::Client, clock: &SharedClock) -> Self {
        let login = app.login_url.trim_end_matches('/');
        Self {
            http,
            url: format!("{login}/{}/oauth2/v2.0/token", app.tenant_id),
            client_id: app.client_id.to_owned(),
            client_secret: app.client_secret.clone(),
            cache: TokenCache::new(Arc::clone(clock)),
        }
    }

    /// Sends with a token, and once more with another if it is refused: then nothing was done.
    ///
    /// # Errors
    /// Those of [`super::send`], and of a request for a token.
    pub(crate) async fn send(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let token = self.get(None).await?;
        let with =
            |token: &HeaderValue| super::send(request().header(AUTHORIZATION, token.clone()));
        let answer = with(&token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let token = self.get(Some(&token)).await?;
        with(&token).await
    }

    /// A token other than `refused`, which was answered 401.
    async fn get(&self, refused: Option<&Arc<HeaderValue>>) -> Result<Arc<HeaderValue>, Failure> {
        match refused {
            Some(refused) => self.cache.renew(refused, || self.ask()).await,
            None => self.cache.get(|| self.ask()).await,
        }
    }

    async fn ask(&self) -> Result<Granted<HeaderValue>, Failure> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.reveal()),
            ("scope", SCOPE),
        ];
        let answer = super::send(self.http.post(&self.url).form(&form)).await;
        let answer = answer.map_err(Failure::of_question)?;
        if answer.status != 200 {
            return Err(denied(&answer).of_question());
        }
        let given: Given = answer.json().map_err(Failure::of_question)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", given.access_token.reveal()));
        let mut token = bearer.map_err(|_| Failure::Unreachable("token unreadable".to_owned()))?;
        token.set_sensitive(true);
        Ok(Granted {
            token,
            lifetime: given.expires_in.map(Duration::from_secs),
        })
    }
}

fn denied(answer: &Answer) -> Failure {
    let denied = answer.json::<Denied>().ok();
    let code = denied.map(|denied| format!("token {}", super::code(&denied.error)));
    answer.failure(code, REMEDY)
}
