//! A site of Tableau on loopback: what a client of extract refreshes can tell apart, it does as the
//! real one.
//!
//! Sign-in by a personal access token, of which one session is good, or by the JWT of a connected
//! app; sessions that expire; jobs that wait, run and end; 409093 for a job that is queued already;
//! jobs that only administrators may list; and on demand 429, 503 and lost answers.
//!
//! Not known of the real one: whether it says 409093 while a job runs, too. Here that can be chosen.

mod desk;
mod jwt;
mod routes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::served::{Bound, Served};
use crate::time::{Millis, SharedClock};

/// How a fake Tableau behaves.
#[derive(Debug, Clone)]
pub struct TableauSettings {
    /// Its time.
    pub clock: SharedClock,
    /// How long a job waits before it runs.
    pub waits: Duration,
    /// How long it runs.
    pub lasts: Duration,
    /// How long a session is good.
    pub session_life: Duration,
    /// The user may list jobs.
    pub is_admin: bool,
    /// 409093 is said of a job that runs, too.
    pub refuses_while_running: bool,
}

/// The site's `contentUrl`.
pub const SITE: &str = "finance";
/// The data source that there is.
pub const DATASOURCE: &str = "9f9e9d9c-8b8a-8f8e-7d7c-7b7a6f6d6e6d";
/// The personal access token's name.
pub const TOKEN_NAME: &str = "goldwire";
/// The personal access token's secret.
pub const TOKEN_SECRET: &str = "fake-secret";
/// The connected app's client id.
pub const APP_CLIENT: &str = "fake-app";
/// The id of the connected app's secret.
pub const APP_SECRET_ID: &str = "fake-secret-id";
/// The connected app's secret.
pub const APP_SECRET: &str = "fake-app-secret";
/// The user whom the connected app may sign in.
pub const APP_USER: &str = "goldwire@example.com";

/// Something that goes wrong once, with the next request that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableauFault {
    /// The next request in a session is answered 429 with these seconds in `Retry-After`.
    Throttle(u64),
    /// The next request in a session is answered 503, and nothing is done.
    Unavailable,
    /// The next job is queued, and the connection breaks before its answer is there.
    LoseAnswer,
    /// The next job that is queued fails.
    Fail,
}

/// A job that refreshes the extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableauJob {
    /// When it was queued, ms.
    pub queued: Millis,
    /// When it begins or began to read, ms.
    pub begins: Millis,
    /// When it ends or has ended, ms.
    pub ends: Millis,
    /// It ends badly.
    pub fails: bool,
}

#[derive(Debug)]
struct State {
    settings: TableauSettings,
    /// Sessions, and until when each is good.
    sessions: BTreeMap<String, Millis>,
    /// That of the personal access token.
    of_token: Option<String>,
    signed_in: usize,
    seen: Vec<String>,
    jobs: Vec<TableauJob>,
    faults: VecDeque<TableauFault>,
    answers: Vec<u16>,
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running fake; dropped, it stops.
#[derive(Debug)]
pub struct FakeTableau {
    shared: Shared,
    served: Served,
}

impl FakeTableau {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(settings: TableauSettings) -> std::io::Result<Self> {
        let bound = Bound::any().await?;
        let shared = Shared(Arc::new(Mutex::new(State {
            settings,
            sessions: BTreeMap::new(),
            of_token: None,
            signed_in: 0,
            seen: Vec::new(),
            jobs: Vec::new(),
            faults: VecDeque::new(),
            answers: Vec::new(),
        })));
        let served = bound.serve(routes::app(shared.clone()));
        Ok(Self { shared, served })
    }

    /// What `url` must be.
    pub fn url(&self) -> String {
        self.served.url()
    }

    /// The jobs so far, oldest first.
    pub fn jobs(&self) -> Vec<TableauJob> {
        self.shared.lock().jobs.clone()
    }

    /// Statuses of the answers to requests for a refresh so far.
    pub fn answers(&self) -> Vec<u16> {
        self.shared.lock().answers.clone()
    }

    /// Sign-ins so far.
    pub fn signed_in(&self) -> usize {
        self.shared.lock().signed_in
    }

    /// This goes wrong once; several are used up in order.
    pub fn inject(&self, fault: TableauFault) {
        self.shared.lock().faults.push_back(fault);
    }

    /// Ends every session now, as another sign-in with the same token does.
    pub fn expire_sessions(&self) {
        self.shared.lock().sessions.clear();
    }

    /// Somebody else has the extract refreshed.
    pub fn queue(&self) {
        self.shared.lock().begin();
    }
}
