//! Sessions and jobs, and who gets one.

use serde_json::{Value, json};

use super::{SITE, State, TOKEN_NAME, TOKEN_SECRET, TableauFault, TableauJob, jwt};
use crate::time::{Millis, as_millis};

/// The site's id.
pub(super) const SITE_ID: &str = "1edc53ac-e247-4870-9fd3-6fad0ce5f84d";

/// Status and body.
pub(super) type Said = (u16, Value);

/// Tableau's error object.
pub(super) fn error(status: u16, code: &str, summary: &str, detail: &str) -> Said {
    let error = json!({ "summary": summary, "detail": detail, "code": code });
    (status, json!({ "error": error }))
}

impl State {
    pub(super) fn now(&self) -> Millis {
        self.settings.clock.now()
    }

    pub(super) fn takes(&mut self, fits: impl Fn(TableauFault) -> bool) -> Option<TableauFault> {
        self.faults.pop_front_if(|fault| fits(*fault))
    }

    pub(super) fn sign_in(&mut self, body: &Value) -> Said {
        let refused = || {
            error(
                401,
                "401001",
                "Signin Error",
                "Error signing in to Tableau Cloud",
            )
        };
        let Some(credentials) = body.get("credentials") else {
            return error(400, "400000", "Bad Request", "The request body is invalid");
        };
        let text = |name: &str| credentials.get(name).and_then(Value::as_str);
        let site = credentials
            .get("site")
            .and_then(|site| site.get("contentUrl"));
        if site.and_then(Value::as_str) != Some(SITE) {
            return refused();
        }
        let by_token = text("personalAccessTokenName").is_some();
        if let Some(token) = text("jwt") {
            match jwt::verify(token, self.now()) {
                // A token is good for one sign-in.
                Some(jti) if !self.seen.contains(&jti) => self.seen.push(jti),
                Some(_) | None => return refused(),
            }
        } else if text("personalAccessTokenName") != Some(TOKEN_NAME)
            || text("personalAccessTokenSecret") != Some(TOKEN_SECRET)
        {
            return refused();
        }
        self.signed_in += 1;
        let session = format!("fake-session-{}", self.signed_in);
        let ends = self
            .now()
            .saturating_add(as_millis(self.settings.session_life));
        if by_token && let Some(before) = self.of_token.replace(session.clone()) {
            self.sessions.remove(&before);
        }
        self.sessions.insert(session.clone(), ends);
        let credentials = json!({
            "site": { "id": SITE_ID, "contentUrl": SITE },
            "user": { "id": "9f9e9d9c-0000-0000-0000-000000000000" },
            "token": session, "estimatedTimeToExpiration": "240:00:00",
        });
        (200, json!({ "credentials": credentials }))
    }

    /// Whether a request may pass.
    pub(super) fn lets_in(&self, session: Option<&str>) -> bool {
        let ends = session.and_then(|session| self.sessions.get(session));
        ends.is_some_and(|ends| self.now() < *ends)
    }

    /// Why no job is queued now, if so.
    pub(super) fn refuses(&self) -> Option<Said> {
        let now = self.now();
        let running = self.settings.refuses_while_running;
        let holds = |job: &TableauJob| now < job.begins || (running && now < job.ends);
        self.jobs.iter().any(holds).then(|| {
            let text = "Job for 'People' is already queued. Not queuing a duplicate.";
            error(409, "409093", "Resource Conflict", text)
        })
    }

    /// Queues a job; its number.
    pub(super) fn begin(&mut self) -> usize {
        let queued = self.now();
        let begins = queued.saturating_add(as_millis(self.settings.waits));
        let fails = self.takes(|fault| fault == TableauFault::Fail).is_some();
        self.jobs.push(TableauJob {
            queued,
            begins,
            ends: begins.saturating_add(as_millis(self.settings.lasts)),
            fails,
        });
        self.jobs.len()
    }
}
