//! The admin listener: health, metrics, topology, dead letters, and pausing of sinks.
//!
//! Guarantee: alive is not healthy. A sink that is paused, halted, behind an open breaker or waiting
//! for its quota is live, and makes nothing unready. With a token, everything but `/livez` and
//! `/readyz` asks for it; without one the listener is for loopback, and answers neither another host's
//! name nor a page of another site, so that no web page can reach it through a browser. Outside loopback a token and what it
//! guards go through TLS, unless the configuration takes the risk by name.

mod auth;
mod config;
mod control;
mod dlq;
mod health;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, middleware};
use tokio::net::TcpListener;

pub use config::Admin;
pub(crate) use config::check;
pub use control::{Control, ControlError};
pub use dlq::Listed;
pub use health::{Health, HealthReport, Part};
pub use watch::{Pulse, Watch};

/// The running admin listener.
pub use crate::serving::Serving as Handle;

use crate::dead_letter::Redrive;
use crate::serving::Listening;
use crate::telemetry;
use crate::tls::Certificates;

/// Connections at once; more wait in the system's queue until one has been quiet for too long.
const CONNECTIONS: u32 = 256;

/// What the listener shows and does.
#[derive(Debug, Clone)]
pub struct AdminState {
    /// Dead letters.
    pub redrive: Redrive,
    /// What flows where.
    pub topology: Arc<serde_json::Value>,
    /// The metrics.
    pub registry: prometheus::Registry,
    /// Who knows whether things move.
    pub health: Arc<dyn Health>,
    /// Who holds sinks.
    pub control: Arc<dyn Control>,
}

/// The listener's port, taken; connections wait until it serves.
#[derive(Debug)]
pub struct Bound {
    address: SocketAddr,
    listener: TcpListener,
    access: auth::Access,
    certificates: Option<Arc<Certificates>>,
}

const INSECURE: &str = "admin.insecure_plain_http: the admin token and dead letters pass in clear \
    text; whoever sees them can do what the token allows. Set admin.tls";

/// Takes the port of `admin.address`.
///
/// # Errors
/// If the address cannot be had, or is not loopback and lacks a token or TLS, or the certificate
/// cannot be used.
pub async fn bind(admin: &Admin) -> Result<Bound, String> {
    let token = admin.token.clone();
    let private = admin.tls.is_some() || admin.insecure_plain_http;
    if let Some(remedy) = config::lacks(admin.address, token.is_some(), private) {
        return Err(format!("admin.address {}: {remedy}", admin.address));
    }
    let certificates = match &admin.tls {
        Some(tls) => Some(Certificates::load("admin.tls", tls)?),
        None => None,
    };
    if certificates.is_none() && !admin.address.ip().is_loopback() {
        tracing::warn!("{INSECURE}");
    }
    let refused = |error| {
        let address = admin.address;
        format!("admin.address {address}: {error}; stop what listens there, or choose another")
    };
    let listener = TcpListener::bind(admin.address).await.map_err(refused)?;
    Ok(Bound {
        address: listener.local_addr().map_err(refused)?,
        listener,
        access: auth::Access::new(token),
        certificates,
    })
}

impl Bound {
    /// Answers.
    pub fn serve(self, state: AdminState) -> Handle {
        let Self {
            address,
            listener,
            access,
            certificates,
        } = self;
        let listening = Listening {
            name: "admin".to_owned(),
            address,
            socket: listener,
            connections: CONNECTIONS,
            certificates,
        };
        Handle::start(listening, router(state, access))
    }
}

/// Listens at `admin.address`.
///
/// # Errors
/// As [`bind`].
pub async fn serve(admin: &Admin, state: AdminState) -> Result<Handle, String> {
    Ok(bind(admin).await?.serve(state))
}

fn router(state: AdminState, access: auth::Access) -> Router {
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .route("/topology", get(topology))
        .merge(dlq::routes())
        .merge(control::routes())
        .route_layer(middleware::from_fn_with_state(access, auth::check));
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .merge(guarded)
        .fallback(nothing)
        .with_state(state)
}

async fn nothing() -> (StatusCode, &'static str) {
    let there =
        "there is nothing here; there are /livez, /readyz, /metrics, /topology, /dlq, /sinks\n";
    (StatusCode::NOT_FOUND, there)
}

async fn livez(State(state): State<AdminState>) -> Response {
    health_answer(&state.health.livez())
}

async fn readyz(State(state): State<AdminState>) -> Response {
    health_answer(&state.health.readyz())
}

fn health_answer(report: &HealthReport) -> Response {
    let code = if report.ok() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(report)).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    match telemetry::text(&state.registry) {
        Ok(text) => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}

async fn topology(State(state): State<AdminState>) -> Response {
    Json(state.topology.as_ref()).into_response()
}
