//! A listener that answers with a router, over HTTP or HTTPS, until it is told to stop.
//!
//! Guarantee (G8): connections and the time for the head of a request are bounded. Dropped, it ends
//! at once, and what was started beside it with it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use futures::FutureExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::listener::{self, Door, Peer};
use crate::tls::Certificates;

/// How long the head of a request may take.
const HEAD: Duration = Duration::from_secs(10);

/// What a listener is.
#[derive(Debug)]
pub(crate) struct Listening {
    /// As its log lines call it: `admin`.
    pub(crate) name: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// The port, taken.
    pub(crate) socket: TcpListener,
    /// Connections at once; more wait in the system's queue until one has been quiet for too long.
    pub(crate) connections: u32,
    /// The certificate, with which it speaks TLS.
    pub(crate) certificates: Option<Arc<Certificates>>,
}

/// A running listener; dropped, it ends at once.
#[derive(Debug)]
pub struct Serving {
    name: String,
    address: SocketAddr,
    closing: CancellationToken,
    end: axum_server::Handle<Peer>,
    server: JoinSet<()>,
    certificates: Option<Arc<Certificates>>,
    beside: Vec<AbortOnDropHandle<()>>,
}

impl Serving {
    /// Answers with `router`.
    pub(crate) fn start(listening: Listening, router: Router) -> Self {
        let Listening {
            name,
            address,
            socket,
            connections,
            certificates,
        } = listening;
        let router = router
            .layer(middleware::from_fn(begun))
            .into_make_service_with_connect_info::<Peer>();
        let (closing, end) = (CancellationToken::new(), axum_server::Handle::new());
        let door = Door::new(socket, connections, HEAD, closing.clone());
        let serving = listener::server(door).handle(end.clone());
        let serving = match &certificates {
            Some(tls) => serving.acceptor(tls.greeting(HEAD)).serve(router).boxed(),
            None => serving.serve(router).boxed(),
        };
        let mut server = JoinSet::new();
        let told = name.clone();
        server.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!("the {told} listener ended: {error}");
            }
        });
        let beside = certificates.as_ref().map(Certificates::watch);
        Self {
            name,
            address,
            closing,
            end,
            server,
            certificates,
            beside: beside.into_iter().collect(),
        }
    }

    /// Ends `task` with the listener.
    pub(crate) fn beside(&mut self, task: AbortOnDropHandle<()>) {
        self.beside.push(task);
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its certificate, if it has TLS. It is looked at every five seconds by itself.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_deref()
    }

    /// Ends it; requests under way have until `within`.
    pub async fn shutdown(mut self, within: Duration) {
        self.closing.cancel();
        self.end.graceful_shutdown(Some(within));
        let ended = async { while self.server.join_next().await.is_some() {} };
        if tokio::time::timeout(within, ended).await.is_err() {
            let name = &self.name;
            tracing::warn!("the {name} listener was ended with requests under way");
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.closing.cancel();
        self.end.shutdown();
    }
}

/// The head of a request is read: the answer may take longer than it.
async fn begun(ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next) -> Response {
    peer.head_read(request.version());
    next.run(request).await
}
