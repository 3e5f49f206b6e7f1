//! The resources that clients use.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Extract};
use axum::http::header::{AUTHORIZATION, LOCATION, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Said, is_enhanced};
use super::{DATASET, GROUP, PowerBiFault, PowerBiRefresh, Shared, State, TENANT, rows};
use crate::time::Millis;

/// The number of a refresh that was dropped.
const DROPPED: usize = 999_999;
const DATASETS: &str = "/v1.0/myorg/groups/{group}/datasets/{dataset}";

pub(super) fn app(shared: Shared) -> Router {
    let refreshes = &format!("{DATASETS}/refreshes");
    Router::new()
        .route("/{tenant}/oauth2/v2.0/token", post(token))
        .route(refreshes, get(history).post(refresh))
        .route(&format!("{DATASETS}/tables"), get(rows::tables))
        .route(
            &format!("{DATASETS}/tables/{{table}}/rows"),
            post(rows::post).delete(rows::delete),
        )
        .with_state(shared)
}

pub(super) fn answer((status, body): Said) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

async fn token(
    Extract(shared): Extract<Shared>,
    Path(tenant): Path<String>,
    body: Bytes,
) -> Response {
    if tenant != TENANT {
        let text = "AADSTS90002: Tenant not found.";
        return answer((
            400,
            json!({ "error": "invalid_request", "error_description": text }),
        ));
    }
    let form = reqwest::Url::parse(&format!("http://form/?{}", String::from_utf8_lossy(&body)));
    let form = form.map(|url| url.query_pairs().into_owned().collect::<Vec<_>>());
    answer(shared.lock().grant(&form.unwrap_or_default()))
}

/// What stands before every resource, if it refuses.
pub(super) fn admit(
    state: &mut State,
    headers: &HeaderMap,
    place: &(String, String),
) -> Option<Response> {
    let before = |fault| matches!(fault, PowerBiFault::Throttle(_) | PowerBiFault::Unavailable);
    match state.takes(before) {
        Some(PowerBiFault::Throttle(seconds)) => {
            let text = format!("Retry in {seconds} seconds.");
            let mut refused = answer((429, json!({ "message": text })));
            refused.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Some(refused);
        }
        Some(_) => return Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        None => {}
    }
    let bearer = headers.get(AUTHORIZATION);
    if !state.lets_in(bearer.and_then(|value| value.to_str().ok())) {
        let error =
            json!({ "error": { "code": "TokenExpired", "message": "Access token has expired" } });
        return Some(answer((401, error)));
    }
    if place != &(GROUP.to_owned(), DATASET.to_owned()) {
        let error = json!({ "error": { "code": "PowerBIEntityNotFound", "message": "" } });
        return Some(answer((404, error)));
    }
    None
}

async fn refresh(
    Extract(shared): Extract<Shared>,
    Path(place): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut state = shared.lock();
    let said = start(&mut state, &place, &headers, &body);
    state.answers.push(said.status().as_u16());
    said
}

fn start(
    state: &mut State,
    place: &(String, String),
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    if let Some(refused) = admit(state, headers, place) {
        return refused;
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(refused) = state.refuses(&body) {
        return answer(refused);
    }
    if state
        .takes(|fault| fault == PowerBiFault::LoseRequest)
        .is_some()
    {
        return broken();
    }
    let enhanced = is_enhanced(&body);
    let kind = if enhanced { "ViaEnhancedApi" } else { "ViaApi" };
    let number = match state.takes(|fault| fault == PowerBiFault::Drop) {
        Some(_) => DROPPED,
        None => state.begin(kind, body),
    };
    if state
        .takes(|fault| fault == PowerBiFault::LoseAnswer)
        .is_some()
    {
        return broken();
    }
    let id = id(number);
    let mut accepted = StatusCode::ACCEPTED.into_response();
    let (name, value) = if enhanced {
        let place = "https://api.powerbi.com/v1.0/myorg/refreshes";
        (LOCATION, format!("{place}/{id}"))
    } else {
        (HeaderName::from_static("requestid"), id)
    };
    if let Ok(value) = HeaderValue::try_from(value) {
        accepted.headers_mut().insert(name, value);
    }
    accepted
}

fn id(number: usize) -> String {
    format!("9399bb89-25d1-44f8-8576-{number:012}")
}

pub(super) fn broken() -> Response {
    let broken = std::io::Error::other("the connection breaks");
    let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(body))
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(rename = "$top", default = "sixty")]
    top: usize,
}

fn sixty() -> usize {
    60
}

async fn history(
    Extract(shared): Extract<Shared>,
    Path(place): Path<(String, String)>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    if let Some(refused) = admit(&mut state, &headers, &place) {
        return refused;
    }
    let now = state.now();
    let numbered = state.history.iter().enumerate().rev().take(page.top);
    let entries: Vec<Value> = numbered
        .map(|(place, it)| entry(it, place + 1, now))
        .collect();
    answer((200, json!({ "value": entries })))
}

fn entry(refresh: &PowerBiRefresh, number: usize, now: Millis) -> Value {
    let time = |millis| {
        Timestamp::from_millisecond(millis)
            .unwrap_or_default()
            .to_string()
    };
    let mut entry = json!({
        "requestId": id(number), "id": number, "refreshType": refresh.kind,
        "startTime": time(refresh.started), "status": "Unknown",
    });
    if let Some(entry) = entry.as_object_mut()
        && refresh.ends <= now
    {
        let status = if refresh.fails { "Failed" } else { "Completed" };
        entry.insert("status".to_owned(), status.into());
        entry.insert("endTime".to_owned(), time(refresh.ends).into());
    }
    entry
}
