//! The REST resources that the sink uses.

use std::collections::BTreeSet;

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::admit::{admit, refuse, token};
use super::org::failed;
use super::{Once, Seen, Shared, State, duplicates, ids, soql};

/// Rows of one request at most.
const ROWS: usize = 200;

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
    let largest = state.faults.largest_query;
    let slow = largest > 0 && soql::values(&asked.q) > largest;
    if state.takes(Once::QueryTimeout) || slow {
        let text = "Your query request was running for too long.";
        return refuse(StatusCode::BAD_REQUEST, "QUERY_TIMEOUT", text);
    }
    match soql::run(&asked.q, |name| state.objects.get(name)) {
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

#[derive(Debug, Clone)]
enum Verb {
    Create,
    Update,
    Upsert(String),
}

/// A write that is still on its way.
#[derive(Debug)]
pub(super) struct Late {
    verb: Verb,
    rows: Vec<Map<String, Value>>,
}

impl Late {
    pub(super) fn land(&self, state: &mut State) {
        for row in &self.rows {
            one(state, &self.verb, row, false);
        }
    }
}

async fn create(Extract(shared): Extract<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    rows(&shared, &Verb::Create, &headers, &body)
}

async fn update(Extract(shared): Extract<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    rows(&shared, &Verb::Update, &headers, &body)
}

async fn upsert(
    Extract(shared): Extract<Shared>,
    Path((_, _, ext)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    rows(&shared, &Verb::Upsert(ext), &headers, &body)
}

/// Collections: 200 with an answer per row, or 400 and nothing done.
fn rows(shared: &Shared, verb: &Verb, headers: &HeaderMap, body: &Bytes) -> Response {
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
    let largest = state.faults.largest_body;
    if largest > 0 && body.len() > largest {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    }
    if state.takes(Once::RequestLimit) {
        return refuse(
            StatusCode::FORBIDDEN,
            "REQUEST_LIMIT_EXCEEDED",
            "TotalRequests Limit exceeded.",
        );
    }
    let largest = state.faults.largest_write;
    if largest > 0 && records.len() > largest {
        let text = "Your request was running for too long, and has been stopped.";
        return bad("REQUEST_RUNNING_TOO_LONG", text);
    }
    duplicates::heed(&mut state, headers);
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
    if state.takes(Once::LandLate) {
        state.late.push(Late {
            verb: verb.clone(),
            rows: records,
        });
        return broken();
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
    if let Some(refused) = automation(&mut state, &records) {
        return refused;
    }
    let lock_all = state.takes(Once::LockRows);
    let answers: Vec<Value> = records
        .iter()
        .map(|row| one(&mut state, verb, row, lock_all))
        .collect();
    let chance = state.faults.lost_answer;
    if state.takes(Once::LoseAnswer) || state.happens(chance) {
        return broken();
    }
    Json(answers).into_response()
}

/// What triggers and flows make of all rows together, if they fail.
fn automation(state: &mut State, records: &[Map<String, Value>]) -> Option<Response> {
    if let Some(Once::LockWithin(told)) = state.once.front().copied() {
        state.once.pop_front();
        return Some(told.lock(records.len()));
    }
    state.faults.automation?.refuses(records)
}

fn broken() -> Response {
    let broken = std::io::Error::other("the connection breaks");
    let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(body))
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
    let answer = match verb {
        Verb::Create => object.create(row),
        Verb::Update => object.update(row),
        Verb::Upsert(ext) => object.upsert(ext, row),
    };
    if let Some(told) = &state.told
        && answer.get("success") == Some(&Value::Bool(true))
    {
        // No one listens any more.
        told.send(row.clone()).ok();
    }
    answer
}
