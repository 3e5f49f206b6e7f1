//! One endpoint: a webhook source of the configuration, ready to check requests.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::ServeError;
use super::config::{SignatureScheme, WebhookSource};
use super::doubt::{Doubt, Refused};
use super::limit::{Failures, Rate};
use super::signature::{Key, bears, verify};
use crate::config::Secret;
use crate::time::Millis;

/// One endpoint.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) source: Arc<str>,
    pub(super) path: String,
    pub(super) max_body: usize,
    pub(super) rate: Rate,
    pub(super) failures: Failures,
    pub(super) refused: Refused,
    scheme: SignatureScheme,
    keys: Vec<Key>,
    bearer: Option<Secret>,
}

impl Endpoint {
    pub(super) fn new(source: String, config: &WebhookSource) -> Result<Self, ServeError> {
        let refused = |key: String, why: &str| {
            ServeError::Refused(format!("sources.{source}.webhook.{key}: {why}"))
        };
        let keys = config.secrets.iter().enumerate().map(|(index, secret)| {
            Key::new(config.scheme, secret)
                .map_err(|why| refused(format!("secrets[{index}]"), &why))
        });
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(refused(
                "secrets".to_owned(),
                "set the secret the sender signs with",
            ));
        }
        if config
            .bearer
            .as_ref()
            .is_some_and(|bearer| bearer.reveal().is_empty())
        {
            return Err(refused(
                "bearer".to_owned(),
                "the token is empty; set it, or take the key out",
            ));
        }
        Ok(Self {
            path: config.path.clone(),
            max_body: usize::try_from(config.max_body.get()).unwrap_or(usize::MAX),
            rate: Rate::new(config.rate_limit),
            failures: Failures::new(config.rate_limit),
            refused: Refused::default(),
            scheme: config.scheme,
            keys,
            bearer: config.bearer.clone(),
            source: source.into(),
        })
    }

    /// Whether the request was sent by one who may. Everything is checked, whatever fails first.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Millis,
    ) -> Result<(), Doubt> {
        let signed = verify(self.scheme, &self.keys, headers, body, now);
        let borne = match &self.bearer {
            Some(bearer) => bears(headers, bearer),
            None => Ok(()),
        };
        signed.and(borne)
    }
}
