//! The REST resources that the sink uses.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State as Extract};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use rand::RngExt as _;
use serde_json::{Map, Value, json};

use super::org::failed;
use super::{Once, Seen, Shared, State, soql};
use crate::sink::salesforce::ids;

/// Rows of one request at most.
const ROWS: usize = 200;
/// Bytes of a URL at most.
const LONGEST_URL: usize = 16_384;

pub(super) fn app(shared: Shared) -> Router {
    let data = Router::new()
        .route("/query", get(query))
        .route("/query/{cursor}", get(more))
        .route("/sobjects/{sobject}/describe", get(describe))
        .route("/composite/sobjects", post(create).patch(update))
        .route("/composite/sobjects/{sobject}/{ext}", patch(upsert))
        .layer(middleware::from_fn_with_state(shared.clone(), admit));
    Router::new()
        .route("/services/oauth2/token", post(token))
        .nest("/services/data/{version}", data)
        .with_state(shared)
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
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
    fn happens(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.random_bool(probability.min(1.0))
    }

    fn takes(&mut self, once: Once) -> bool {
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
async fn admit(
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
        state.usage += 1;
        state.usage
    };
    let mut answer = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&format!("api-usage={usage}/100000")) {
        answer.headers_mut().insert("sforce-limit-info", value);
    }
    answer
}

async fn token(Extract(shared): Extract<Shared>, body: Bytes) -> Response {
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
    if value("grant_type") != Some("client_credentials") {
        return denied("unsupported_grant_type");
    }
    if value("client_id") != Some(&state.settings.client_id)
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

#[derive(serde::Deserialize)]
struct Asked {
    q: String,
}

async fn query(
    Extract(shared): Extract<Shared>,
    Path(version): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let mut state = shared.lock();
    match soql::run(&asked.q, &state.objects) {
        Ok(found) => {
            state.seen.push(Seen {
                method: "QUERY",
                rows: found.len(),
            });
            page(&mut state, &version, found)
        }
        Err((code, message)) => refuse(StatusCode::BAD_REQUEST, code, &message),
    }
}

async fn more(
    Extract(shared): Extract<Shared>,
    Path((version, cursor)): Path<(String, String)>,
) -> Response {
    let mut state = shared.lock();
    match state.cursors.remove(&cursor) {
        Some(rest) => page(&mut state, &version, rest),
        None => refuse(
            StatusCode::BAD_REQUEST,
            "INVALID_QUERY_LOCATOR",
            "invalid query locator",
        ),
    }
}

fn page(state: &mut State, version: &str, mut found: Vec<Value>) -> Response {
    let total = found.len();
    let rest = found.split_off(total.min(state.settings.page.max(1)));
    let mut answer = json!({ "totalSize": total, "done": rest.is_empty(), "records": found });
    if let (false, Some(answer)) = (rest.is_empty(), answer.as_object_mut()) {
        let cursor = format!("01gFAKE{:08}", state.usage);
        let next = format!("/services/data/{version}/query/{cursor}");
        answer.insert("nextRecordsUrl".to_owned(), json!(next));
        state.cursors.insert(cursor, rest);
    }
    Json(answer).into_response()
}

async fn describe(
    Extract(shared): Extract<Shared>,
    Path((_, sobject)): Path<(String, String)>,
) -> Response {
    match shared.lock().objects.get(&sobject) {
        Some(object) => Json(object.describe()).into_response(),
        None => refuse(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "The requested resource does not exist",
        ),
    }
}

enum Verb {
    Create,
    Update,
    Upsert(String),
}

async fn create(Extract(shared): Extract<Shared>, body: Bytes) -> Response {
    rows(&shared, &Verb::Create, &body)
}

async fn update(Extract(shared): Extract<Shared>, body: Bytes) -> Response {
    rows(&shared, &Verb::Update, &body)
}

async fn upsert(
    Extract(shared): Extract<Shared>,
    Path((_, _, ext)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    rows(&shared, &Verb::Upsert(ext), &body)
}

/// Collections: 200 with an answer per row, or 400 and nothing done.
fn rows(shared: &Shared, verb: &Verb, body: &Bytes) -> Response {
    let bad = |code: &str, message: &str| refuse(StatusCode::BAD_REQUEST, code, message);
    let Some(records) = records(body) else {
        return bad("JSON_PARSER_ERROR", "unexpected input");
    };
    if records.len() > ROWS {
        return bad(
            "EXCEEDED_ID_LIMIT",
            "record limit reached. cannot submit more than 200 records",
        );
    }
    let mut state = shared.lock();
    if state.takes(Once::RequestLimit) {
        return refuse(
            StatusCode::FORBIDDEN,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        );
    }
    let mut seen = BTreeSet::new();
    for row in &records {
        let sobject = sobject(row);
        let Some(object) = state.objects.get(&sobject) else {
            return bad(
                "INVALID_TYPE",
                &format!("sObject type '{sobject}' is not supported"),
            );
        };
        if let Err((code, message)) = object.parses(row) {
            return bad(code, &message);
        }
        let id = row
            .get("id")
            .and_then(Value::as_str)
            .and_then(ids::canonical);
        if id.is_some_and(|id| !seen.insert(id)) {
            return bad("INVALID_OPERATION", "Duplicate id in list");
        }
    }
    let method = if matches!(verb, Verb::Create) {
        "POST"
    } else {
        "PATCH"
    };
    state.seen.push(Seen {
        method,
        rows: records.len(),
    });
    let lock_all = state.takes(Once::LockRows);
    let answers: Vec<Value> = records
        .iter()
        .map(|row| one(&mut state, verb, row, lock_all))
        .collect();
    let chance = state.faults.lost_answer;
    if state.takes(Once::LoseAnswer) || state.happens(chance) {
        let broken = std::io::Error::other("the connection breaks");
        let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
        return Response::new(Body::from_stream(body));
    }
    Json(answers).into_response()
}

fn records(body: &Bytes) -> Option<Vec<Map<String, Value>>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let records = body.get("records")?.as_array()?;
    records.iter().map(|row| row.as_object().cloned()).collect()
}

fn sobject(row: &Map<String, Value>) -> String {
    let kind = row
        .get("attributes")
        .and_then(|it| it.get("type"))
        .and_then(Value::as_str);
    kind.unwrap_or_default().to_owned()
}

fn one(state: &mut State, verb: &Verb, row: &Map<String, Value>, lock_all: bool) -> Value {
    let chance = state.faults.row_lock;
    if lock_all || state.happens(chance) {
        let text = "unable to obtain exclusive access to this record";
        return failed("UNABLE_TO_LOCK_ROW", text, &[]);
    }
    let Some(object) = state.objects.get_mut(&sobject(row)) else {
        return failed("INVALID_TYPE", "not supported", &[]);
    };
    match verb {
        Verb::Create => object.create(row),
        Verb::Update => object.update(row),
        Verb::Upsert(ext) => object.upsert(ext, row),
    }
}
