//! One connection to either database. Every call ends within the statement timeout.
//!
//! After a timeout, or when the transport failed, the connection is closed and never used again:
//! no one knows what the server still does on it.
//!
//! Nothing in PostgreSQL is relied on from one transaction to the next: a pooler may run each on
//! another connection. So every query is part of a transaction, settings are its own, and a
//! statement is prepared, without a name, for one use.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _, SqliteConnection,
};
use tokio::time::timeout;

use super::content::Unfit;
use super::dialect::{Dialect, Row, Statement, Texts, Type};
use super::driver::{arrays, cells, postgres_row, sqlite_row, taken};
use super::file::OpenFile;
use super::staging::{Encoder, Staged, Staging};
use super::target::{Options, Target};

/// Why a call failed.
#[derive(Debug)]
pub(super) enum Failed {
    /// No answer within the timeout.
    Timeout,
    /// The database or its transport said so.
    Sql(sqlx::Error),
    /// The tables are of a newer goldwire.
    Newer(i64),
    /// The database's encoding does not hold every character.
    Encoding,
    /// The SQLite file was removed, renamed or replaced.
    Moved,
    /// What a record holds cannot be written.
    Unfit(Unfit),
}

impl From<Unfit> for Failed {
    fn from(unfit: Unfit) -> Self {
        Self::Unfit(unfit)
    }
}

impl From<sqlx::Error> for Failed {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

#[derive(Debug)]
enum Link {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Connection {
    link: Link,
    /// Begins a transaction that may write.
    begin: Arc<str>,
    /// Of SQLite.
    file: Option<OpenFile>,
    limit: Duration,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(target: &Target) -> Result<Self, Failed> {
        let limit = target.client_limit();
        let link = match &target.options {
            Options::Sqlite(options) => Link::Sqlite(within(limit, options.connect()).await?),
            Options::Postgres(options) => {
                let connect = within(target.connect_limit(), options.connect());
                Link::Postgres(connect.await?)
            }
        };
        let file = match &target.options {
            Options::Sqlite(options) => {
                let opened = OpenFile::of(options.get_filename()).await;
                Some(opened.map_err(|_| Failed::Moved)?)
            }
            Options::Postgres(_) => None,
        };
        Ok(Self {
            link,
            begin: Arc::clone(&target.begin),
            file,
            limit,
        })
    }

    /// Commits.
    ///
    /// # Errors
    /// Also if what was committed is in no file that anybody will open again.
    pub(super) async fn commit(&mut self) -> Result<(), Failed> {
        self.command("COMMIT".to_owned()).await?;
        let in_place = match &mut self.file {
            Some(file) => file.is_in_place().await,
            None => true,
        };
        if in_place { Ok(()) } else { Err(Failed::Moved) }
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&mut self) -> Result<(), Failed> {
        self.command(self.begin.to_string()).await
    }

    /// Begins a transaction that only looks, and waits for no writer.
    pub(super) async fn begin_looking(&mut self) -> Result<(), Failed> {
        match self.dialect() {
            Dialect::Sqlite => self.command("BEGIN".to_owned()).await,
            Dialect::Postgres => self.begin().await,
        }
    }

    /// Begins the transaction of a batch: in PostgreSQL with a staging table, which this server
    /// process may have already.
    pub(super) async fn begin_batch(&mut self, staging: &Staging) -> Result<(), Failed> {
        match self.dialect() {
            Dialect::Sqlite => self.begin().await,
            Dialect::Postgres => {
                let sql = format!("{}; {}", self.begin, staging.create);
                self.command(sql).await
            }
        }
    }

    /// Runs SQL without rows; several statements are allowed.
    pub(super) async fn command(&mut self, sql: String) -> Result<(), Failed> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        match &mut self.link {
            Link::Sqlite(link) => within(self.limit, sql.execute(link)).await.map(drop),
            Link::Postgres(link) => within(self.limit, sql.execute(link)).await.map(drop),
        }
    }

    /// Changes tables, which takes as long as they are large.
    pub(super) async fn migrate(&mut self, sql: String) -> Result<(), Failed> {
        match &mut self.link {
            Link::Sqlite(link) => sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(link)
                .await
                .map(drop),
            Link::Postgres(link) => {
                let sql = format!("SET LOCAL statement_timeout = 0; {sql}");
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(link)
                    .await
                    .map(drop)
            }
        }?;
        Ok(())
    }

    /// Asks for one number.
    pub(super) async fn number(&mut self, sql: &'static str) -> Result<i64, Failed> {
        match &mut self.link {
            Link::Sqlite(link) => within(self.limit, sqlx::query_scalar(sql).fetch_one(link)).await,
            Link::Postgres(link) => {
                let row = within(self.limit, sqlx::raw_sql(sql).fetch_one(link)).await?;
                Ok(row.try_get(0)?)
            }
        }
    }

    /// Asks for rows of such types.
    pub(super) async fn rows(
        &mut self,
        sql: &'static str,
        types: &[Type],
    ) -> Result<Vec<Row<'static>>, Failed> {
        let rows: Result<Vec<_>, sqlx::Error> = match &mut self.link {
            Link::Sqlite(link) => {
                let rows = within(self.limit, sqlx::query(sql).fetch_all(link)).await?;
                rows.iter().map(|row| sqlite_row(row, types)).collect()
            }
            Link::Postgres(link) => {
                let rows = within(self.limit, sqlx::raw_sql(sql).fetch_all(link)).await?;
                rows.iter().map(|row| postgres_row(row, types)).collect()
            }
        };
        Ok(rows?)
    }

    /// The first rows that a statement over one row returns, until they hold `most` bytes of text.
    pub(super) async fn first(
        &mut self,
        statement: &Statement,
        row: Row<'static>,
        most: usize,
    ) -> Result<Vec<Row<'static>>, Failed> {
        let rows = [row];
        let types = statement.returns;
        match (&mut self.link, &statement.texts) {
            (Link::Sqlite(link), Texts::Pieces(texts)) => {
                let Some((_, text)) = texts.last() else {
                    return Ok(Vec::new());
                };
                let query = sqlx::query_with(AssertSqlSafe(Arc::clone(text)), cells(&rows)?);
                let rows = query.fetch(link).map(|row| sqlite_row(&row?, types));
                within(self.limit, taken(rows, most)).await
            }
            (Link::Postgres(link), Texts::Arrays(text)) => {
                let arguments = arrays(statement, &rows)?;
                let query = sqlx::query_with(AssertSqlSafe(Arc::clone(text)), arguments);
                let rows = query.persistent(false).fetch(link);
                let rows = rows.map(|row| postgres_row(&row?, types));
                within(self.limit, taken(rows, most)).await
            }
            (Link::Sqlite(_), Texts::Arrays(_) | Texts::Staged(_))
            | (Link::Postgres(_), Texts::Pieces(_) | Texts::Staged(_)) => Ok(Vec::new()),
        }
    }

    /// Puts rows into PostgreSQL's staging table.
    pub(super) async fn stage<'b, 'a: 'b>(
        &mut self,
        staging: &Staging,
        rows: impl Iterator<Item = Staged<'b, 'a>>,
    ) -> Result<(), Failed> {
        let Link::Postgres(link) = &mut self.link else {
            return Ok(());
        };
        let copied = async {
            let mut copy = link.copy_in_raw(&staging.copy).await?;
            let mut encoder = Encoder::new(staging);
            for row in rows {
                if let Err(error) = encoder.row(&row) {
                    copy.abort("").await?;
                    return Err(sqlx::Error::Encode(error.into()));
                }
                if let Some(chunk) = encoder.full() {
                    copy.send(chunk).await?;
                    encoder.sent();
                }
            }
            copy.send(encoder.end()).await?;
            copy.finish().await
        };
        within(self.limit, copied).await.map(drop)
    }

    /// Runs a statement over the rows of the batch: those of the staging table where it reads
    /// them from there, else those that `rows` gives. What it returns, in no order.
    pub(super) async fn run<'a>(
        &mut self,
        statement: &Statement,
        rows: impl FnOnce() -> Vec<Row<'a>>,
    ) -> Result<Vec<Row<'static>>, Failed> {
        match (&mut self.link, &statement.texts) {
            (Link::Sqlite(link), Texts::Pieces(texts)) => {
                let mut answers = Vec::new();
                let rows = rows();
                let mut left = rows.as_slice();
                while let Some((size, text)) = texts.iter().find(|(size, _)| *size <= left.len()) {
                    let (piece, rest) = left.split_at((*size).max(1));
                    let query = sqlx::query_with(AssertSqlSafe(Arc::clone(text)), cells(piece)?);
                    for row in within(self.limit, query.fetch_all(&mut *link)).await? {
                        answers.push(sqlite_row(&row, statement.returns)?);
                    }
                    left = rest;
                }
                Ok(answers)
            }
            (Link::Postgres(link), Texts::Arrays(text)) => {
                let rows = rows();
                if rows.is_empty() {
                    return Ok(Vec::new());
                }
                let arguments = arrays(statement, &rows)?;
                let query = sqlx::query_with(AssertSqlSafe(Arc::clone(text)), arguments);
                let query = query.persistent(false);
                let answers = within(self.limit, query.fetch_all(link)).await?;
                answers
                    .iter()
                    .map(|row| Ok(postgres_row(row, statement.returns)?))
                    .collect()
            }
            (Link::Postgres(link), Texts::Staged(text)) => {
                // One round trip: it has nothing to bind.
                let query = sqlx::raw_sql(AssertSqlSafe(Arc::clone(text)));
                let answers = within(self.limit, query.fetch_all(link)).await?;
                answers
                    .iter()
                    .map(|row| Ok(postgres_row(row, statement.returns)?))
                    .collect()
            }
            // A connection's statements are of its own dialect.
            (Link::Sqlite(_), Texts::Arrays(_) | Texts::Staged(_))
            | (Link::Postgres(_), Texts::Pieces(_)) => Ok(Vec::new()),
        }
    }

    /// Takes back what the open transaction did.
    pub(super) async fn roll_back(&mut self) -> Result<(), Failed> {
        self.command("ROLLBACK".to_owned()).await
    }

    /// Closes in an orderly way; what was committed stays, whatever this comes to.
    pub(super) async fn close(self) {
        let closed = match self.link {
            Link::Sqlite(link) => within(self.limit, link.close()).await,
            Link::Postgres(link) => within(self.limit, link.close()).await,
        };
        if closed.is_err() {
            tracing::debug!("a warehouse connection did not close in an orderly way");
        }
    }
}

async fn within<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Failed> {
    match timeout(limit, call).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(Failed::Timeout),
    }
}
