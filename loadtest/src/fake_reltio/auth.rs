//! Tokens: given for client credentials, the same one until it ends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::FakeReltioSettings;
use crate::time::{Millis, as_millis};

/// Gives tokens out and knows them again.
#[derive(Debug)]
pub(super) struct TokenDesk {
    basic: String,
    lifetime: Duration,
    given: u64,
    token: Option<(String, Millis)>,
}

impl TokenDesk {
    pub(super) fn new(settings: &FakeReltioSettings) -> Self {
        let pair = format!("{}:{}", settings.client_id, settings.client_secret);
        Self {
            basic: format!("Basic {}", STANDARD.encode(pair)),
            lifetime: settings.token_lifetime,
            given: 0,
            token: None,
        }
    }

    /// Status and body of a request for a token.
    pub(super) fn give(&mut self, basic: Option<&str>, body: &str, now: Millis) -> (u16, Value) {
        if basic != Some(&self.basic) {
            let problem = json!({
                "error": "invalid_client",
                "error_description": "Bad client credentials",
            });
            return (401, problem);
        }
        let mut pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        if !pairs.any(|pair| pair == ("grant_type", "client_credentials")) {
            let problem = json!({
                "error": "unsupported_grant_type",
                "error_description": "Unsupported grant type",
            });
            return (400, problem);
        }
        let held = self.token.take().filter(|(_, ends)| now < *ends);
        let (token, ends) = held.unwrap_or_else(|| {
            self.given += 1;
            let ends = now.saturating_add(as_millis(self.lifetime));
            (format!("token-{}", self.given), ends)
        });
        let answer = json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": (ends - now) / 1000,
        });
        self.token = Some((token, ends));
        (200, answer)
    }

    /// Whether a request may pass.
    pub(super) fn takes(&self, authorization: Option<&str>, now: Millis) -> bool {
        let bearer = authorization.and_then(|text| text.strip_prefix("Bearer "));
        self.token
            .as_ref()
            .is_some_and(|(token, ends)| Some(token.as_str()) == bearer && now < *ends)
    }

    /// Takes no token that was given so far.
    pub(super) fn revoke(&mut self) {
        self.token = None;
    }
}
