//! A Salesforce org on loopback, for the demonstration and for tests: what a client can tell apart,
//! it does as the real one.
//!
//! Tokens that expire, Collections of up to 200 rows with an answer each, unique external ids, the
//! guard as a validation rule, field checks, records that are not shared, queries in pages, API usage
//! in a header; and on demand what goes wrong: row locks, 503, queries that take too long, answers
//! lost before, after or long before the write, outages, slowness.

mod admit;
mod automation;
mod duplicates;
mod field;
mod ids;
mod jwt;
mod org;
mod records;
mod routes;
mod soql;
mod table;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use automation::{Automation, Told};
pub use duplicates::DuplicateRule;
pub use field::{Field, Kind};
pub use jwt::{JWT_KEY, JWT_USER};
pub use org::{FakeObject, FakeRecord, Refused};
pub use table::Table;

/// How often what goes wrong, from 0 to 1.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A row of a write is locked by another transaction.
    pub row_lock: f64,
    /// A request is answered 503 and not executed.
    pub unavailable: f64,
    /// A write is executed, and the connection breaks before its answer is there.
    pub lost_answer: f64,
    /// Every request takes at least this long.
    pub slow: Duration,
    /// Queries that compare with more values than this take too long; 0: none does.
    pub largest_query: usize,
    /// Writes of more rows than this take too long; 0: none does.
    pub largest_write: usize,
    /// Writes of more bytes than this are answered 413; 0: none is.
    pub largest_body: usize,
    /// What the org's triggers and flows do not bear.
    pub automation: Option<Automation>,
}

/// Something that goes wrong once, with the next request it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// Every row of the next write is locked.
    LockRows,
    /// A flow or a trigger that the next write starts meets a lock.
    LockWithin(Told),
    /// The next write is executed, its answer lost.
    LoseAnswer,
    /// The answer to the next write is lost, and it is executed only by
    /// [`FakeSalesforce::land`]: a write that lands after the client gave up.
    LandLate,
    /// The next query takes too long, whatever its size.
    QueryTimeout,
    /// The next write is refused: 403 `REQUEST_LIMIT_EXCEEDED`.
    RequestLimit,
    /// The next request is answered 503.
    Unavailable,
}

/// A request of rows that was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `POST`, `PATCH`, or `QUERY`.
    pub method: &'static str,
    /// Rows sent, or found.
    pub rows: usize,
}

/// What the org is made of.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0 is any that is free.
    pub address: SocketAddr,
    /// OAuth client id.
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: String,
    /// How long a token lives.
    pub token_life: Duration,
    /// API calls that all clients may make in a day.
    pub daily_calls: usize,
    /// Records of one page of a query's answer.
    pub page: usize,
    /// Seed of what goes wrong.
    pub seed: u64,
    /// The objects.
    pub objects: Vec<FakeObject>,
}

impl Settings {
    /// An org with these objects, and the client `fake` with the secret `fake-secret`.
    pub fn of(objects: Vec<FakeObject>) -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            client_id: "fake".to_owned(),
            client_secret: "fake-secret".to_owned(),
            token_life: Duration::from_hours(1),
            daily_calls: 100_000,
            page: 2000,
            seed: 1,
            objects,
        }
    }
}

#[derive(Debug)]
struct State {
    settings: Settings,
    objects: BTreeMap<String, FakeObject>,
    tokens: BTreeMap<String, tokio::time::Instant>,
    tokens_granted: usize,
    cursors: BTreeMap<String, Vec<Value>>,
    usage: usize,
    others: usize,
    seen: Vec<Seen>,
    faults: Faults,
    once: VecDeque<Once>,
    late: Vec<routes::Late>,
    outage: bool,
    rng: ChaCha8Rng,
    /// Who is told the rows that are taken.
    told: Option<mpsc::UnboundedSender<Map<String, Value>>>,
}

#[derive(Debug, Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The org, until it is stopped or the runtime ends.
#[derive(Debug)]
pub struct FakeSalesforce {
    shared: Shared,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl FakeSalesforce {
    /// Starts an org.
    ///
    /// # Errors
    /// If its address cannot be bound.
    pub async fn start(settings: Settings) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind(settings.address).await?;
        let address = listener.local_addr()?;
        let named = |object: &FakeObject| (object.table.sobject.clone(), object.clone());
        let state = State {
            objects: settings.objects.iter().map(named).collect(),
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            settings,
            tokens: BTreeMap::new(),
            tokens_granted: 0,
            cursors: BTreeMap::new(),
            usage: 0,
            others: 0,
            seen: Vec::new(),
            faults: Faults::default(),
            once: VecDeque::new(),
            late: Vec::new(),
            outage: false,
            told: None,
        };
        let shared = Shared {
            state: Arc::new(Mutex::new(state)),
            address,
        };
        let stop = CancellationToken::new();
        let app = routes::app(shared.clone());
        let stopped = stop.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, app)
                .with_graceful_shutdown(stopped)
                .await;
            if let Err(error) = served {
                tracing::error!("the fake org stopped: {error}");
            }
        });
        Ok(Self {
            shared,
            stop,
            server,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its login URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// All records of an object, by id.
    pub fn records(&self, sobject: &str) -> Vec<FakeRecord> {
        let state = self.shared.lock();
        let records = state
            .objects
            .get(sobject)
            .map(|object| object.records.values().cloned());
        records.into_iter().flatten().collect()
    }

    /// How many records an object has.
    pub fn count(&self, sobject: &str) -> usize {
        let state = self.shared.lock();
        let object = state.objects.get(sobject);
        object.map_or(0, |object| object.records.len())
    }

    /// From now on every row that is taken, as it was sent, in the order in which they are taken,
    /// until the org is stopped.
    pub fn taken(&self) -> mpsc::UnboundedReceiver<Map<String, Value>> {
        let (told, taken) = mpsc::unbounded_channel();
        self.shared.lock().told = Some(told);
        taken
    }

    /// Changes an object behind the sink's back.
    pub fn change<T>(&self, sobject: &str, change: impl FnOnce(&mut FakeObject) -> T) -> Option<T> {
        self.shared.lock().objects.get_mut(sobject).map(change)
    }

    /// Requests so far that counted against the API limit.
    pub fn requests(&self) -> usize {
        self.shared.lock().usage
    }

    /// Other clients used so many of the org's calls, too.
    pub fn set_others_usage(&self, calls: usize) {
        self.shared.lock().others = calls;
    }

    /// Queries and writes executed so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.lock().seen.clone()
    }

    /// Tokens granted so far.
    pub fn tokens_granted(&self) -> usize {
        self.shared.lock().tokens_granted
    }

    /// Expires every token now.
    pub fn expire_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// From now on this goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.shared.lock().faults = faults;
    }

    /// This goes wrong once.
    pub fn inject(&self, once: Once) {
        self.shared.lock().once.push_back(once);
    }

    /// Executes the writes that are still on their way; tells how many there were.
    pub fn land(&self) -> usize {
        let mut state = self.shared.lock();
        let late = std::mem::take(&mut state.late);
        for write in &late {
            write.land(&mut state);
        }
        late.len()
    }

    /// While on, everything is answered 503.
    pub fn set_outage(&self, outage: bool) {
        self.shared.lock().outage = outage;
    }

    /// Stops it, after the requests under way.
    pub async fn stop(self) {
        self.stop.cancel();
        // Connections that clients keep open do not hold it up.
        drop(tokio::time::timeout(Duration::from_secs(1), self.server).await);
        self.shared.lock().told = None;
    }
}
