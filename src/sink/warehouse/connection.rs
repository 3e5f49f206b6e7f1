//! One connection to either database. Every call ends within the statement timeout.
//!
//! After a timeout, or when the transport failed, the connection is closed and never used again:
//! nobody knows what the server still does on it.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, Row as _,
    SqliteConnection,
};
use tokio::time::timeout;

use super::dialect::{Cell, Dialect, Statement, Type};
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
    limit: Duration,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(target: &Target) -> Result<Self, Failed> {
        let limit = target.client_limit();
        let link = match &target.options {
            Options::Sqlite(options) => Link::Sqlite(within(limit, options.connect()).await?),
            Options::Postgres(options) => Link::Postgres(within(limit, options.connect()).await?),
        };
        let mut connection = Self { link, limit };
        if connection.dialect() == Dialect::Postgres {
            // G1: an acknowledged commit is on disk, whatever the server's default is.
            connection
                .command(
                    "SELECT set_config('synchronous_commit', 'on', false) \
                     WHERE current_setting('synchronous_commit') = 'off'"
                        .to_owned(),
                )
                .await?;
        }
        Ok(connection)
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
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

    /// Asks for one number.
    pub(super) async fn number(&mut self, sql: &'static str) -> Result<i64, Failed> {
        match &mut self.link {
            Link::Sqlite(link) => within(self.limit, sqlx::query_scalar(sql).fetch_one(link)).await,
            Link::Postgres(link) => {
                within(self.limit, sqlx::query_scalar(sql).fetch_one(link)).await
            }
        }
    }

    /// Runs a statement over `rows`; what it returns, in no order.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        rows: &[Vec<Cell>],
    ) -> Result<Vec<Vec<Cell>>, Failed> {
        let mut answers = Vec::new();
        let mut left = rows;
        while !left.is_empty() {
            let dialect = self.dialect();
            let (piece, rest) = left.split_at(dialect.piece(left.len()));
            let sql = AssertSqlSafe(dialect.text(statement, piece.len()));
            match &mut self.link {
                Link::Sqlite(link) => {
                    let query = sqlx::query_with(sql, cells(piece)?);
                    for row in within(self.limit, query.fetch_all(link)).await? {
                        answers.push(sqlite_row(&row, statement.returns)?);
                    }
                }
                Link::Postgres(link) => {
                    let query = sqlx::query_with(sql, arrays(statement, piece)?);
                    for row in within(self.limit, query.fetch_all(link)).await? {
                        answers.push(postgres_row(&row, statement.returns)?);
                    }
                }
            }
            left = rest;
        }
        Ok(answers)
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

fn cells(rows: &[Vec<Cell>]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for cell in rows.iter().flatten() {
        match cell {
            Cell::Text(text) => arguments.add(text.clone()),
            Cell::Int(int) => arguments.add(*int),
            Cell::Flag(flag) => arguments.add(*flag),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn arrays(statement: &Statement, rows: &[Vec<Cell>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for (index, (_, kind)) in statement.columns.iter().enumerate() {
        let column = || rows.iter().filter_map(|row| row.get(index));
        match kind {
            Type::Text | Type::Json => {
                let texts: Vec<Option<&str>> = column()
                    .map(|cell| cell.text().map(AsRef::as_ref))
                    .collect();
                arguments.add(texts)
            }
            Type::Int => arguments.add(column().map(Cell::int).collect::<Vec<_>>()),
            Type::Flag => {
                let flags: Vec<bool> = column().map(|cell| *cell == Cell::Flag(true)).collect();
                arguments.add(flags)
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

fn sqlite_row(row: &SqliteRow, types: &[Type]) -> Result<Vec<Cell>, sqlx::Error> {
    let cell = |(index, kind): (usize, &Type)| match kind {
        Type::Text | Type::Json => row.try_get_unchecked(index).map(text_cell),
        Type::Int => row.try_get_unchecked(index).map(Cell::Int),
        Type::Flag => row.try_get_unchecked(index).map(Cell::Flag),
    };
    types.iter().enumerate().map(cell).collect()
}

fn postgres_row(row: &PgRow, types: &[Type]) -> Result<Vec<Cell>, sqlx::Error> {
    let cell = |(index, kind): (usize, &Type)| match kind {
        Type::Text | Type::Json => row.try_get(index).map(text_cell),
        Type::Int => row.try_get(index).map(Cell::Int),
        Type::Flag => row.try_get(index).map(Cell::Flag),
    };
    types.iter().enumerate().map(cell).collect()
}

fn text_cell(text: Option<String>) -> Cell {
    Cell::Text(text.map(Into::into))
}
