//! Tokens and refreshes, and who gets one.

use serde_json::{Value, json};

use super::{CLIENT, PowerBiFault, PowerBiRefresh, SECRET, State};
use crate::time::{Millis, as_millis};

const DAY: Millis = 24 * 60 * 60 * 1000;
/// Whom tokens for Power BI are for.
const SCOPE: &str = "https://api.powerbi.com/.default";

/// Status and body.
pub(super) type Said = (u16, Value);

impl State {
    pub(super) fn now(&self) -> Millis {
        self.settings.clock.now()
    }

    pub(super) fn takes(&mut self, fits: impl Fn(PowerBiFault) -> bool) -> Option<PowerBiFault> {
        self.faults.pop_front_if(|fault| fits(*fault))
    }

    /// Client credentials for a token.
    pub(super) fn grant(&mut self, form: &[(String, String)]) -> Said {
        let value = |name: &str| {
            let found = form.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let denied = |status, error: &str, text: &str| {
            (status, json!({ "error": error, "error_description": text }))
        };
        if value("grant_type") != Some("client_credentials") {
            let text = "AADSTS70003: The app requested an unsupported grant type.";
            return denied(400, "unsupported_grant_type", text);
        }
        if value("client_id") != Some(CLIENT) {
            let text = "AADSTS700016: Application was not found in the directory.";
            return denied(400, "unauthorized_client", text);
        }
        if value("client_secret") != Some(SECRET) {
            let text = "AADSTS7000215: Invalid client secret provided.";
            return denied(401, "invalid_client", text);
        }
        if value("scope") != Some(SCOPE) {
            let text =
                "AADSTS70011: The provided value for the input parameter 'scope' is not valid.";
            return denied(400, "invalid_scope", text);
        }
        self.granted += 1;
        let token = format!("fake-token-{}", self.granted);
        let life = self.settings.token_life;
        let ends = self.now().saturating_add(as_millis(life));
        self.tokens.insert(token.clone(), ends);
        let seconds = life.as_secs();
        let body = json!({
            "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
            "access_token": token,
        });
        (200, body)
    }

    /// Whether a request may pass.
    pub(super) fn lets_in(&self, authorization: Option<&str>) -> bool {
        let bearer = authorization.and_then(|text| text.strip_prefix("Bearer "));
        let ends = bearer.and_then(|token| self.tokens.get(token));
        ends.is_some_and(|ends| self.now() < *ends)
    }

    /// Why no refresh can be started now, if so.
    pub(super) fn refuses(&self, body: &Value) -> Option<Said> {
        let now = self.now();
        let error = |status, code: &str, message: &str| {
            (
                status,
                json!({ "error": { "code": code, "message": message } }),
            )
        };
        if is_enhanced(body) && self.settings.daily.is_some() {
            let text = "Enhanced refresh is not available on shared capacity";
            return Some(error(400, "InvalidRequest", text));
        }
        if self.history.iter().any(|refresh| now < refresh.ends) {
            let text =
                "Invalid dataset refresh request. Another refresh request is already executing";
            return Some(error(409, "InvalidRequest", text));
        }
        let day = self.history.iter().filter(|it| it.started > now - DAY);
        if self
            .settings
            .daily
            .is_some_and(|daily| day.count() >= daily)
        {
            let text = "Invalid dataset refresh request. Number of refresh requests in last 24 hours \
                        exceeded limit";
            return Some(error(400, "InvalidRequest", text));
        }
        None
    }

    /// Starts one, if none is under way; its place in the history.
    pub(super) fn begin(&mut self, kind: &'static str, body: Value) -> usize {
        let started = self.now();
        if self.history.last().is_none_or(|last| last.ends <= started) {
            let fails = self.takes(|fault| fault == PowerBiFault::Fail).is_some();
            self.history.push(PowerBiRefresh {
                kind,
                started,
                ends: started.saturating_add(as_millis(self.settings.lasts)),
                fails,
                body,
            });
        }
        self.history.len()
    }
}

/// Any key but this one asks for an enhanced refresh.
pub(super) fn is_enhanced(body: &Value) -> bool {
    let keys = body.as_object().into_iter().flatten();
    keys.into_iter().any(|(key, _)| key != "notifyOption")
}
