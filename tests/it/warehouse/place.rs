//! A database of a test's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use goldwire::config::Secret;
use goldwire::sink::warehouse::{ColumnConfig, Dialect, Warehouse, WarehouseSink};
use goldwire::sink::{Effect, Sink as _, SinkError, Write};
use goldwire::telemetry::Metrics;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use tempfile::TempDir;

pub(crate) struct Place {
    pub(super) url: String,
    pub(super) dialect: Dialect,
    pub(super) statement_timeout: &'static str,
    pub(super) columns: BTreeMap<String, ColumnConfig>,
    _dir: Option<TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let dir = TempDir::new().unwrap();
        Self {
            url: format!("sqlite:{}", dir.path().join("w.db").display()),
            dialect: Dialect::Sqlite,
            statement_timeout: "30s",
            columns: BTreeMap::new(),
            _dir: Some(dir),
        }
    }

    /// A schema of its own in the database that the environment names.
    pub(super) async fn postgres() -> Self {
        let base = base_url();
        let schema = format!("t{}", uuid::Uuid::new_v4().simple());
        execute_at(&base, format!("CREATE SCHEMA {schema}")).await;
        let sign = if base.contains('?') { '&' } else { '?' };
        Self::postgres_at(format!("{base}{sign}options[search_path]={schema}"))
    }

    /// A database of its own on the server that the environment names.
    pub(super) async fn postgres_database() -> Self {
        Self::postgres_database_with("").await
    }

    /// The same, made with options.
    pub(super) async fn postgres_database_with(options: &str) -> Self {
        let base = base_url();
        let database = format!("t{}", uuid::Uuid::new_v4().simple());
        execute_at(&base, format!("CREATE DATABASE {database} {options}")).await;
        let (server, rest) = base.rsplit_once('/').unwrap();
        let parameters = rest
            .split_once('?')
            .map_or("", |(_, parameters)| parameters);
        Self::postgres_at(format!("{server}/{database}?{parameters}"))
    }

    fn postgres_at(url: String) -> Self {
        Self {
            url,
            dialect: Dialect::Postgres,
            statement_timeout: "30s",
            columns: BTreeMap::new(),
            _dir: None,
        }
    }

    pub(super) fn config(&self) -> WarehouseSink {
        WarehouseSink {
            url: Secret::new(through_the_pooler(&self.url)),
            insecure_plaintext: false,
            connections: 3,
            batch: 50,
            linger: "2ms".into(),
            statement_timeout: self.statement_timeout.into(),
            event_types: vec!["*".to_owned()],
            object_types: vec!["*".to_owned()],
            columns: self.columns.clone(),
        }
    }

    pub(crate) fn open(&self) -> Warehouse {
        self.open_as("analytics")
    }

    pub(super) fn open_as(&self, name: &str) -> Warehouse {
        Warehouse::open(name, &self.config(), Arc::new(Metrics::noop())).unwrap()
    }

    /// Runs SQL beside the sink.
    pub(super) async fn execute(&self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self.dialect {
            Dialect::Sqlite => {
                let mut link = SqliteConnection::connect(&self.url).await.unwrap();
                sql.execute(&mut link).await.map(drop)
            }
            Dialect::Postgres => {
                let mut link = PgConnection::connect(&self.url).await.unwrap();
                sql.execute(&mut link).await.map(drop)
            }
        }
        .unwrap();
    }

    /// The rows of `columns` as text, `~` for NULL, sorted.
    pub(super) async fn rows(&self, columns: &[&str], from: &str) -> Vec<Vec<String>> {
        let columns: Vec<String> = columns
            .iter()
            .map(|column| match *column {
                "active" | "observed" | "is_current" => {
                    format!("CASE WHEN {column} THEN 'yes' ELSE 'no' END")
                }
                column => format!("coalesce(CAST({column} AS text), '~')"),
            })
            .collect();
        let sql = AssertSqlSafe(format!("SELECT {} FROM {from}", columns.join(", ")));
        let mut rows: Vec<Vec<String>> = match self.dialect {
            Dialect::Sqlite => {
                let mut link = SqliteConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut link).await.unwrap();
                let cells = |row: &sqlx::sqlite::SqliteRow| {
                    (0..columns.len())
                        .map(|at| row.get::<String, _>(at))
                        .collect()
                };
                rows.iter().map(cells).collect()
            }
            Dialect::Postgres => {
                let mut link = PgConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut link).await.unwrap();
                let cells = |row: &sqlx::postgres::PgRow| {
                    (0..columns.len())
                        .map(|at| row.get::<String, _>(at))
                        .collect()
                };
                rows.iter().map(cells).collect()
            }
        };
        rows.sort();
        rows
    }

    /// How the database would answer a query.
    pub(super) async fn plan(&self, query: &str) -> String {
        match self.dialect {
            Dialect::Sqlite => {
                let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
                let mut link = SqliteConnection::connect(&self.url).await.unwrap();
                let rows = sqlx::query(sql).fetch_all(&mut link).await.unwrap();
                let steps = rows.iter().map(|row| row.get::<String, _>("detail"));
                steps.collect::<Vec<_>>().join("; ")
            }
            Dialect::Postgres => {
                let mut link = PgConnection::connect(&self.url).await.unwrap();
                let whole = "SET enable_seqscan = off";
                sqlx::raw_sql(whole).execute(&mut link).await.unwrap();
                let sql = AssertSqlSafe(format!("EXPLAIN {query}"));
                let rows = sqlx::query(sql).fetch_all(&mut link).await.unwrap();
                let steps = rows.iter().map(|row| row.get::<String, _>(0));
                steps.collect::<Vec<_>>().join("; ")
            }
        }
    }

    /// One text.
    pub(crate) async fn one(&self, column: &str, from: &str) -> String {
        let rows = self.rows(&[column], from).await;
        assert_eq!(rows.len(), 1, "{from}: {rows:?}");
        rows[0][0].clone()
    }

    /// Everything, but when it was written.
    pub(super) async fn everything(&self) -> Vec<Vec<String>> {
        let current = [
            "tenant",
            "subject",
            "object_type",
            "state",
            "absorbed_by",
            "version",
            "commit_time",
            "stands_for",
            "label",
            "object",
            "object_exact",
            "active_from",
            "active_until",
            "alive_at",
            "erased_at",
        ];
        let typed: Vec<String> = self
            .columns
            .keys()
            .map(|name| format!("\"{name}\""))
            .collect();
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let current = [&current[..], &typed].concat();
        let relation = [&current[..], &["start_entity", "end_entity"]].concat();
        let history = [
            "tenant",
            "subject",
            "commit_time",
            "version",
            "event_id",
            "kind",
            "object_type",
            "state",
            "absorbed_by",
            "object",
            "object_exact",
            "observed",
            "received_time",
            "active_from",
            "active_until",
            "valid_from",
            "valid_to",
            "is_current",
        ];
        let history = [&history[..], &typed].concat();
        let merges = [
            "tenant",
            "loser",
            "winner",
            "active",
            "merged_at",
            "last_seen_at",
            "unmerged_at",
        ];
        let mut all = self.rows(&current, "golden_records").await;
        all.extend(self.rows(&relation, "relations").await);
        all.extend(self.rows(&history, "golden_record_history").await);
        all.extend(self.rows(&merges, "merges").await);
        all
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's only configuration")]
fn base_url() -> String {
    std::env::var("GOLDWIRE_TEST_POSTGRES").expect("GOLDWIRE_TEST_POSTGRES is set")
}

/// `GOLDWIRE_TEST_POOLER` may hold the `host:port` of a pooler: the sink connects through it, and the
/// tests look at the server itself.
#[expect(clippy::disallowed_methods, reason = "a test's only configuration")]
fn through_the_pooler(url: &str) -> String {
    match std::env::var("GOLDWIRE_TEST_POOLER") {
        Ok(pooler) if url.starts_with("postgres") => {
            let (user, rest) = url.split_once('@').unwrap();
            let (_, rest) = rest.split_once('/').unwrap();
            format!("{user}@{pooler}/{rest}")
        }
        Ok(_) | Err(_) => url.to_owned(),
    }
}

async fn execute_at(url: &str, sql: String) {
    let mut link = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut link)
        .await
        .unwrap();
    link.close().await.unwrap();
}

/// Writes as one batch; what became of each.
pub(super) async fn deliver_all(
    warehouse: &Warehouse,
    deliveries: &[Write],
) -> Vec<Result<Effect, SinkError>> {
    let answers = warehouse.write(deliveries).await;
    assert_eq!(answers.len(), deliveries.len(), "G7: an answer for each");
    answers
        .into_iter()
        .map(|answer| answer.map(|ack| ack.effect))
        .collect()
}

/// Delivers one after the other, all with success.
pub(crate) async fn deliver(warehouse: &Warehouse, deliveries: &[Write]) {
    for delivery in deliveries {
        warehouse.write_one(delivery).await.unwrap();
    }
}
