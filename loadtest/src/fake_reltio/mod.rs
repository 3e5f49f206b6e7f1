//! Reltio's auth and read API on loopback, over a tenant's history.
//!
//! Guarantee: an answer is the tenant's state as of now minus the replica's lag, and its `Date` is
//! now, in whole seconds: as stale as the real one may be, never fresher. A loser's URI answers
//! with its survivor's object; what is removed is 404.

mod auth;
mod faults;
mod routes;

pub use faults::{Fault, FaultShares};

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::auth::TokenDesk;
use self::faults::Faults;
use crate::tenant::Tenant;
use crate::time::{Millis, SharedClock};

/// How a fake Reltio behaves.
#[derive(Debug, Clone)]
pub struct FakeReltioSettings {
    /// The OAuth client that it knows.
    pub client_id: String,
    /// That client's secret.
    pub client_secret: String,
    /// How long a token is good.
    pub token_lifetime: Duration,
    /// Least and most lag of its replicas, ms; each answer draws one between.
    pub lag: (Millis, Millis),
    /// How often it fails.
    pub faults: FaultShares,
    /// Everything random follows from it.
    pub seed: u64,
}

impl Default for FakeReltioSettings {
    fn default() -> Self {
        Self {
            client_id: "goldwire".to_owned(),
            client_secret: "not-a-secret".to_owned(),
            token_lifetime: Duration::from_hours(1),
            lag: (0, 0),
            faults: FaultShares::default(),
            seed: 1,
        }
    }
}

/// Requests so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests for a token.
    pub tokens: u64,
    /// Requests to the API, with whatever answer.
    pub requests: u64,
    /// Answered with an object.
    pub found: u64,
    /// Answered 404.
    pub missing: u64,
    /// Answered 401.
    pub unauthorized: u64,
    /// Answered with an injected fault.
    pub faults: u64,
}

#[derive(Debug, Default)]
struct Counters {
    tokens: AtomicU64,
    requests: AtomicU64,
    found: AtomicU64,
    missing: AtomicU64,
    unauthorized: AtomicU64,
    faults: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// What the routes share.
#[derive(Debug)]
struct Fake {
    tenant: Arc<Tenant>,
    clock: SharedClock,
    lag: (Millis, Millis),
    desk: Mutex<TokenDesk>,
    faults: Mutex<Faults>,
    rng: Mutex<ChaCha8Rng>,
    counters: Counters,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running fake Reltio; dropped, it stops.
#[derive(Debug)]
pub struct FakeReltio {
    address: SocketAddr,
    fake: Arc<Fake>,
    stop: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl FakeReltio {
    /// Starts on a free port of loopback. `clock` is Reltio's own: what it has not reached has not
    /// happened.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(
        settings: &FakeReltioSettings,
        tenant: Arc<Tenant>,
        clock: SharedClock,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let fake = Arc::new(Fake {
            tenant,
            clock,
            lag: settings.lag,
            desk: Mutex::new(TokenDesk::new(settings)),
            faults: Mutex::new(Faults::new(settings.faults)),
            rng: Mutex::new(ChaCha8Rng::seed_from_u64(settings.seed)),
            counters: Counters::default(),
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let routes = routes::routes(Arc::clone(&fake));
        let server = axum::serve(listener, routes).with_graceful_shutdown(stopped);
        Ok(Self {
            address,
            fake,
            stop,
            server: tokio::spawn(server.into_future()),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `reltio.url` must be.
    pub fn url(&self) -> String {
        let name = self.fake.tenant.name();
        format!("http://{}/reltio/api/{name}", self.address)
    }

    /// What `reltio.auth_url` must be.
    pub fn auth_url(&self) -> String {
        format!("http://{}/oauth/token", self.address)
    }

    /// Requests so far.
    pub fn counts(&self) -> Counts {
        let counters = &self.fake.counters;
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            tokens: of(&counters.tokens),
            requests: of(&counters.requests),
            found: of(&counters.found),
            missing: of(&counters.missing),
            unauthorized: of(&counters.unauthorized),
            faults: of(&counters.faults),
        }
    }

    /// The next request to the API that carries a good token fails like this; several are used up
    /// in order.
    pub fn fail_next(&self, fault: Fault) {
        lock(&self.fake.faults).queue.push_back(fault);
    }

    /// The next request for a token fails like this.
    pub fn fail_next_token(&self, fault: Fault) {
        lock(&self.fake.faults).token_queue.push_back(fault);
    }

    /// How often it fails from now on.
    pub fn set_faults(&self, shares: FaultShares) {
        lock(&self.fake.faults).shares = shares;
    }

    /// Takes no token that was given so far.
    pub fn revoke_tokens(&self) {
        lock(&self.fake.desk).revoke();
    }

    /// Stops, after the answers that are under way.
    ///
    /// # Errors
    /// If the server had failed.
    pub async fn stop(mut self) -> std::io::Result<()> {
        self.stop.cancel();
        (&mut self.server).await.map_err(std::io::Error::other)?
    }
}

impl Drop for FakeReltio {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
