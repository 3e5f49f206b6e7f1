//! The webhook listener: verify, append to the inbox, answer. Nothing else is on that path.
//!
//! Guarantee (G1): a request is answered 200 only after its append to the inbox is durable. Every
//! request whose head arrives is answered within `deadline`, counted from the head's first byte,
//! also when the disk does not answer. A TLS handshake is cut off after the same time of its own,
//! so that the first request of a new connection is answered within twice the `deadline`. Memory is bounded (G8), and no body, secret or signature is
//! logged (G10).
//!
//! # The order, and what each step answers
//!
//! | step | refused with |
//! |---|---|
//! | a connection is let in, at most `connections` | waits in the system's queue |
//! | without TLS, it comes from the trusted proxy | 403 |
//! | the path is an endpoint's, the method is POST | 404, 405 |
//! | the address is not held off for failing authentication | 429, `Retry-After` |
//! | the body fits `max_body`, and the memory of all requests | 413, 503 |
//! | signature, time and bearer | 401, the same whatever was wrong; the log says what |
//! | the endpoint's rate, of authenticated requests alone | 429, `Retry-After` |
//! | `Content-Encoding`, within `max_body` again | 415, 400, 413 |
//! | the append is durable | 503, `Retry-After` |
//!
//! Why the rate is drawn after authentication: see `limit`. The signature covers the bytes as sent,
//! so decompression comes after it, and what is stored is the decompressed body.
//!
//! # Which headers are believed
//!
//! Both schemes sign the body and no metadata header, yet an event's clocks may come in headers.
//! They are stored: altering them takes a captured request, and TLS, ended here or by the trusted
//! proxy, keeps requests from being captured. Over `insecure_plain_http` nothing does, which is why
//! it is loud, and for tests. `bearer` protects no better: it is captured with the rest.

mod answer;
mod append;
mod body;
mod config;
mod doubt;
mod endpoint;
mod intake;
mod limit;
mod percent;
mod proxies;
mod rules;
pub mod signature;

pub use config::{RateLimit, SignatureScheme, WebhookListener, WebhookSource};
pub(crate) use rules::{endpoint as check_endpoint, listener as check_listener};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

pub use signature::check_secret;

use crate::listener::{self, Door, Peer};
use crate::log::LogAppender;
use crate::telemetry::Metrics;
use crate::time::SharedClock;
use crate::tls::Certificates;
use append::{Inbox, Trouble};
use endpoint::Endpoint;
use intake::Intake;
use proxies::Proxies;

/// Bytes of bodies held at once, unless a few of the largest need more.
const BODIES: usize = 64 << 20;

const INSECURE: &str = "webhook.insecure_plain_http: webhooks come in clear text; whoever sees one \
    can send it again with other headers. Not for production: set webhook.tls";
const NO_TLS: &str = "webhook.tls is missing: set webhook.tls.cert_file and webhook.tls.key_file, \
    or the addresses of the proxy that ends TLS as webhook.trusted_proxy; \
    webhook.insecure_plain_http is for tests";

/// Why the listener does not start: one sentence with the remedy.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something is not as the configuration says.
    #[error("{0}")]
    Refused(String),
    /// The address cannot be had.
    #[error("webhook.address: cannot listen on {address}: {why}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
}

/// A running listener. Dropped, it stops at once.
#[derive(Debug)]
pub struct Handle {
    address: SocketAddr,
    server: axum_server::Handle<Peer>,
    serving: JoinHandle<std::io::Result<()>>,
    closing: CancellationToken,
    appends: TaskTracker,
    trouble: Arc<Trouble>,
    certificates: Option<Arc<Certificates>>,
    _watch: Option<AbortOnDropHandle<()>>,
}

/// Looks at a listener from outside.
#[derive(Debug, Clone)]
pub struct Signs {
    serving: AbortHandle,
    closing: CancellationToken,
    trouble: Arc<Trouble>,
}

impl Signs {
    /// Why webhooks are not taken, if they are not.
    pub fn trouble(&self) -> Option<String> {
        if self.closing.is_cancelled() {
            return Some("stopping".to_owned());
        }
        if self.serving.is_finished() {
            return Some("the listener ended; the reason is in the log".to_owned());
        }
        self.trouble.lately()
    }
}

impl Handle {
    /// What a probe looks at.
    pub fn signs(&self) -> Signs {
        Signs {
            serving: self.serving.abort_handle(),
            closing: self.closing.clone(),
            trouble: Arc::clone(&self.trouble),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate, if it has TLS of its own. It is looked at every five seconds by itself.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_deref()
    }

    /// Lets no one in any more, and finishes what is under way, appends included, within `drain`.
    pub async fn shutdown(mut self, drain: Duration) {
        let deadline = Instant::now() + drain;
        self.closing.cancel();
        self.server.graceful_shutdown(Some(drain));
        self.appends.close();
        let finished = timeout_at(deadline, async {
            let served = (&mut self.serving).await;
            self.appends.wait().await;
            served
        });
        let why = match finished.await {
            Ok(Ok(Ok(()))) => return,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) => "it panicked".to_owned(),
            Err(_) => "the drain timeout passed; senders send again what was cut off".to_owned(),
        };
        tracing::warn!("the webhook listener did not end in order: {why}");
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.closing.cancel();
        self.server.shutdown();
    }
}

/// Takes requests for the endpoints of a listener, however they came.
#[derive(Debug, Clone)]
pub struct Reception {
    intake: Arc<Intake>,
    appends: TaskTracker,
}

impl Reception {
    /// Takes requests for `endpoints` (a source's name and settings each) into partition 0 of
    /// `inbox`.
    ///
    /// # Errors
    /// If a secret is none of its scheme, or two sources share a path.
    pub fn new(
        listener: &WebhookListener,
        endpoints: Vec<(String, WebhookSource)>,
        inbox: Arc<dyn LogAppender>,
        clock: SharedClock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServeError> {
        let endpoints = by_path(endpoints)?;
        let largest = endpoints
            .values()
            .map(|endpoint| endpoint.max_body)
            .max()
            .unwrap_or_default();
        let appends = TaskTracker::new();
        let intake = Intake {
            endpoints,
            inbox: Inbox::new(inbox, appends.clone()),
            clock,
            metrics,
            budget: limit::Budget::new(BODIES.max(largest.saturating_mul(4))),
            deadline: listener.deadline.get(),
            proxies: Proxies::of(listener),
        };
        let intake = Arc::new(intake);
        Ok(Self { intake, appends })
    }

    /// Takes a request that came whole, on a connection of its own.
    pub async fn take(&self, from: SocketAddr, request: Request) -> Response {
        let peer = ConnectInfo(Peer::new(from));
        intake::take(State(Arc::clone(&self.intake)), peer, request).await
    }
}

/// Listens for the webhooks of `endpoints` (a source's name and settings each) and appends them to
/// partition 0 of `inbox`.
///
/// # Errors
/// If a secret is none of its scheme, two sources share a path, the certificate cannot be read, TLS
/// is missing, or the address cannot be had. Nothing is left running.
pub async fn serve(
    listener: &WebhookListener,
    endpoints: Vec<(String, WebhookSource)>,
    inbox: Arc<dyn LogAppender>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
) -> Result<Handle, ServeError> {
    let certificates = certificates(listener)?;
    let deadline = listener.deadline.get();
    let Reception { intake, appends } = Reception::new(listener, endpoints, inbox, clock, metrics)?;
    let unbound = |why| ServeError::Address {
        address: listener.address,
        why,
    };
    let socket = TcpListener::bind(listener.address).await.map_err(unbound)?;
    let address = socket.local_addr().map_err(unbound)?;
    let closing = CancellationToken::new();
    let trouble = intake.inbox.trouble();
    let door = Door::new(socket, listener.connections, deadline, closing.clone());
    let server = axum_server::Handle::new();
    let bounded = listener::server(door).handle(server.clone());
    // One handler for all paths: a configured path is text, and no pattern of a router.
    let app = Router::new()
        .fallback(intake::take)
        .with_state(intake)
        .into_make_service_with_connect_info::<Peer>();
    let serving = match &certificates {
        Some(tls) => tokio::spawn(bounded.acceptor(tls.greeting(deadline)).serve(app)),
        None => tokio::spawn(bounded.serve(app)),
    };
    tracing::info!(%address, "listening for webhooks");
    Ok(Handle {
        address,
        server,
        serving,
        closing,
        appends,
        trouble,
        _watch: certificates.as_ref().map(Certificates::watch),
        certificates,
    })
}

/// How bytes get here: by TLS, or in clear text where the configuration takes the risk by name.
fn certificates(listener: &WebhookListener) -> Result<Option<Arc<Certificates>>, ServeError> {
    match (&listener.tls, &listener.trusted_proxy) {
        (Some(tls), _) => Certificates::load("webhook.tls", tls)
            .map(Some)
            .map_err(ServeError::Refused),
        (None, Some(_)) => Ok(None),
        (None, None) if listener.insecure_plain_http => {
            tracing::warn!("{INSECURE}");
            Ok(None)
        }
        (None, None) => Err(ServeError::Refused(NO_TLS.to_owned())),
    }
}

fn by_path(
    sources: Vec<(String, WebhookSource)>,
) -> Result<HashMap<String, Arc<Endpoint>>, ServeError> {
    let mut endpoints = HashMap::<String, Arc<Endpoint>>::new();
    for (source, config) in sources {
        let endpoint = Arc::new(Endpoint::new(source, &config)?);
        let (source, path) = (Arc::clone(&endpoint.source), endpoint.path.clone());
        if let Some(other) = endpoints.insert(path, endpoint) {
            let (path, other) = (&other.path, &other.source);
            return Err(ServeError::Refused(format!(
                "sources.{source}.webhook.path: found {path}, which is the path of \
                 sources.{other} too; give each its own"
            )));
        }
    }
    Ok(endpoints)
}
