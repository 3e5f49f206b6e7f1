//! Power BI and the token endpoint of Microsoft Entra ID on loopback: what a client of refreshes, and
//! one that pushes rows, can tell apart, it does as the real ones.
//!
//! Tokens for client credentials that expire; one refresh of a dataset at a time, else 409; so many
//! in any 24 hours on a shared capacity, which takes no enhanced ones; a history, newest first; and on
//! demand what goes wrong: 429 with `Retry-After`, 503, answers lost before or after the start,
//! refreshes that fail. Tables of a push dataset take rows of their columns, so many in a request, so
//! many requests in a minute, and keep the newest.
//!
//! Not known of the real one, and so taken from what its users report: the status and text of the
//! answer when the day's refreshes are used up.

mod desk;
mod routes;
mod rows;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::served::{Bound, Served};
use crate::time::{Millis, SharedClock};

/// How a fake Power BI behaves.
#[derive(Debug, Clone)]
pub struct PowerBiSettings {
    /// Its time.
    pub clock: SharedClock,
    /// Refreshes of a dataset in any 24 hours on a shared capacity; nothing: on a Premium capacity.
    pub daily: Option<usize>,
    /// How long a refresh lasts.
    pub lasts: Duration,
    /// How long a token is good.
    pub token_life: Duration,
}

/// Directory, workspace and dataset that there are, and the client that may use them.
pub const TENANT: &str = "3f2504e0-4f89-11d3-9a0c-0305e82c3301";
/// The workspace.
pub const GROUP: &str = "f089354e-8366-4e18-aea3-4cb4a3a50b48";
/// The dataset.
pub const DATASET: &str = "cfafbeb1-8037-4d0c-896e-a46fb27ff229";
/// The client.
pub const CLIENT: &str = "fake-client";
/// The client's secret.
pub const SECRET: &str = "fake-secret";

/// Something that goes wrong once, with the next request that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PowerBiFault {
    /// The next request is answered 429 with these seconds in `Retry-After`.
    Throttle(u64),
    /// The next request is answered 503, and nothing is done.
    Unavailable,
    /// The next refresh is started, or its rows taken, and the connection breaks before the answer is
    /// there.
    LoseAnswer,
    /// The connection of the next refresh, or of the next rows, breaks, and nothing is done.
    LoseRequest,
    /// The next refresh that is started fails.
    Fail,
    /// The next refresh is accepted, and dropped without a trace.
    Drop,
}

/// A refresh of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerBiRefresh {
    /// `ViaApi`, `ViaEnhancedApi`, `Scheduled`.
    pub kind: &'static str,
    /// When it was started, ms.
    pub started: Millis,
    /// When it ends or has ended, ms.
    pub ends: Millis,
    /// It ends badly.
    pub fails: bool,
    /// What the client sent.
    pub body: serde_json::Value,
}

#[derive(Debug)]
struct State {
    settings: PowerBiSettings,
    tokens: BTreeMap<String, Millis>,
    granted: usize,
    history: Vec<PowerBiRefresh>,
    faults: VecDeque<PowerBiFault>,
    /// Statuses of answered requests for a refresh.
    answers: Vec<u16>,
    push: rows::Push,
    /// Statuses of answered requests with rows.
    row_answers: Vec<u16>,
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
pub struct FakePowerBi {
    shared: Shared,
    served: Served,
}

impl FakePowerBi {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(settings: PowerBiSettings) -> std::io::Result<Self> {
        let bound = Bound::any().await?;
        let shared = Shared(Arc::new(Mutex::new(State {
            settings,
            tokens: BTreeMap::new(),
            granted: 0,
            history: Vec::new(),
            faults: VecDeque::new(),
            answers: Vec::new(),
            push: rows::Push::default(),
            row_answers: Vec::new(),
        })));
        let served = bound.serve(routes::app(shared.clone()));
        Ok(Self { shared, served })
    }

    /// What `url` and `login_url` must be.
    pub fn url(&self) -> String {
        self.served.url()
    }

    /// The refreshes so far, oldest first.
    pub fn refreshes(&self) -> Vec<PowerBiRefresh> {
        self.shared.lock().history.clone()
    }

    /// Statuses of the answers to requests for a refresh so far.
    pub fn answers(&self) -> Vec<u16> {
        self.shared.lock().answers.clone()
    }

    /// Tokens granted so far.
    pub fn tokens_granted(&self) -> usize {
        self.shared.lock().granted
    }

    /// Makes the dataset a push dataset with the tables of `definition`, the body of the request that
    /// creates one; each keeps the newest `keeps` rows.
    pub fn define(&self, definition: &serde_json::Value, keeps: usize) {
        self.shared.lock().push.define(definition, keeps);
    }

    /// The rows of a table, oldest first.
    pub fn rows(&self, table: &str) -> Vec<serde_json::Value> {
        let state = self.shared.lock();
        let table = state.push.tables.get(table);
        let rows = table.map(|table| table.rows.iter().cloned().collect());
        rows.unwrap_or_default()
    }

    /// When rows were taken, ms, and how many each time.
    pub fn posts(&self) -> Vec<(Millis, usize)> {
        self.shared.lock().push.posts.clone()
    }

    /// Statuses of the answers to requests with rows so far.
    pub fn row_answers(&self) -> Vec<u16> {
        self.shared.lock().row_answers.clone()
    }

    /// From now on a row with this text in a column is refused.
    pub fn refuse_rows_with(&self, text: &str) {
        self.shared.lock().push.poison = Some(text.to_owned());
    }

    /// This goes wrong once; several are used up in order.
    pub fn inject(&self, fault: PowerBiFault) {
        self.shared.lock().faults.push_back(fault);
    }

    /// Ends every token now.
    pub fn expire_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// Another client of the API starts an enhanced refresh, if none is under way.
    pub fn another_client(&self) {
        let body = serde_json::json!({ "type": "full" });
        self.shared.lock().begin("ViaEnhancedApi", body);
    }

    /// The service's own schedule starts a refresh, if none is under way.
    pub fn scheduled(&self) {
        self.shared
            .lock()
            .begin("Scheduled", serde_json::Value::Null);
    }
}
