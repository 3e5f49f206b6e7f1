//! The tables, and how a database gets from one version of them to the next.
//!
//! Guarantee: migrations run in one transaction under a lock, each once; tables of a newer goldwire
//! are left alone, with a sentence.

use super::connection::{Connection, Failed};
use super::dialect::Dialect;
use super::tables::{creation, upgrade};

/// The version of the tables that this program reads and writes.
pub(super) const VERSION: i64 = 4;

/// Any number that other programs in the same database do not lock: "goldwire" as ASCII.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7453010373645639269)";

/// Tables that the writer needs, those whose rows it locks in that order.
pub(super) const TABLES: [&str; 6] = [
    "golden_records",
    "relations",
    "golden_record_changes",
    "merges",
    "goldwire_columns",
    "goldwire_backfill",
];

/// The version of the tables; 0 if there are none.
pub(super) async fn version(connection: &mut Connection) -> Result<i64, Failed> {
    let exists = match connection.dialect() {
        Dialect::Sqlite => {
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goldwire_schema'"
        }
        Dialect::Postgres => {
            "SELECT count(*) FROM pg_class WHERE oid = to_regclass('goldwire_schema')"
        }
    };
    if connection.number(exists).await? == 0 {
        return Ok(0);
    }
    connection
        .number("SELECT coalesce(max(version), 0) FROM goldwire_schema")
        .await
}

/// Whether the database holds every character: SQLite always does.
const UNFIT_ENCODING: &str = "SELECT count(*) WHERE current_setting('server_encoding') <> 'UTF8'";

/// Whether the encoding is one that loses characters.
pub(super) async fn has_unfit_encoding(connection: &mut Connection) -> Result<bool, Failed> {
    match connection.dialect() {
        Dialect::Sqlite => Ok(false),
        Dialect::Postgres => Ok(connection.number(UNFIT_ENCODING).await? > 0),
    }
}

async fn look(connection: &mut Connection) -> Result<i64, Failed> {
    connection.begin_looking().await?;
    if has_unfit_encoding(connection).await? {
        return Err(Failed::Encoding);
    }
    let found = version(connection).await?;
    connection.roll_back().await?;
    Ok(found)
}

/// Brings the tables to [`VERSION`], if they are older. Tells the version found: more than
/// [`VERSION`] means that nothing may be written.
///
/// # Errors
/// Among others if the database cannot hold every character.
pub(super) async fn migrate(connection: &mut Connection) -> Result<i64, Failed> {
    // Without a lock first: a user without the right to create tables can go on where they exist.
    let found = look(connection).await?;
    if found >= VERSION {
        return Ok(found);
    }
    let dialect = connection.dialect();
    connection.begin().await?;
    if dialect == Dialect::Postgres {
        connection.command(LOCK.to_owned()).await?;
    }
    let found = version(connection).await?;
    let sql = match found {
        0 => creation(dialect),
        1..VERSION => {
            tracing::info!("the warehouse's tables go from version {found} to {VERSION}");
            upgrade(dialect, found)
        }
        _ => String::new(),
    };
    connection.migrate(sql).await?;
    connection.commit().await?;
    Ok(found.max(VERSION))
}

/// What is said about tables of a newer goldwire.
pub(super) fn newer(found: i64) -> String {
    format!(
        "the tables have version {found}, and this goldwire knows {VERSION}; run the newer \
         goldwire, or give this one a database of its own"
    )
}
