//! Where the tables are: the URL of the configuration, as the drivers want it.

use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use super::dialect::Dialect;
use super::postgres_url::{self, PostgresUrl};
use crate::dir_lock::create_dirs;
use crate::time::as_millis;

/// Longest that a file locked by another program is waited for in one attempt.
const LONGEST_LOCK: Duration = Duration::from_secs(5);

/// Longest that connecting, TLS and login take where the server can be reached.
const LONGEST_CONNECT: Duration = Duration::from_secs(7);

/// How to connect.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) options: Options,
    /// Begins a transaction.
    pub(super) begin: Arc<str>,
    /// Longest that the server may work on a statement.
    limit: Duration,
}

#[derive(Clone)]
pub(super) enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
}

impl std::fmt::Debug for Target {
    /// Without the URL: it holds a password (G10).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Target({})", self.dialect())
    }
}

impl Target {
    /// Reads `url`.
    ///
    /// # Errors
    /// A sentence that does not hold the URL.
    pub(super) fn parse(url: &str, limit: Duration) -> Result<Self, &'static str> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self {
                options: Options::Sqlite(Box::new(sqlite(url, path, limit)?)),
                begin: Dialect::Sqlite.begin().into(),
                limit,
            });
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let url = PostgresUrl::parse(url)?;
            return Ok(Self {
                begin: begin(&url.settings, limit).into(),
                options: Options::Postgres(Box::new(url.options.disable_statement_logging())),
                limit,
            });
        }
        Err("names no database; write sqlite:PATH or postgres://user:password@host/database")
    }

    /// Whether golden records and the password would leave this machine in clear text.
    pub(super) fn is_exposed(&self) -> bool {
        match &self.options {
            Options::Sqlite(_) => false,
            Options::Postgres(options) => postgres_url::is_exposed(options),
        }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match self.options {
            Options::Sqlite(_) => Dialect::Sqlite,
            Options::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Where the database is, without user and password: host and port, or a path.
    pub(super) fn place(&self) -> String {
        match &self.options {
            Options::Sqlite(options) => {
                let file = options.get_filename();
                let whole = std::path::absolute(file);
                whole.as_deref().unwrap_or(file).display().to_string()
            }
            Options::Postgres(options) => match options.get_socket() {
                Some(socket) => socket.display().to_string(),
                None => format!("{}:{}", options.get_host(), options.get_port()),
            },
        }
    }

    /// Longest that a connection may take to be there: by then a server that can be reached has
    /// answered.
    pub(super) fn connect_limit(&self) -> Duration {
        self.client_limit().min(LONGEST_CONNECT)
    }

    /// Longest that a call may take here: a little more than the server allows itself, so that
    /// its own answer is heard where there is one.
    pub(super) fn client_limit(&self) -> Duration {
        let margin = (self.limit / 10).max(Duration::from_millis(50));
        self.limit.saturating_add(margin)
    }

    /// Makes the folder of a SQLite file.
    pub(super) async fn make_folder(&self) -> std::io::Result<()> {
        let Options::Sqlite(options) = &self.options else {
            return Ok(());
        };
        let folder = folder_of(options.get_filename()).to_owned();
        let made = tokio::task::spawn_blocking(move || create_dirs(&folder));
        made.await.map_err(std::io::Error::other)?
    }

    /// The same, but a file that does not exist is not made.
    pub(super) fn looking_only(&self) -> Self {
        let mut target = self.clone();
        if let Options::Sqlite(options) = &mut target.options {
            **options = options.as_ref().clone().create_if_missing(false);
        }
        target
    }
}

/// Where a file is, or will be.
pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

fn sqlite(url: &str, path: &str, limit: Duration) -> Result<SqliteConnectOptions, &'static str> {
    let in_memory = path.contains(":memory:") || path.contains("mode=memory");
    if in_memory || path.trim_start_matches('/').is_empty() {
        return Err("names no file; write `sqlite:PATH`");
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| "is not a SQLite URL; write `sqlite:PATH`, special characters as %XX")?;
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // G1: a commit is on disk when it is acknowledged.
        .synchronous(SqliteSynchronous::Full)
        // What was erased is overwritten, not only unlinked from its page.
        .pragma("secure_delete", "ON")
        // A batch changes pages all over the file: they stay in memory, and go from the log into
        // the file when 64 MiB of them have gathered, not after each batch.
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "16384")
        .busy_timeout(limit.min(LONGEST_LOCK))
        .disable_statement_logging())
}

/// Every statement finds rows by their keys. Without statistics yet, the planner would read whole
/// tables; and compiling a plan takes longer than running it. A batch is sorted in memory. The
/// staging table is there already, which is no news.
const SETTINGS: [(&str, &str); 7] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("work_mem", "64MB"),
    ("idle_in_transaction_session_timeout", "1min"),
    ("client_min_messages", "error"),
];

/// Begins a transaction with what the URL sets and what the sink needs. All of it ends with the
/// transaction: behind a pooler the next one may run on another connection, and this connection
/// is somebody else's then.
fn begin(settings: &[(String, String)], limit: Duration) -> String {
    let timeout = as_millis(limit).max(1).to_string();
    let given = settings.iter().map(|(name, value)| (&**name, &**value));
    let own = SETTINGS
        .into_iter()
        .chain([("statement_timeout", &*timeout)]);
    let calls = given.chain(own).map(|(name, value)| {
        let literal = |text| Dialect::Postgres.literal(text);
        let (name, value) = (literal(name), literal(value));
        format!("set_config({name}, {value}, true)")
    });
    let calls: Vec<String> = calls.collect();
    // G1: an acknowledged commit is on disk, whatever the server's default is.
    format!(
        "{}; SELECT {}; SELECT set_config('synchronous_commit', 'on', true) \
         WHERE current_setting('synchronous_commit') = 'off'",
        Dialect::Postgres.begin(),
        calls.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g10_a_url_that_is_refused_is_not_repeated() {
        for url in [
            "postgres://me:hunter2@host:notaport/db",
            "postgres://me:hunter@2@host/db",
            "mysql://me:hunter2@host/db",
            "sqlite::memory:",
            "sqlite:",
        ] {
            let sentence = Target::parse(url, Duration::from_secs(1)).unwrap_err();
            assert!(!sentence.contains("hunter2"), "{sentence}");
        }
        let target = Target::parse("postgres://me:hunter2@h/d", Duration::from_secs(1)).unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
        assert_eq!(target.place(), "h:5432");
    }

    #[test]
    fn what_a_url_sets_is_set_in_each_transaction_before_what_the_sink_needs() {
        let url = "postgres://h/d?options[search_path]=a'b%5C&options[statement_timeout]=0";
        let target = Target::parse(url, Duration::from_secs(2)).unwrap();
        let set = r"SELECT set_config(E'search_path', E'a''b\\', true), ";
        assert!(target.begin.contains(set), "{}", target.begin);
        let own = target
            .begin
            .find("E'statement_timeout', E'2000', true")
            .unwrap();
        assert!(own > target.begin.find("E'0'").unwrap());
    }
}
