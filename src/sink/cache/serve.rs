//! The listener: who may ask, and what is looked up.
//!
//! Guarantee (G8, G10): nothing is looked up for who has no token; all tokens are compared, each in
//! a time that says nothing about it. No more look-ups than [`READERS`] are under way, so that memory is
//! bounded. No URI, crosswalk or token is logged.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::answer::{self, Currency, alive, problem};
use super::config::CacheSink;
use super::place::Place;
use super::table::{Found, Table};
use super::{NEVER, purge};
use crate::config::Secret;
use crate::serving::{Listening, Serving};
use crate::store::StoreError;
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock, as_millis};
use crate::tls::Certificates;

/// Look-ups at once; each may wait for a disk, on a thread of its own.
const READERS: usize = 32;
const OPENAPI: &str = include_str!("openapi.json");

/// What requests are answered from.
#[derive(Debug)]
pub(super) struct Desk {
    name: Arc<str>,
    tokens: Vec<Secret>,
    place: Arc<Place>,
    as_of: Arc<AtomicI64>,
    stale_after: Millis,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    readers: Semaphore,
}

impl Desk {
    pub(super) fn new(
        name: &str,
        config: &CacheSink,
        place: &Arc<Place>,
        as_of: &Arc<AtomicI64>,
        (clock, metrics): (&SharedClock, &Arc<Metrics>),
    ) -> Self {
        Self {
            name: name.into(),
            tokens: config.tokens.clone(),
            place: Arc::clone(place),
            as_of: Arc::clone(as_of),
            stale_after: as_millis(config.stale_after.get()),
            clock: Arc::clone(clock),
            metrics: Arc::clone(metrics),
            readers: Semaphore::new(READERS),
        }
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some(("Bearer" | "bearer", given)) = given else {
            return false;
        };
        // All of them, so that the time says nothing about which.
        let tokens = self.tokens.iter();
        tokens.fold(false, |any, token| token.is(given) | any)
    }

    fn currency(&self) -> Currency {
        let now = self.clock.now();
        let as_of = Some(self.as_of.load(Ordering::Acquire)).filter(|as_of| *as_of != NEVER);
        let stale = as_of.is_none_or(|as_of| now.saturating_sub(as_of) > self.stale_after);
        Currency { now, as_of, stale }
    }

    /// Looks up, off the runtime's threads.
    async fn find(
        &self,
        find: impl FnOnce(&Table) -> Result<Found, StoreError> + Send + 'static,
    ) -> Result<Found, Response> {
        let away = || answer::failed("the cache is not open; the log says why");
        let opened = self.place.get().cloned().ok_or_else(away)?;
        let permit = self.readers.acquire().await;
        let found = tokio::task::spawn_blocking(move || find(&opened.table)).await;
        drop(permit);
        match found {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                tracing::warn!(sink = &*self.name, "the cache cannot be read: {error}");
                Err(answer::failed("the cache cannot be read; the log says why"))
            }
            Err(_) => Err(answer::failed("the look-up ended without an answer")),
        }
    }

    fn answer(&self, asked: Option<&str>, found: &Found, headers: &HeaderMap) -> Response {
        match found {
            Found::Alive(uri, entry) => alive(asked, (uri, entry), self.currency(), headers),
            Found::Dead => problem(StatusCode::GONE, "the entity is not in Reltio any more"),
            Found::Merged => problem(
                StatusCode::NOT_FOUND,
                "the entity was merged into one that the cache does not have",
            ),
            Found::Unknown => problem(
                StatusCode::NOT_FOUND,
                "the cache has no such entity; it has those whose changes it was told",
            ),
        }
    }
}

/// A source system's own id of a record.
#[derive(Debug, Deserialize)]
struct Crosswalk {
    source: Option<String>,
    value: Option<String>,
}

async fn by_uri(
    State(desk): State<Arc<Desk>>,
    uri: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(uri)) = uri else {
        return problem(StatusCode::BAD_REQUEST, "the URI is not UTF-8");
    };
    let asked = uri.clone();
    match desk.find(move |table| table.find(&uri)).await {
        Ok(found) => desk.answer(Some(&asked), &found, &headers),
        Err(response) => response,
    }
}

async fn by_crosswalk(
    State(desk): State<Arc<Desk>>,
    crosswalk: Result<Query<Crosswalk>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Query(Crosswalk {
        source: Some(source),
        value: Some(value),
    })) = crosswalk
    else {
        let remedy =
            "add ?source= and &value=, each once: a source system and its id of the record";
        return problem(StatusCode::BAD_REQUEST, remedy);
    };
    let found = desk.find(move |table| table.find_by_crosswalk(&source, &value));
    match found.await {
        Ok(found) => desk.answer(None, &found, &headers),
        Err(response) => response,
    }
}

async fn check(State(desk): State<Arc<Desk>>, request: Request, next: Next) -> Response {
    let response = if desk.allows(request.headers()) {
        next.run(request).await
    } else {
        let remedy = "send one of the cache's tokens as `Authorization: Bearer …`";
        problem(StatusCode::UNAUTHORIZED, remedy)
    };
    let code = response.status().as_u16();
    desk.metrics.cache_request(&desk.name, code);
    response
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn nothing() -> Response {
    let there = "there are /v1/golden-records/{uri}, /v1/golden-records?source=…&value=… and \
                 /v1/openapi.json";
    problem(StatusCode::NOT_FOUND, there)
}

fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/golden-records", get(by_crosswalk))
        .route("/v1/golden-records/{*uri}", get(by_uri))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&desk), check))
        .route("/v1/openapi.json", get(openapi))
        .fallback(nothing)
        .with_state(desk)
}

/// Takes the port, and answers. The table is opened meanwhile: until then the answer is 503.
pub(super) async fn start(name: &str, config: &CacheSink, desk: Desk) -> Result<Serving, String> {
    let at = format!("sinks.{name}.cache");
    let certificates = match &config.tls {
        Some(tls) => Some(Certificates::load(format!("{at}.tls"), tls)?),
        None => None,
    };
    let loopback = config.address.ip().is_loopback();
    if certificates.is_none() && !loopback && !config.insecure_plain_http {
        return Err(format!(
            "{at}.address {}: add tls with cert_file and key_file, or listen on 127.0.0.1",
            config.address
        ));
    }
    if certificates.is_none() && !loopback {
        tracing::warn!(
            "{at}.insecure_plain_http: tokens and golden records pass in clear text; whoever sees a \
             token can read every golden record. Set {at}.tls"
        );
    }
    let refused = |error| {
        let address = config.address;
        format!("{at}.address {address}: {error}; stop what listens there, or choose another")
    };
    let socket = TcpListener::bind(config.address).await.map_err(refused)?;
    let address = socket.local_addr().map_err(refused)?;
    let listening = Listening {
        name: name.to_owned(),
        address,
        socket,
        connections: config.connections,
        certificates,
    };
    let (place, clock) = (Arc::clone(&desk.place), Arc::clone(&desk.clock));
    let after = config.purge_after.get();
    let looked_after = purge::run(name.to_owned(), place, clock, after);
    let mut serving = Serving::start(listening, router(Arc::new(desk)));
    serving.beside(AbortOnDropHandle::new(tokio::spawn(looked_after)));
    tracing::info!(sink = name, %address, "golden records are served");
    Ok(serving)
}
