//! The resources that a client of extract refreshes uses.

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State as Extract};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{SITE_ID, Said, error};
use super::{DATASOURCE, Shared, State, TableauFault, TableauJob};
use crate::time::Millis;

pub(super) fn app(shared: Shared) -> Router {
    let site = Router::new()
        .route("/datasources/{id}", get(datasource))
        .route("/datasources/{id}/refresh", post(refresh))
        .route("/jobs", get(jobs))
        .route("/jobs/{id}", get(job));
    Router::new()
        .route("/api/{version}/auth/signin", post(sign_in))
        .nest("/api/{version}/sites/{site}", site)
        .with_state(shared)
}

fn answer((status, body): Said) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

async fn sign_in(Extract(shared): Extract<Shared>, Json(body): Json<Value>) -> Response {
    answer(shared.lock().sign_in(&body))
}

/// What stands before every resource of the site, if it refuses.
fn admit(state: &mut State, headers: &HeaderMap, site: &str) -> Option<Response> {
    let before = |fault| matches!(fault, TableauFault::Throttle(_) | TableauFault::Unavailable);
    match state.takes(before) {
        Some(TableauFault::Throttle(seconds)) => {
            let said = error(429, "429000", "Too Many Requests", "Too many requests");
            let mut refused = answer(said);
            refused.headers_mut().insert(RETRY_AFTER, seconds.into());
            return Some(refused);
        }
        Some(_) => return Some(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        None => {}
    }
    let session = headers.get("x-tableau-auth");
    if !state.lets_in(session.and_then(|value| value.to_str().ok())) {
        let said = error(
            401,
            "401002",
            "Unauthorized Access",
            "Invalid authentication credentials",
        );
        return Some(answer(said));
    }
    (site != SITE_ID).then(|| answer(error(404, "404000", "Resource Not Found", "Site not found")))
}

fn missing(id: &str) -> Response {
    let text = format!("Data source '{id}' could not be found.");
    answer(error(404, "404004", "Resource Not Found", &text))
}

async fn datasource(
    Extract(shared): Extract<Shared>,
    Path((_, site, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Some(refused) = admit(&mut shared.lock(), &headers, &site) {
        return refused;
    }
    if id != DATASOURCE {
        return missing(&id);
    }
    let datasource = json!({ "id": id, "name": "People", "hasExtracts": true });
    answer((200, json!({ "datasource": datasource })))
}

async fn refresh(
    Extract(shared): Extract<Shared>,
    Path((_, site, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    let said = start(&mut state, &headers, (&site, &id));
    state.answers.push(said.status().as_u16());
    said
}

fn start(state: &mut State, headers: &HeaderMap, (site, id): (&str, &str)) -> Response {
    if let Some(refused) = admit(state, headers, site) {
        return refused;
    }
    if id != DATASOURCE {
        return missing(id);
    }
    if let Some(refused) = state.refuses() {
        return answer(refused);
    }
    let number = state.begin();
    if state
        .takes(|fault| fault == TableauFault::LoseAnswer)
        .is_some()
    {
        return broken();
    }
    let job = json!({
        "id": name(number), "mode": "Asynchronous", "type": "RefreshExtract",
        "createdAt": time(state.now()),
    });
    answer((202, json!({ "job": job })))
}

fn name(number: usize) -> String {
    format!("d05abdf4-1b47-4a4d-9c2d-{number:012}")
}

fn time(millis: Millis) -> String {
    // Tableau tells whole seconds.
    let seconds = millis.div_euclid(1000);
    Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}

fn broken() -> Response {
    let broken = std::io::Error::other("the connection breaks");
    let body = futures::stream::once(async move { Err::<Bytes, _>(broken) });
    Response::new(Body::from_stream(body))
}

async fn job(
    Extract(shared): Extract<Shared>,
    Path((_, site, id)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    if let Some(refused) = admit(&mut state, &headers, &site) {
        return refused;
    }
    let now = state.now();
    let mut numbered = (1..).zip(&state.jobs);
    let Some((_, found)) = numbered.find(|(number, _)| name(*number) == id) else {
        let text = format!("Job '{id}' could not be found.");
        return answer(error(404, "404031", "Resource Not Found", &text));
    };
    let mut job = json!({
        "id": id, "mode": "Asynchronous", "type": "RefreshExtract", "progress": "0",
        "createdAt": time(found.queued),
    });
    if let Some(job) = job.as_object_mut() {
        if found.begins <= now {
            job.insert("startedAt".to_owned(), time(found.begins).into());
        }
        if found.ends <= now {
            let code = if found.fails { "1" } else { "0" };
            job.insert("completedAt".to_owned(), time(found.ends).into());
            job.insert("finishCode".to_owned(), code.into());
        }
    }
    answer((200, json!({ "job": job })))
}

#[derive(Debug, Deserialize)]
struct Page {
    #[serde(default)]
    filter: String,
}

async fn jobs(
    Extract(shared): Extract<Shared>,
    Path((_, site)): Path<(String, String)>,
    Query(page): Query<Page>,
    headers: HeaderMap,
) -> Response {
    let mut state = shared.lock();
    if let Some(refused) = admit(&mut state, &headers, &site) {
        return refused;
    }
    if !state.settings.is_admin {
        let text = "User is not an administrator";
        return answer(error(403, "403004", "Forbidden", text));
    }
    let since = page.filter.split(',').find_map(|part| {
        let time = part.strip_prefix("createdAt:gte:")?;
        let time: Timestamp = time.parse().ok()?;
        Some(time.as_millisecond())
    });
    let (now, since) = (state.now(), since.unwrap_or_default());
    let listed = (1..)
        .zip(&state.jobs)
        .filter(|(_, job)| job.queued >= since);
    let listed: Vec<Value> = listed
        .map(|(number, job)| entry(job, number, now))
        .collect();
    let pagination = json!({ "pageNumber": "1", "pageSize": "1000", "totalAvailable": listed.len().to_string() });
    let jobs = json!({ "backgroundJob": listed });
    answer((
        200,
        json!({ "pagination": pagination, "backgroundJobs": jobs }),
    ))
}

fn entry(job: &TableauJob, number: usize, now: Millis) -> Value {
    let status = match (now < job.begins, now < job.ends, job.fails) {
        (true, _, _) => "Pending",
        (false, true, _) => "InProgress",
        (false, false, false) => "Success",
        (false, false, true) => "Failed",
    };
    json!({
        "id": name(number), "status": status, "createdAt": time(job.queued), "priority": "50",
        "jobType": "refresh_extracts", "title": "People",
    })
}
