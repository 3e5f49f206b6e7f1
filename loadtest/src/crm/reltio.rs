//! Reltio's API beside the org, as far as a goldwire with a Salesforce sink asks it: what an entity is
//! now, whose a record is, and what the tenant is made of.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header::DATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use loadtest::time::{Clock as _, Millis, SystemClock, as_millis};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::newest::Newest;
use crate::throughput::event::{Event, TENANT, Uri};

/// An answer about an entity is dated so long after the entity's newest change: later than goldwire
/// waits before it reads, and earlier than the next change can be.
const AFTER: Duration = Duration::from_secs(20);

/// Where it listens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reltio(SocketAddr);

impl Reltio {
    /// Starts on a free port of loopback; it ends with the runtime. Without `newest` it knows no
    /// entity.
    ///
    /// # Errors
    /// If no port can be had.
    pub(super) async fn start(newest: Option<Newest>) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let api = Router::new()
            .route("/entities/_byCrosswalk/{value}", get(nobodys))
            .route("/entities/_byCrosswalk", post(nobodys))
            .route("/entities/{id}", get(entity))
            .route("/configuration", get(configuration));
        let app = Router::new()
            .route("/oauth/token", post(token))
            .nest(&format!("/reltio/api/{TENANT}"), api)
            .with_state(Arc::new(newest));
        tokio::spawn(axum::serve(listener, app).into_future());
        Ok(Self(address))
    }

    /// Its part of goldwire's configuration, under goldwire's names.
    pub(super) fn told(self) -> Value {
        let Self(address) = self;
        json!({
            "url": format!("http://{address}/reltio/api/{TENANT}"),
            "auth_url": format!("http://{address}/oauth/token"),
            "client_id": "loadtest", "client_secret": "not-a-secret",
        })
    }
}

async fn token() -> Response {
    let token = json!({ "access_token": "one", "token_type": "bearer", "expires_in": 86_400 });
    dated(SystemClock.now(), StatusCode::OK, token)
}

/// No event has a crosswalk of an org's records.
async fn nobodys() -> Response {
    nothing(SystemClock.now())
}

async fn entity(State(newest): State<Arc<Option<Newest>>>, Path(id): Path<String>) -> Response {
    let entity = Uri::entity(&format!("entities/{id}"));
    let (Some(newest), Some(entity)) = (newest.as_ref(), entity) else {
        return nothing(SystemClock.now());
    };
    match newest.of_entity(entity).await {
        Ok(Some(event)) => shown(event),
        Ok(None) => nothing(SystemClock.now()),
        Err(why) => {
            let problem = problem(2001, &why.to_string());
            dated(SystemClock.now(), StatusCode::SERVICE_UNAVAILABLE, problem)
        }
    }
}

/// The events' time is not the clock's, so that the answer is dated by the event.
fn shown(event: Event) -> Response {
    let committed = Millis::try_from(event.commit_time()).unwrap_or(Millis::MAX);
    let date = committed.saturating_add(as_millis(AFTER));
    if event.is_removal() {
        return nothing(date);
    }
    let mut object = String::new();
    event.write_object(&mut object, 0);
    match serde_json::from_str(&object) {
        Ok(object) => dated(date, StatusCode::OK, object),
        Err(error) => {
            let problem = problem(2001, &error.to_string());
            dated(date, StatusCode::INTERNAL_SERVER_ERROR, problem)
        }
    }
}

async fn configuration() -> Response {
    let source = |name: &str| json!({ "uri": format!("configuration/sources/{name}"), "label": name, "abbreviation": name });
    let of = "configuration/entityTypes/Individual";
    let attribute = |name: &str| {
        let uri = format!("{of}/attributes/{name}");
        json!({ "uri": uri, "name": name, "label": name, "type": "String" })
    };
    let names = [
        "FirstName",
        "LastName",
        "AddressLine1",
        "City",
        "Email",
        "Phone",
        "Seq",
        "Notes",
    ];
    let sources = ["CRM", "SFDC_CONTACT"].map(source);
    let attributes = names.map(attribute);
    let model = json!({
        "uri": "configuration", "label": "Load test", "schemaVersion": "1",
        "sources": sources,
        "entityTypes": [{
            "uri": of, "label": "Individual", "abstract": false, "attributes": attributes,
        }],
        "relationTypes": [],
    });
    dated(SystemClock.now(), StatusCode::OK, model)
}

fn nothing(date: Millis) -> Response {
    let problem = problem(101, "Object not found");
    dated(date, StatusCode::NOT_FOUND, problem)
}

/// Reltio's error object.
fn problem(code: i64, message: &str) -> Value {
    json!({
        "severity": "Error", "errorMessage": message, "errorCode": code,
        "errorDetailMessage": message,
    })
}

fn dated(date: Millis, status: StatusCode, body: Value) -> Response {
    let mut answer = (status, Json(body)).into_response();
    let time = Timestamp::from_millisecond(date).ok();
    let text = time.and_then(|time| {
        DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&time)
            .ok()
    });
    if let Some(date) = text.and_then(|text| HeaderValue::try_from(text).ok()) {
        answer.headers_mut().insert(DATE, date);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_dated_after_its_newest_change_and_before_the_next_one() {
        for version in 1..200 {
            let event = Event { entity: 3, version };
            let answer = shown(event);
            let gone = answer.status() == StatusCode::NOT_FOUND;
            assert_eq!(gone, event.is_removal());
            let date = answer.headers().get(DATE).unwrap().to_str().unwrap();
            let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date);
            let date = u64::try_from(date.unwrap().as_millisecond()).unwrap();
            assert!(
                date > event.commit_time() + 10_000,
                "longer than goldwire settles"
            );
            assert_eq!(Event::at(3, date), Some(event));
        }
    }
}
