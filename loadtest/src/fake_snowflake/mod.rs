//! Snowpipe Streaming's high-performance REST API on loopback, with named channels: what a client
//! can tell apart, it does as the real one.
//!
//! A signed token for the ingest host and a scoped one; channels with continuation tokens, where the
//! one who opened last is the only one to append; rows that are buffered when an append is answered,
//! and committed later; rows that are refused at that time, counted and not told; a status by exact
//! name; Snowpipe's `insertFiles`, which records names of files; and on demand what goes wrong: 429, 503, answers and requests lost, channels that become
//! invalid, a pipe that fails over, a channel that is deleted unused.
//!
//! Not known of the real one, and so taken as the harder of two ways: whether a continuation token that
//! was used is refused otherwise than one of a channel that another opened. Here the code is one.

mod channel;
mod jwt;
mod loads;
mod routes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use channel::SnowflakeRow;
pub use jwt::PRIVATE_KEY;
pub use loads::SnowpipeFile;

use self::channel::{Channel, until};
use crate::served::{Bound, Served};
use crate::time::{Millis, SharedClock};

/// The account.
pub const ACCOUNT: &str = "FAKE-ACCOUNT";
/// The user who may append.
pub const USER: &str = "GOLDWIRE";
/// Database, schema and pipe that there are.
pub const DATABASE: &str = "MDM";
/// The schema.
pub const SCHEMA: &str = "RELTIO";
/// The table.
pub const TABLE: &str = "GOLDEN_RECORD_CHANGES";
/// Its default pipe.
pub const PIPE: &str = "GOLDEN_RECORD_CHANGES-STREAMING";
/// The whole name of a pipe that loads files.
pub const FILE_PIPE: &str = "MDM.RELTIO.LAKE";

/// How a fake Snowflake behaves.
#[derive(Debug, Clone)]
pub struct SnowflakeSettings {
    /// Its time.
    pub clock: SharedClock,
    /// How long an append is buffered before it is committed.
    pub commit_lag: Duration,
    /// How long a scoped token is good.
    pub token_life: Duration,
}

/// Something that goes wrong once, with the next request that it fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnowflakeFault {
    /// The next request is answered 429 with these seconds in `Retry-After`.
    Throttle(u64),
    /// The next request is answered 503, and nothing is done.
    Unavailable,
    /// The next request of a channel is answered 403.
    Forbidden,
    /// The next append is taken, and the connection breaks before its answer is there.
    LoseAnswer,
    /// The connection of the next append breaks, and nothing is taken.
    LoseRequest,
    /// The next append finds its channel invalid (409), and what it had not committed is gone.
    Invalidate,
    /// The pipe fails over: the next append is answered 410, and what its channel had not committed
    /// is gone.
    FailOver,
    /// The next opening is answered 409: another is under way.
    OpenInProgress,
}

/// Which rows are refused when they are committed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RowErrors {
    /// None.
    #[default]
    None,
    /// All, as where a column of the table has another type.
    All,
    /// Those with this text in this column.
    Where(&'static str, String),
}

impl RowErrors {
    fn refuse(&self, row: &SnowflakeRow) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Where(column, text) => {
                row.get(*column).and_then(|it| it.as_str()) == Some(text.as_str())
            }
        }
    }
}

#[derive(Debug)]
struct State {
    settings: SnowflakeSettings,
    host: String,
    /// Scoped tokens, and when they end.
    tokens: BTreeMap<String, Millis>,
    granted: usize,
    /// By name in upper case.
    channels: BTreeMap<String, Channel>,
    table: Vec<SnowflakeRow>,
    faults: VecDeque<SnowflakeFault>,
    row_errors: RowErrors,
    /// Nothing is committed.
    holds: bool,
    /// Appends that were taken.
    appends: usize,
    /// Bytes of the largest append.
    largest: usize,
    /// Files that Snowpipe was told of.
    told: Vec<SnowpipeFile>,
}

impl State {
    fn takes(&mut self, fits: impl Fn(SnowflakeFault) -> bool) -> Option<SnowflakeFault> {
        self.faults.pop_front_if(|fault| fits(*fault))
    }

    /// What time brings: commits, and channels that are deleted.
    fn pass(&mut self) -> Millis {
        let now = self.settings.clock.now();
        self.channels.retain(|_, channel| !channel.is_unused(now));
        if !self.holds {
            let until = until(now, self.settings.commit_lag);
            for channel in self.channels.values_mut() {
                self.table.extend(channel.commit(until, &self.row_errors));
            }
        }
        now
    }
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
pub struct FakeSnowflake {
    shared: Shared,
    served: Served,
}

impl FakeSnowflake {
    /// Starts on a free port of loopback.
    ///
    /// # Errors
    /// If no port can be had.
    pub async fn start(settings: SnowflakeSettings) -> std::io::Result<Self> {
        let bound = Bound::any().await?;
        let shared = Shared(Arc::new(Mutex::new(State {
            settings,
            host: bound.address.to_string(),
            tokens: BTreeMap::new(),
            granted: 0,
            channels: BTreeMap::new(),
            table: Vec::new(),
            faults: VecDeque::new(),
            row_errors: RowErrors::None,
            holds: false,
            appends: 0,
            largest: 0,
            told: Vec::new(),
        })));
        let served = bound.serve(routes::app(shared.clone()));
        Ok(Self { shared, served })
    }

    /// What `url` must be.
    pub fn url(&self) -> String {
        self.served.url()
    }

    /// What a `SELECT *` of the table gives now.
    pub fn rows(&self) -> Vec<SnowflakeRow> {
        let mut state = self.shared.lock();
        state.pass();
        state.table.clone()
    }

    /// Rows that were appended, and are not in the table yet.
    pub fn waiting(&self) -> usize {
        let mut state = self.shared.lock();
        state.pass();
        state.channels.values().map(Channel::waiting).sum()
    }

    /// The names of the channels.
    pub fn channels(&self) -> Vec<String> {
        let state = self.shared.lock();
        let names = state.channels.values().map(|it| it.name.clone());
        names.collect()
    }

    /// Appends that were taken so far, and the bytes of the largest.
    pub fn appends(&self) -> (usize, usize) {
        let state = self.shared.lock();
        (state.appends, state.largest)
    }

    /// The files that Snowpipe was told of so far, as often as it was.
    pub fn told(&self) -> Vec<SnowpipeFile> {
        self.shared.lock().told.clone()
    }

    /// Scoped tokens granted so far.
    pub fn tokens_granted(&self) -> usize {
        self.shared.lock().granted
    }

    /// This goes wrong once; several are used up in order.
    pub fn inject(&self, fault: SnowflakeFault) {
        self.shared.lock().faults.push_back(fault);
    }

    /// From now on these rows are refused when they are committed.
    pub fn refuse(&self, rows: RowErrors) {
        self.shared.lock().row_errors = rows;
    }

    /// Whether appends stay buffered, however long.
    pub fn hold(&self, holds: bool) {
        self.shared.lock().holds = holds;
    }

    /// Ends every scoped token now.
    pub fn expire_tokens(&self) {
        self.shared.lock().tokens.clear();
    }
}
