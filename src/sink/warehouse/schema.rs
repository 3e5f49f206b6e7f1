//! The tables, and how a database gets from one version of them to the next.
//!
//! Guarantee: migrations run in one transaction under a lock, each once; tables of a newer goldwire
//! are left alone, with a sentence.

use super::connection::{Connection, Failed};
use super::dialect::Dialect;

/// The version of the tables that this program reads and writes.
pub(super) const VERSION: i64 = 2;

/// Any number that other programs in the same database do not lock: "goldwire" as ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7453010373645639269)";

/// Tables that the writer needs, in the order in which it locks their rows.
pub(super) const TABLES: [&str; 4] = [
    "golden_records",
    "relations",
    "golden_record_changes",
    "merges",
];

/// A change with its interval. An interval that was stored would be written again with each change
/// that comes after it: the row, its page, and in PostgreSQL the page's image in the log.
const HISTORY: &str = "CREATE VIEW golden_record_history AS
  SELECT tenant, subject, commit_time, version, event_id, kind, object_type, state, absorbed_by,
   object, object_exact, observed, received_time,
   commit_time AS valid_from,                             -- ms
   lead(commit_time) OVER later AS valid_to,              -- the next row's valid_from
   lead(commit_time) OVER later IS NULL AS is_current
  FROM golden_record_changes
  WINDOW later AS (PARTITION BY tenant, subject ORDER BY commit_time, version);
";

/// Who might read the table may read the view that has its name now.
const SAME_READERS: &str = "DO $$
DECLARE reader text;
BEGIN
  FOR reader IN SELECT DISTINCT grantee FROM information_schema.table_privileges
   WHERE table_schema = current_schema() AND table_name = 'golden_record_changes'
    AND privilege_type = 'SELECT' LOOP
    EXECUTE format('GRANT SELECT ON golden_record_history TO %s',
     CASE reader WHEN 'PUBLIC' THEN reader ELSE quote_ident(reader) END);
  END LOOP;
END $$;
";

/// The tables as SQL, for a person who makes them by hand because the sink's user must not. Run
/// it once, in a schema of goldwire's own.
pub fn schema_text(dialect: Dialect) -> String {
    let upgrade = format!("BEGIN;\n{}COMMIT;", from_1(dialect)).replace('\n', "\n-- ");
    format!(
        "BEGIN;\n{}COMMIT;\n\n-- Where the tables have version 1, as their owner, instead:\n\
         --\n-- {upgrade}\n",
        creation(dialect)
    )
}

/// From version 1, whose history was a table with the intervals in it.
fn from_1(dialect: Dialect) -> String {
    let same_readers = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => SAME_READERS,
    };
    format!(
        "ALTER TABLE golden_record_history RENAME TO golden_record_changes;
ALTER TABLE golden_record_changes DROP COLUMN valid_from;
ALTER TABLE golden_record_changes DROP COLUMN valid_to;
ALTER TABLE golden_record_changes DROP COLUMN is_current;
{HISTORY}{same_readers}INSERT INTO goldwire_schema (version, applied_at) VALUES (2, {});
",
        dialect.now()
    )
}

/// Everything, where there is nothing.
fn creation(dialect: Dialect) -> String {
    let (json, changing) = (dialect.json(), dialect.changing());
    let current = |more: &str| {
        format!(
            "  tenant text NOT NULL,
  subject text NOT NULL,
  object_type text NOT NULL,
  state text NOT NULL,             -- alive, absorbed, removed, erased, gone, unknown
  absorbed_by text,
  version bigint,
  commit_time bigint,
  stands_for bigint NOT NULL,      -- guard: ms that the content stands for, never falls
  label text,
  object {json},                    -- the snapshot; what no jsonb holds is shown as U+FFFD
  object_exact text,               -- the snapshot's JSON, only where `object` shows marks
{more}  alive_at bigint NOT NULL,        -- newest ms at which it was known to live, 0 never
  erased_at bigint NOT NULL,       -- content up to here is gone for good (GDPR), 0 never
  updated_at bigint NOT NULL,      -- written, ms
  PRIMARY KEY (tenant, subject)
"
        )
    };
    let records = current("");
    let relations = current("  start_entity text,\n  end_entity text,\n");
    format!(
        "CREATE TABLE goldwire_schema (version bigint PRIMARY KEY, applied_at bigint NOT NULL);
CREATE TABLE golden_records (
{records}){changing};
CREATE TABLE relations (
{relations}){changing};
CREATE TABLE golden_record_changes (
  tenant text NOT NULL,
  subject text NOT NULL,
  commit_time bigint NOT NULL,
  version bigint NOT NULL,
  event_id text NOT NULL,
  kind text NOT NULL,
  object_type text NOT NULL,
  state text NOT NULL,
  absorbed_by text,
  object {json},
  object_exact text,
  observed boolean NOT NULL,       -- read afterwards, not carried by the event
  received_time bigint NOT NULL,
  PRIMARY KEY (tenant, subject, commit_time, version)
);
CREATE TABLE merges (
  tenant text NOT NULL,
  loser text NOT NULL,
  winner text NOT NULL,
  active boolean NOT NULL,
  merged_at bigint NOT NULL,       -- earliest ms at which the loser was known as absorbed
  last_seen_at bigint NOT NULL,    -- newest such ms
  unmerged_at bigint,              -- earliest ms after it at which the loser lived again
  updated_at bigint NOT NULL,
  PRIMARY KEY (tenant, loser, winner)
);
CREATE INDEX merges_by_winner ON merges (tenant, winner);
CREATE INDEX relations_by_start ON relations (tenant, start_entity);
CREATE INDEX relations_by_end ON relations (tenant, end_entity);
{HISTORY}CREATE VIEW golden_records_live AS
  SELECT tenant, subject, object_type, version, commit_time, stands_for, label, object, updated_at
  FROM golden_records WHERE state = 'alive';
CREATE VIEW relations_live AS
  SELECT tenant, subject, object_type, start_entity, end_entity, version, stands_for, object
  FROM relations WHERE state = 'alive';
CREATE VIEW merges_active AS
  SELECT tenant, loser, winner, merged_at FROM merges WHERE active;
INSERT INTO goldwire_schema (version, applied_at) VALUES ({VERSION}, {});
",
        dialect.now()
    )
}

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
        1 => {
            tracing::info!("the warehouse's tables go from version 1 to {VERSION}");
            from_1(dialect)
        }
        _ => String::new(),
    };
    connection.migrate(sql).await?;
    connection.command("COMMIT".to_owned()).await?;
    Ok(found.max(VERSION))
}

/// What is said about tables of a newer goldwire.
pub(super) fn newer(found: i64) -> String {
    format!(
        "the tables have version {found}, and this goldwire knows {VERSION}; run the newer \
         goldwire, or give this one a database of its own"
    )
}
