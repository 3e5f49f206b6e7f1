//! Sessions of Tableau: by personal access token or by the token of a connected app.
//!
//! Guarantee: that of [`TokenCache`]. A personal access token has one session: another sign-in with
//! it, here or elsewhere, ends the one before, so that it is kept until it is refused.

use std::sync::Arc;

use reqwest::header::{ACCEPT, HeaderValue};
use serde::Deserialize;
use serde_json::json;

use super::config::{Tableau, TableauProof};
use super::{Trouble, jwt};
use crate::config::Secret;
use crate::http::{self, Answer, Failure};
use crate::oauth::{Granted, TokenCache};
use crate::time::SharedClock;

const REMEDY: &str = "check site and the personal_access_token (expired, or unused for 15 days) or \
                      the connected_app (enabled, secret, username, this host's clock)";

/// A session, and the site that it is of.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) token: HeaderValue,
    pub(super) site: String,
}

/// Where sessions come from.
#[derive(Debug)]
pub(super) struct Sessions {
    http: reqwest::Client,
    url: String,
    site: String,
    proof: TableauProof,
    clock: SharedClock,
    cache: TokenCache<Session, Trouble>,
}

#[derive(Deserialize)]
struct SignedIn {
    credentials: Credentials,
}

#[derive(Deserialize)]
struct Credentials {
    token: Secret,
    site: Site,
}

#[derive(Deserialize)]
struct Site {
    id: String,
}

#[derive(Deserialize)]
struct Refused {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl Sessions {
    /// Sessions of the site that `config` names; `api` is the address of the API's version.
    pub(super) fn new(
        config: &Tableau,
        api: &str,
        http: reqwest::Client,
        clock: &SharedClock,
    ) -> Result<Self, String> {
        let proof = config.proof().ok_or_else(|| {
            "tableau: write either personal_access_token or connected_app".to_owned()
        })?;
        Ok(Self {
            http,
            url: format!("{api}/auth/signin"),
            site: config.site.clone(),
            proof,
            clock: Arc::clone(clock),
            cache: TokenCache::new(Arc::clone(clock)),
        })
    }

    /// A session other than `refused`, which was answered 401.
    pub(super) async fn get(
        &self,
        refused: Option<&Arc<Session>>,
    ) -> Result<Arc<Session>, Trouble> {
        match refused {
            Some(refused) => self.cache.renew(refused, || self.sign_in()).await,
            None => self.cache.get(|| self.sign_in()).await,
        }
    }

    async fn sign_in(&self) -> Result<Granted<Session>, Trouble> {
        let site = json!({ "contentUrl": self.site });
        let credentials = match &self.proof {
            TableauProof::Token(token) => json!({
                "personalAccessTokenName": token.name,
                "personalAccessTokenSecret": token.secret.reveal(),
                "site": site,
            }),
            TableauProof::App(app) => {
                let unsigned = || Trouble::Unreachable("token unsigned".to_owned());
                let token = jwt::token(app, self.clock.now()).ok_or_else(unsigned)?;
                json!({ "jwt": token, "site": site })
            }
        };
        let request = self.http.post(&self.url).header(ACCEPT, "application/json");
        let request = request.json(&json!({ "credentials": credentials }));
        let answer = http::send(request).await.map_err(Failure::of_question)?;
        if answer.status != 200 {
            return Err(answer.failure(code(&answer), REMEDY).of_question().into());
        }
        let signed_in: SignedIn = answer.json().map_err(Failure::of_question)?;
        let Credentials { token, site } = signed_in.credentials;
        let mut token = HeaderValue::try_from(token.reveal())
            .map_err(|_| Trouble::Unreachable("token unreadable".to_owned()))?;
        token.set_sensitive(true);
        Ok(Granted {
            token: Session {
                token,
                site: site.id,
            },
            lifetime: None,
        })
    }
}

/// Tableau's code of a refusal: six digits, of which the first three are the status.
pub(super) fn code(answer: &Answer) -> Option<String> {
    let refused: Refused = answer.json().ok()?;
    Some(http::code(&refused.error.code))
}
