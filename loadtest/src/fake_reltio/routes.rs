//! Requests and answers, with the statuses and the error object of Reltio's `OpenAPI` files.

use std::sync::Arc;

use axum::extract::{Path, Query, Request, State};
use axum::http::header::{AUTHORIZATION, DATE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use rand::RngExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::{Fake, count, lock};
use crate::tenant::model;
use crate::time::Millis;

type Shared = State<Arc<Fake>>;

pub(super) fn routes(fake: Arc<Fake>) -> Router {
    let api = Router::new()
        .route("/entities/_byCrosswalk/{value}", get(by_crosswalk))
        .route("/entities/_byCrosswalk", post(by_crosswalk_in_body))
        .route("/entities/{id}", get(entity))
        .route("/relations/{id}", get(relation))
        .route("/configuration", get(configuration))
        .layer(middleware::from_fn_with_state(Arc::clone(&fake), guard));
    let base = format!("/reltio/api/{}", fake.tenant.name());
    Router::new()
        .route("/oauth/token", post(token))
        .nest(&base, api)
        .layer(middleware::from_fn_with_state(Arc::clone(&fake), dated))
        .with_state(fake)
}

/// Writes Reltio's own time into every answer.
async fn dated(State(fake): Shared, request: Request, next: Next) -> Response {
    let mut answer = next.run(request).await;
    if !answer.headers().contains_key(DATE)
        && let Some(date) = http_date(fake.clock.now())
    {
        answer.headers_mut().insert(DATE, date);
    }
    answer
}

fn http_date(now: Millis) -> Option<HeaderValue> {
    let time = Timestamp::from_millisecond(now).ok()?;
    let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
    HeaderValue::try_from(text.ok()?).ok()
}

/// Lets requests with a good token through, unless they are to fail.
async fn guard(State(fake): Shared, request: Request, next: Next) -> Response {
    count(&fake.counters.requests);
    let now = fake.clock.now();
    let bearer = text(request.headers().get(AUTHORIZATION));
    if !lock(&fake.desk).takes(bearer, now) {
        count(&fake.counters.unauthorized);
        let problem = json!({
            "error": "invalid_token",
            "error_description": "Invalid access token",
        });
        return answer(401, problem);
    }
    let fault = lock(&fake.faults).draw(&mut lock(&fake.rng));
    match fault {
        None => next.run(request).await,
        Some(fault) => {
            count(&fake.counters.faults);
            fail(fault, || next.run(request)).await
        }
    }
}

async fn fail<F: Future<Output = Response>>(fault: Fault, right: impl FnOnce() -> F) -> Response {
    match fault {
        Fault::Status { code, retry_after } => {
            let mut answer = answer(code, problem(2001, "Internal application error."));
            if let Some(seconds) = retry_after {
                answer.headers_mut().insert(RETRY_AFTER, seconds.into());
            }
            answer
        }
        Fault::ForeignNotFound => (StatusCode::NOT_FOUND, "<h1>Not Found</h1>").into_response(),
        Fault::UnreadableDate => {
            let mut answer = right().await;
            let never = HeaderValue::from_static("never");
            answer.headers_mut().insert(DATE, never);
            answer
        }
        Fault::Silence => std::future::pending().await,
    }
}

async fn token(State(fake): Shared, headers: HeaderMap, body: String) -> Response {
    count(&fake.counters.tokens);
    let fault = lock(&fake.faults).token_queue.pop_front();
    if let Some(fault) = fault {
        return fail(fault, || async { answer(200, json!({})) }).await;
    }
    let basic = text(headers.get(AUTHORIZATION));
    let (status, body) = lock(&fake.desk).give(basic, &body, fake.clock.now());
    answer(status, body)
}

async fn entity(State(fake): Shared, Path(id): Path<String>) -> Response {
    fake.read(&format!("entities/{id}"))
}

async fn relation(State(fake): Shared, Path(id): Path<String>) -> Response {
    fake.read(&format!("relations/{id}"))
}

async fn configuration() -> Response {
    answer(200, model())
}

#[derive(Debug, Deserialize)]
struct Source {
    #[serde(rename = "type")]
    path: String,
}

async fn by_crosswalk(
    State(fake): Shared,
    Path(value): Path<String>,
    Query(source): Query<Source>,
) -> Response {
    fake.look_up(&source, &value)
}

async fn by_crosswalk_in_body(
    State(fake): Shared,
    Query(source): Query<Source>,
    value: String,
) -> Response {
    fake.look_up(&source, &value)
}

impl Fake {
    fn read(&self, uri: &str) -> Response {
        match self.tenant.read(uri, self.replica_time()) {
            Some(object) => {
                count(&self.counters.found);
                answer(200, Value::clone(&object))
            }
            None => self.nothing(uri),
        }
    }

    /// Reltio answers a look-up with a list of wrapped objects. Where no crosswalk matches it
    /// falls back to the entity whose id is the value.
    fn look_up(&self, source: &Source, value: &str) -> Response {
        let time = self.replica_time();
        let uri = format!("entities/{value}");
        let path = &source.path;
        let short_name = path.rsplit('/').next().unwrap_or(path);
        let found = self
            .tenant
            .by_crosswalk(short_name, value, time)
            .or_else(|| self.tenant.read(&uri, time));
        match found {
            Some(object) => {
                count(&self.counters.found);
                let item = json!({ "index": 0, "object": *object, "successful": true });
                answer(200, json!([item]))
            }
            None => self.nothing(&uri),
        }
    }

    fn nothing(&self, uri: &str) -> Response {
        count(&self.counters.missing);
        answer(
            404,
            problem(101, &format!("Object with id={uri} not found")),
        )
    }

    /// The time that the answering replica has reached.
    fn replica_time(&self) -> Millis {
        let (least, most) = self.lag;
        let lag = lock(&self.rng).random_range(least..=most.max(least));
        self.clock.now() - lag
    }
}

/// Reltio's error object.
fn problem(code: i64, message: &str) -> Value {
    json!({
        "severity": "Error",
        "errorMessage": message,
        "errorCode": code,
        "errorDetailMessage": message,
    })
}

fn answer(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(body)).into_response()
}

fn text(header: Option<&HeaderValue>) -> Option<&str> {
    header?.to_str().ok()
}
