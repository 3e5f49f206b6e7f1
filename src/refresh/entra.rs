//! Tokens of Microsoft Entra ID for Power BI: OAuth client credentials of a service principal.
//!
//! Guarantee: that of [`TokenCache`].

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use serde::Deserialize;

use super::Trouble;
use super::config::PowerBi;
use super::http::{self, Answer};
use crate::config::Secret;
use crate::oauth::{Granted, TokenCache};
use crate::time::SharedClock;

/// Power BI takes tokens of this audience
/// (<https://learn.microsoft.com/en-us/power-bi/connect-data/asynchronous-refresh>).
const SCOPE: &str = "https://api.powerbi.com/.default";
const REMEDY: &str =
    "check tenant_id, client_id and client_secret of power_bi, and that the secret has not expired";

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Tokens {
    http: reqwest::Client,
    url: String,
    client_id: String,
    client_secret: Secret,
    cache: TokenCache<HeaderValue, Trouble>,
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
    pub(super) fn new(config: &PowerBi, http: reqwest::Client, clock: &SharedClock) -> Self {
        let login = config.login_url.trim_end_matches('/');
        Self {
            http,
            url: format!("{login}/{}/oauth2/v2.0/token", config.tenant_id),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
            cache: TokenCache::new(Arc::clone(clock)),
        }
    }

    /// A token other than `refused`, which was answered 401.
    pub(super) async fn get(
        &self,
        refused: Option<&Arc<HeaderValue>>,
    ) -> Result<Arc<HeaderValue>, Trouble> {
        match refused {
            Some(refused) => self.cache.renew(refused, || self.ask()).await,
            None => self.cache.get(|| self.ask()).await,
        }
    }

    async fn ask(&self) -> Result<Granted<HeaderValue>, Trouble> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.reveal()),
            ("scope", SCOPE),
        ];
        let answer = http::send(self.http.post(&self.url).form(&form)).await;
        let answer = answer.map_err(Trouble::of_question)?;
        if answer.status != 200 {
            return Err(denied(&answer).of_question());
        }
        let given: Given = answer.json().map_err(Trouble::of_question)?;
        let bearer = HeaderValue::try_from(format!("Bearer {}", given.access_token.reveal()));
        let mut token = bearer.map_err(|_| Trouble::Unreachable("token unreadable".to_owned()))?;
        token.set_sensitive(true);
        Ok(Granted {
            token,
            lifetime: given.expires_in.map(Duration::from_secs),
        })
    }
}

fn denied(answer: &Answer) -> Trouble {
    let denied = answer.json::<Denied>().ok();
    let code = denied.map(|denied| format!("token {}", http::code(&denied.error)));
    answer.trouble(code, REMEDY)
}
