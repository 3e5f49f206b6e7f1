//! What reads the files in Databricks: the text of `goldwire schema databricks`. Pure.
//!
//! Guarantee: names and types are those of the sink's own files. Whatever the order in which files
//! come, and however often a statement is run, `golden_records` ends at the newest change of each
//! subject and `golden_record_history` at all of them, each once. A source of a MERGE has one row for
//! each row of its target.

use parquet::basic::{LogicalType, Type as Physical};
use parquet::errors::ParquetError;
use parquet::schema::types::Type;

use super::body::schema;
use super::config::{Format, LakeSink};
use super::values::{DIGITS, SCALE};
use crate::sink::columns::Columns;

/// Columns that a row's key is made of, or that say which of two rows is newer: each is matched or
/// compared by name below.
const NEWEST: &str = "commit_time DESC, version DESC, observed, received_time DESC, id";

/// How Auto Loader and three tables are made of the sink's files.
///
/// # Errors
/// Never, as far as is known: the schema follows from names that were checked.
pub(super) fn notebook(config: &LakeSink) -> Result<String, ParquetError> {
    let mapping = Columns::new(&config.columns);
    let schema = schema(&mapping)?;
    let fields = schema.get_fields().iter();
    let columns: Vec<Column> = fields.map(|field| Column::of(field, &mapping)).collect();
    Ok([
        head(),
        bronze(config, &columns),
        current(&columns),
        history(&columns),
        MERGES.to_owned(),
        ERASURE.to_owned(),
    ]
    .join("\n"))
}

/// A column, as Databricks names and types it.
struct Column {
    name: String,
    kind: String,
    /// A time that lines of JSON tell in ms since 1970.
    is_millis: bool,
}

impl Column {
    fn of(field: &Type, mapping: &Columns) -> Self {
        let name = field.name();
        let is_mapped = mapping.0.iter().any(|column| column.name == name);
        let logical = field.get_basic_info().logical_type_ref();
        let kind = match logical {
            Some(LogicalType::Timestamp { .. }) => "TIMESTAMP".to_owned(),
            Some(LogicalType::Date) => "DATE".to_owned(),
            Some(LogicalType::Decimal { .. }) => format!("DECIMAL({DIGITS}, {SCALE})"),
            _ if field.get_physical_type() == Physical::BOOLEAN => "BOOLEAN".to_owned(),
            _ if field.get_physical_type() == Physical::INT64 => "BIGINT".to_owned(),
            _ => "STRING".to_owned(),
        };
        Self {
            // Any word may be a column of the mapping.
            name: if is_mapped {
                format!("`{name}`")
            } else {
                name.to_owned()
            },
            is_millis: kind == "TIMESTAMP" && !is_mapped,
            kind,
        }
    }
}

fn head() -> String {
    "-- Statements for a notebook or a job of Databricks SQL. Run 1 and the CREATE TABLE statements \
     once, in a schema of\n-- their own; then REFRESH STREAMING TABLE golden_record_changes and what \
     follows, as often as tables are to\n-- be current. Each statement may be run again, and takes up \
     what came since.\n-- USE CATALOG main; USE SCHEMA reltio;\n"
        .to_owned()
}

/// Auto Loader into the table of changes.
fn bronze(config: &LakeSink, columns: &[Column]) -> String {
    let (format, glob) = match config.format {
        Format::Parquet => ("parquet", "*.parquet"),
        Format::Ndjson => ("json", "*.ndjson.gz"),
    };
    let is_json = config.format == Format::Ndjson;
    let selected = columns.iter().map(|column| {
        let name = &column.name;
        if is_json && column.is_millis {
            format!("timestamp_millis({name}) AS {name}")
        } else {
            name.clone()
        }
    });
    let hints = columns.iter().map(|column| {
        let kind = if is_json && column.is_millis {
            "BIGINT"
        } else {
            &column.kind
        };
        format!("{} {kind}", column.name)
    });
    format!(
        "-- 1. Every row of the files. The path has to be in an external location of Unity Catalog; without file events
-- there, leave useManagedFileEvents out, and directories are listed. Databricks keeps the schema and the list of
-- files itself; in a notebook in Python these are the options cloudFiles.schemaLocation and checkpointLocation.
CREATE OR REFRESH STREAMING TABLE golden_record_changes AS
SELECT {selected},
  current_timestamp AS loaded_at
FROM STREAM read_files(
  '{url}',
  format => '{format}',
  pathGlobFilter => '{glob}',
  useManagedFileEvents => true,
  schemaEvolutionMode => 'none',
  schemaHints => '{hints}'
);
",
        selected = list(selected),
        url = config.url.trim_end_matches('/').replace('\'', "''"),
        hints = hints.collect::<Vec<_>>().join(", "),
    )
}

/// The newest change of each subject.
fn current(columns: &[Column]) -> String {
    let (names, set, values) = assigned(columns.iter().map(|it| it.name.as_str()));
    format!(
        "-- 2. What each subject is now: the newest of its changes. Compares before it writes, so that an older change
-- replaces nothing, whenever it comes. `state` tells those that are not alive any more.
CREATE TABLE IF NOT EXISTS golden_records AS
SELECT * FROM golden_record_changes WHERE false;

MERGE INTO golden_records AS t
USING (
  SELECT * FROM golden_record_changes
  WHERE loaded_at >= (SELECT coalesce(max(loaded_at), TIMESTAMP '1970-01-02 00:00:00') FROM golden_records) - INTERVAL 1 HOUR
  QUALIFY row_number() OVER (PARTITION BY tenant, subject ORDER BY {NEWEST}) = 1
) AS s
ON t.tenant = s.tenant AND t.subject = s.subject
WHEN MATCHED AND (s.commit_time > t.commit_time
  OR s.commit_time = t.commit_time AND s.version > t.version
  OR s.commit_time = t.commit_time AND s.version = t.version AND {PAYLOAD}) THEN UPDATE SET
  {set}
WHEN NOT MATCHED THEN INSERT (
  {names}
) VALUES (
  {values}
);
"
    )
}

/// Of two rows with the same clocks, which is taken.
const PAYLOAD: &str = "(t.observed AND NOT s.observed
    OR t.observed = s.observed AND s.received_time > t.received_time)";

/// Every change once, with the time for which it held.
fn history(columns: &[Column]) -> String {
    let own = columns.iter().map(|it| it.name.as_str());
    let (names, set, values) = assigned(own.chain(["valid_from", "valid_to", "is_current"]));
    format!(
        "-- 3. History (SCD2): each change once, from its commit time until that of the next. A change that comes late
-- closes the one before it, and is itself closed by the one after it: the source has all changes of the subjects
-- that have new ones.
CREATE TABLE IF NOT EXISTS golden_record_history AS
SELECT *, commit_time AS valid_from, commit_time AS valid_to, false AS is_current FROM golden_record_changes WHERE false;

MERGE INTO golden_record_history AS t
USING (
  SELECT *, commit_time AS valid_from,
    lead(commit_time) OVER (PARTITION BY tenant, subject ORDER BY commit_time, version) AS valid_to,
    lead(commit_time) OVER (PARTITION BY tenant, subject ORDER BY commit_time, version) IS NULL AS is_current
  FROM (
    SELECT * FROM golden_record_changes AS c
    WHERE EXISTS (
      SELECT 1 FROM golden_record_changes AS n
      WHERE n.tenant = c.tenant AND n.subject = c.subject AND n.loaded_at >=
        (SELECT coalesce(max(loaded_at), TIMESTAMP '1970-01-02 00:00:00') FROM golden_record_history) - INTERVAL 1 HOUR)
    QUALIFY row_number() OVER (PARTITION BY tenant, subject, commit_time, version ORDER BY {NEWEST}) = 1
  ) AS once
) AS s
ON t.tenant = s.tenant AND t.subject = s.subject AND t.commit_time = s.commit_time AND t.version = s.version
WHEN MATCHED AND (t.is_current <> s.is_current OR t.valid_to <> s.valid_to OR {PAYLOAD}) THEN UPDATE SET
  {set}
WHEN NOT MATCHED THEN INSERT (
  {names}
) VALUES (
  {values}
);
"
    )
}

/// Losers and winners.
const MERGES: &str = "-- 4. Merges: a loser and its winner. `active` until the loser was seen alive, or absorbed by another, later.
CREATE OR REPLACE VIEW merges AS
SELECT tenant, loser, winner, merged_at, unmerged_at, unmerged_at IS NULL AS active
FROM (
  SELECT *, lead(merged_at) OVER (PARTITION BY tenant, loser ORDER BY merged_at, version) AS unmerged_at
  FROM (
    SELECT tenant, subject AS loser, absorbed_by AS winner, commit_time AS merged_at, version,
      lag(absorbed_by) OVER (PARTITION BY tenant, subject ORDER BY commit_time, version) AS before
    FROM golden_record_history
    WHERE state = 'alive' OR absorbed_by IS NOT NULL
  ) AS told
  WHERE coalesce(winner, '') <> coalesce(before, '')
) AS changed
WHERE winner IS NOT NULL;
";

/// What was loaded of an erased subject.
const ERASURE: &str = "-- 5. Erasure (GDPR): what a subject's rows told up to its erasure leaves the tables; the erasure's own row stays.
-- Delta keeps the files of before until VACUUM; with deletion vectors, REORG TABLE … APPLY (PURGE) comes first.
DELETE FROM golden_record_changes AS c
WHERE c.state <> 'erased' AND EXISTS (
  SELECT 1 FROM golden_record_changes AS e
  WHERE e.state = 'erased' AND e.tenant = c.tenant AND e.subject = c.subject AND c.commit_time <= e.commit_time);

DELETE FROM golden_record_history AS c
WHERE c.state <> 'erased' AND EXISTS (
  SELECT 1 FROM golden_record_history AS e
  WHERE e.state = 'erased' AND e.tenant = c.tenant AND e.subject = c.subject AND c.commit_time <= e.commit_time);
";

/// Names, assignments and values of a MERGE: of these columns and of when they were loaded.
fn assigned<'a>(columns: impl Iterator<Item = &'a str>) -> (String, String, String) {
    let columns: Vec<&str> = columns.chain(["loaded_at"]).collect();
    let each = |made: fn(&str) -> String| list(columns.iter().map(|name| made(name)));
    (
        each(ToOwned::to_owned),
        each(|name| format!("{name} = s.{name}")),
        each(|name| format!("s.{name}")),
    )
}

/// Items with commas between them, five to a line.
fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    let lines: Vec<String> = items.chunks(5).map(|line| line.join(", ")).collect();
    lines.join(",\n  ")
}
