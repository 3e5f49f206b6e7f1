//! What stands before every resource: the session, outages, usage, and faults by chance.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use rand::RngExt as _;
use serde_json::json;

use super::{Once, Shared, State, jwt};

/// Bytes of a URL at most.
const LONGEST_URL: usize = 16_384;

pub(super) fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    (
        status,
        Json(json!([{ "errorCode": code, "message": message }])),
    )
        .into_response()
}

fn unavailable() -> Response {
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "SERVER_UNAVAILABLE",
        "the server is unavailable",
    )
}

impl State {
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    pub(super) fn takes(&mut self, once: Once) -> bool {
        let next = self.once.front() == Some(&once);
        if next {
            self.once.pop_front();
        }
        next
    }

    fn is_valid(&self, headers: &HeaderMap) -> bool {
        let bearer = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let until = bearer
            .and_then(|it| it.strip_prefix("Bearer "))
            .and_then(|it| self.tokens.get(it));
        until.is_some_and(|until| tokio::time::Instant::now() < *until)
    }
}

/// Outage, slowness, session, URL length, usage: what stands before every resource.
pub(super) async fn admit(
    Extract(shared): Extract<Shared>,
    uri: Uri,
    request: Request,
    next: Next,
) -> Response {
    let slow = shared.lock().faults.slow;
    tokio::time::sleep(slow).await;
    let usage = {
        let mut state = shared.lock();
        let unavailable_now = state.faults.unavailable;
        if state.outage || state.takes(Once::Unavailable) || state.happens(unavailable_now) {
            return unavailable();
        }
        if !state.is_valid(request.headers()) {
            return refuse(
                StatusCode::UNAUTHORIZED,
                "INVALID_SESSION_ID",
                "Session expired or invalid",
            );
        }
        if uri.to_string().len() > LONGEST_URL {
            return StatusCode::URI_TOO_LONG.into_response();
        }
        let daily = state.settings.daily_calls;
        if state.usage + state.others >= daily {
            return refuse(
                StatusCode::FORBIDDEN,
                "REQUEST_LIMIT_EXCEEDED",
                "TotalRequests Limit exceeded.",
            );
        }
        state.usage += 1;
        format!("api-usage={}/{daily}", state.usage + state.others)
    };
    let mut answer = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&usage) {
        answer.headers_mut().insert("sforce-limit-info", value);
    }
    answer
}

pub(super) async fn token(Extract(shared): Extract<Shared>, body: Bytes) -> Response {
    let slow = shared.lock().faults.slow;
    tokio::time::sleep(slow).await;
    let form: Vec<(String, String)> =
        reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(&body)))
            .map(|url| url.query_pairs().into_owned().collect())
            .unwrap_or_default();
    let value = |name: &str| {
        form.iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let mut state = shared.lock();
    if state.outage {
        return unavailable();
    }
    let denied =
        |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if value("grant_type") == Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
        if let Err(why) = jwt::verify(value("assertion"), &state.settings.client_id) {
            let body = json!({ "error": "invalid_grant", "error_description": why });
            return (StatusCode::BAD_REQUEST, Json(body)).into_response();
        }
    } else if value("grant_type") != Some("client_credentials") {
        return denied("unsupported_grant_type");
    } else if value("client_id") != Some(&state.settings.client_id)
        || value("client_secret") != Some(&state.settings.client_secret)
    {
        return denied("invalid_client");
    }
    state.tokens_granted += 1;
    let bearer = format!("fake-token-{}", state.tokens_granted);
    let until = tokio::time::Instant::now() + state.settings.token_life;
    state.tokens.insert(bearer.clone(), until);
    Json(json!({
        "access_token": bearer,
        "instance_url": format!("http://{}", shared.address),
        "id": "https://login.salesforce.com/id/00Dxx0000000000EAA/005xx0000000000AAA",
        "token_type": "Bearer",
    }))
    .into_response()
}
