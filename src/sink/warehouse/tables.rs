//! The tables as SQL: from nothing, and from an older version.

use std::collections::BTreeMap;

use super::backfill::backfill;
use super::columns;
use super::dialect::Dialect;
use super::schema::VERSION;
use super::views::views;
use crate::sink::columns::{ColumnConfig, Columns};

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

/// From version 1, whose history was a table with the intervals in it.
const FROM_1: &str = "ALTER TABLE golden_record_history RENAME TO golden_record_changes;
ALTER TABLE golden_record_changes DROP COLUMN valid_from;
ALTER TABLE golden_record_changes DROP COLUMN valid_to;
ALTER TABLE golden_record_changes DROP COLUMN is_current;
";

/// What the tables know of the mapping's columns, and how far they are filled.
const MAPPING: &str = "CREATE TABLE goldwire_columns (
  name text PRIMARY KEY,
  position bigint NOT NULL,        -- in the views
  type text NOT NULL,
  source text                      -- attribute that it is of; NULL: it left the mapping
);
CREATE TABLE goldwire_backfill (   -- one row: how far columns are filled from stored snapshots
  id bigint PRIMARY KEY,
  stage bigint NOT NULL,           -- 0 golden_records, 1 relations, 2 the changes, 3 all are
  tenant text NOT NULL,            -- key of the last row that was filled
  subject text NOT NULL,
  commit_time bigint NOT NULL,
  version bigint NOT NULL
);
INSERT INTO goldwire_backfill VALUES (1, 3, '', '', 0, 0);
";

/// The tables as SQL, for a person who makes them by hand because the sink's user must not. Run
/// it once, in a schema of goldwire's own.
pub fn schema_text(dialect: Dialect, columns: &BTreeMap<String, ColumnConfig>) -> String {
    let upgrades = (1..VERSION).map(|found| {
        let upgrade = format!("BEGIN;\n{}COMMIT;", upgrade(dialect, found)).replace('\n', "\n-- ");
        format!("\n-- Where the tables have version {found}, as their owner, instead:\n--\n-- {upgrade}\n")
    });
    let upgrades: Vec<String> = upgrades.collect();
    let creation = creation(dialect);
    let columns = columns::schema_text(dialect, &Columns::new(columns));
    let columns = columns.map(|sql| {
        format!("\n-- The columns of the mapping, for tables of version {VERSION} that have none.\nBEGIN;\n{sql}COMMIT;\n")
    });
    format!(
        "BEGIN;\n{creation}COMMIT;\n{}{}",
        columns.unwrap_or_default(),
        upgrades.concat()
    )
}

/// From an older version. Version 3 knows since when and until when a subject is active, version 4
/// the columns of the mapping.
pub(super) fn upgrade(dialect: Dialect, found: i64) -> String {
    let dates = if found < 3 {
        dates(dialect)
    } else {
        String::new()
    };
    let (before, after) = match (found, dialect) {
        (1, Dialect::Sqlite) => (FROM_1, ""),
        (1, Dialect::Postgres) => (FROM_1, SAME_READERS),
        (_, _) => ("", ""),
    };
    format!(
        "{before}{dates}{MAPPING}{views}{after}{version}",
        views = views(dialect, &[]),
        version = version(dialect),
    )
}

/// The columns of start and end, and what is told of them by the snapshots that are stored.
fn dates(dialect: Dialect) -> String {
    let tables = ["golden_records", "relations", "golden_record_changes"];
    let columns = tables.map(|table| {
        format!(
            "ALTER TABLE {table} ADD COLUMN active_from bigint;
ALTER TABLE {table} ADD COLUMN active_until bigint;
"
        )
    });
    format!(
        "{columns}{backfill}{indexes}",
        columns = columns.concat(),
        backfill = backfill(dialect, &tables),
        indexes = indexes(dialect),
    )
}

fn version(dialect: Dialect) -> String {
    let now = dialect.now();
    format!("INSERT INTO goldwire_schema (version, applied_at) VALUES ({VERSION}, {now});\n")
}

/// For the live view of a type, and for what changed since some time. None is on a column that
/// each change of a subject changes: PostgreSQL then writes the row's next state beside it, and no
/// index. Rows of changes come about in the order of their times: a BRIN index of a few pages
/// finds them.
fn indexes(dialect: Dialect) -> String {
    let by_time = match dialect {
        Dialect::Sqlite => "(commit_time)",
        Dialect::Postgres => "USING brin (commit_time)",
    };
    format!(
        "CREATE INDEX golden_records_by_type ON golden_records (tenant, object_type)
 WHERE state = 'alive';
CREATE INDEX relations_by_type ON relations (tenant, object_type) WHERE state = 'alive';
CREATE INDEX golden_record_changes_by_time ON golden_record_changes {by_time};
"
    )
}

/// Everything, where there is nothing.
pub(super) fn creation(dialect: Dialect) -> String {
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
  active_from bigint,              -- start date, ms
  active_until bigint,             -- end date, ms; or all its crosswalks were deleted then
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
  active_from bigint,              -- ms, as the snapshot says
  active_until bigint,
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
{indexes}{MAPPING}{views}{version}",
        indexes = indexes(dialect),
        views = views(dialect, &[]),
        version = version(dialect),
    )
}
