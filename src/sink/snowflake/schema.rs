//! The SQL that makes what the sink needs, and what is derived from its table. Pure.
//!
//! Streaming only inserts: what is current, what was when, which entity absorbed which, and the erasures follow
//! from the rows.

use std::fmt::Write as _;

use super::config::SnowflakeSink;
use super::rows::columns;

/// The columns of the table after [`columns`], with their types. Without
/// defaults: columns are matched by name, and would be NULL then.
pub(super) const TYPES: [&str; 14] = [
    "VARCHAR NOT NULL",
    "VARCHAR NOT NULL",
    "VARCHAR NOT NULL",
    "VARCHAR NOT NULL",
    "VARCHAR NOT NULL",
    "VARCHAR NOT NULL",
    "NUMBER(38, 0) NOT NULL",
    "NUMBER(38, 0) NOT NULL",
    "NUMBER(38, 0) NOT NULL",
    "BOOLEAN NOT NULL",
    "VARCHAR NOT NULL",
    "VARCHAR",
    "VARCHAR",
    "VARIANT",
];

/// All of it, for a person to run in a worksheet.
pub(super) fn schema_text(config: &SnowflakeSink) -> String {
    let table = config.place();
    let parts = [
        change_table(config, &table),
        pipe(config, &table),
        views(config, &table),
        erasure(&table),
        rights(config, &table),
    ];
    parts.join("\n")
}

fn change_table(config: &SnowflakeSink, table: &str) -> String {
    let columns = columns().zip(TYPES);
    let columns: Vec<String> = columns
        .map(|(name, kind)| format!("  {name} {kind}"))
        .collect();
    let (database, schema) = (&config.database, &config.schema);
    format!(
        "-- The changes: a row for each. commit_time and received_time are ms since 1970, UTC; piece is the
-- append that the row came with.
CREATE DATABASE IF NOT EXISTS {database};
CREATE SCHEMA IF NOT EXISTS {database}.{schema};
CREATE TABLE IF NOT EXISTS {table} (
{}
);
-- Rows that Snowflake refuses are kept in an error table then, with why:
-- ALTER TABLE {table} SET ERROR_LOGGING = TRUE;
",
        columns.join(",\n")
    )
}

fn pipe(config: &SnowflakeSink, table: &str) -> String {
    let pipe = config.pipe();
    let never = "Never CREATE OR REPLACE it while goldwire runs: that takes its channels away, and with them\n\
                 -- what Snowflake knows of the appends.";
    if config.pipe.is_none() || pipe.eq_ignore_ascii_case(&format!("{}-STREAMING", config.table)) {
        return format!(
            "-- The pipe is the table's default one, \"{pipe}\", which Snowflake makes with the first channel.\n\
             -- {never}\n"
        );
    }
    let columns = columns().zip(TYPES);
    let columns = columns.map(|(name, kind)| {
        let kind = kind.trim_end_matches(" NOT NULL");
        format!("  $1:{name}::{kind}")
    });
    let columns: Vec<String> = columns.collect();
    let (database, schema) = (&config.database, &config.schema);
    format!(
        "-- {never}\n\
         -- CREATE PIPE IF NOT EXISTS {database}.{schema}.\"{pipe}\" AS COPY INTO {table} FROM (SELECT\n\
         -- {}\n\
         --   FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING')));\n",
        columns.join(",\n-- ")
    )
}

fn views(config: &SnowflakeSink, table: &str) -> String {
    let place = format!("{}.{}", config.database, config.schema);
    let columns: Vec<&str> = columns().skip(1).collect();
    let mut text = format!(
        "-- Every change once, also where an append was repeated; what was read gives way to what came.
-- echo: tells of a dead subject as if it lived. Reltio sends changes of entities that lost a merge; they
-- live again only by a creation, an unmerge, or what was read of them.
CREATE OR REPLACE VIEW {place}.GOLDEN_RECORD_CHANGES_ONCE AS
WITH once AS (
  SELECT {} FROM {table}
  QUALIFY ROW_NUMBER() OVER (PARTITION BY tenant, subject, version, commit_time
    ORDER BY observed, received_time DESC, id) = 1
), told AS (
  SELECT once.*, LAST_VALUE(CASE WHEN state <> 'alive' THEN 'dead'
      WHEN observed OR kind IN ('created', 'split', 'spawned') THEN 'alive' END) IGNORE NULLS
    OVER (PARTITION BY tenant, subject ORDER BY commit_time, version
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS told
  FROM once
)
SELECT {}, state = 'alive' AND COALESCE(told, 'alive') = 'dead' AS echo FROM told;
",
        columns.join(", "),
        columns.join(", ")
    );
    let once = format!("{place}.GOLDEN_RECORD_CHANGES_ONCE");
    let current = format!(
        "SELECT tenant, subject, object_type, state, absorbed_by, version, commit_time,
  TO_TIMESTAMP_NTZ(commit_time, 3) AS changed_at, object
FROM {once} WHERE NOT echo
QUALIFY ROW_NUMBER() OVER (PARTITION BY tenant, subject ORDER BY commit_time DESC, version DESC) = 1"
    );
    let more = write!(
        text,
        "-- What every subject is now. For many readers, instead of the view:
-- CREATE DYNAMIC TABLE {place}.GOLDEN_RECORDS TARGET_LAG = '5 minutes' WAREHOUSE = <warehouse> AS <the same SELECT>
CREATE OR REPLACE VIEW {place}.GOLDEN_RECORDS AS
{current};
-- What every subject was, when: valid_to is the valid_from of the next.
CREATE OR REPLACE VIEW {place}.GOLDEN_RECORD_HISTORY AS
SELECT tenant, subject, object_type, kind, state, absorbed_by, version, observed, object,
  TO_TIMESTAMP_NTZ(commit_time, 3) AS valid_from,
  TO_TIMESTAMP_NTZ(LEAD(commit_time) OVER (PARTITION BY tenant, subject
    ORDER BY commit_time, version), 3) AS valid_to,
  LEAD(commit_time) OVER (PARTITION BY tenant, subject ORDER BY commit_time, version) IS NULL AS is_current
FROM {once} WHERE NOT echo;
-- Which entity absorbed which. active until the loser lived again, or was absorbed by another, later.
CREATE OR REPLACE VIEW {place}.MERGES AS
WITH absorbed AS (
  SELECT tenant, subject AS loser, absorbed_by AS winner, MIN(commit_time) AS merged, MAX(commit_time) AS seen
  FROM {once} WHERE state = 'absorbed' AND absorbed_by IS NOT NULL
  GROUP BY tenant, subject, absorbed_by
), lived AS (
  SELECT a.tenant, a.loser, a.winner, MIN(c.commit_time) AS again
  FROM absorbed AS a JOIN {once} AS c ON c.tenant = a.tenant AND c.subject = a.loser
  WHERE c.state = 'alive' AND NOT c.echo AND c.commit_time > a.seen
  GROUP BY a.tenant, a.loser, a.winner
)
SELECT a.tenant, a.loser, a.winner, TO_TIMESTAMP_NTZ(a.merged, 3) AS merged_at,
  TO_TIMESTAMP_NTZ(l.again, 3) AS unmerged_at,
  l.again IS NULL AND ROW_NUMBER() OVER (PARTITION BY a.tenant, a.loser
    ORDER BY a.seen DESC, a.winner DESC) = 1 AS active
FROM absorbed AS a LEFT JOIN lived AS l
  ON l.tenant = a.tenant AND l.loser = a.loser AND l.winner = a.winner;
"
    );
    // Writing to a String cannot fail.
    let _ok = more.is_ok();
    text
}

fn erasure(table: &str) -> String {
    format!(
        "-- Erasure (GDPR): takes out what rows hold of erased subjects, every hour. Time Travel and Fail-safe
-- keep deleted rows for DATA_RETENTION_TIME_IN_DAYS and seven days more; an error table is to be emptied, too.
CREATE OR REPLACE TASK {table}_ERASE
  SCHEDULE = '60 MINUTE'
AS
DELETE FROM {table} USING (
  SELECT tenant, subject, MAX(commit_time) AS erased_at FROM {table}
  WHERE state = 'erased' GROUP BY tenant, subject
) AS erased
WHERE {table}.tenant = erased.tenant AND {table}.subject = erased.subject
  AND {table}.commit_time <= erased.erased_at AND {table}.state <> 'erased';
ALTER TASK {table}_ERASE RESUME;
"
    )
}

fn rights(config: &SnowflakeSink, table: &str) -> String {
    let SnowflakeSink {
        database,
        schema,
        user,
        role,
        ..
    } = config;
    let pipe = config.pipe();
    let on_pipe = match config.pipe {
        Some(_) => format!(
            "GRANT OPERATE, MONITOR ON PIPE {database}.{schema}.\"{pipe}\" TO ROLE {role};\n"
        ),
        None => String::new(),
    };
    format!(
        "-- Who appends. goldwire can name no role: the user's default one counts.
CREATE ROLE IF NOT EXISTS {role};
GRANT USAGE ON DATABASE {database} TO ROLE {role};
GRANT USAGE ON SCHEMA {database}.{schema} TO ROLE {role};
GRANT INSERT, SELECT ON TABLE {table} TO ROLE {role};
{on_pipe}GRANT ROLE {role} TO USER \"{}\";
ALTER USER \"{}\" SET DEFAULT_ROLE = '{role}';
-- The public half of private_key, without its first and last line:
-- ALTER USER \"{}\" SET RSA_PUBLIC_KEY = '<MIIBIjANBg...>';
",
        user.to_uppercase(),
        user.to_uppercase(),
        user.to_uppercase()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sqlparser::ast::Statement;
    use sqlparser::dialect::SnowflakeDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn text(more: Value) -> String {
        let mut config = json!({
            "account": "a", "user": "loader", "private_key": "x", "database": "MDM", "schema": "RELTIO",
        });
        if let (Some(config), Value::Object(more)) = (config.as_object_mut(), more) {
            config.extend(more);
        }
        schema_text(&serde_json::from_value(config).unwrap())
    }

    /// The statements, but for those about tasks and pipes, which the parser does not know; of a task,
    /// what it runs.
    fn statements(text: &str) -> Vec<Statement> {
        let code = text.lines().filter(|line| !line.starts_with("--"));
        let code = code.collect::<Vec<_>>().join("\n");
        let known = code.split(";\n").filter_map(|one| match one.trim() {
            "" => None,
            task if task.starts_with("CREATE OR REPLACE TASK") => {
                Some(task.split_once("\nAS\n")?.1)
            }
            task if task.starts_with("ALTER TASK") => None,
            grant if grant.contains(" ON PIPE ") => None,
            other => Some(other),
        });
        let parsed = known.map(|one| {
            let parsed = Parser::parse_sql(&SnowflakeDialect, one);
            let mut parsed = parsed.unwrap_or_else(|error| panic!("{error} in {one}"));
            assert_eq!(parsed.len(), 1, "{one}");
            parsed.remove(0)
        });
        parsed.collect()
    }

    #[test]
    fn a_parser_of_snowflakes_sql_takes_every_statement() {
        for more in [json!({}), json!({ "pipe": "OWN_PIPE", "table": "T" })] {
            let parsed = statements(&text(more));
            let views = |it: &&Statement| matches!(it, Statement::CreateView(_));
            assert_eq!(parsed.iter().filter(views).count(), 4);
            let deletes = |it: &&Statement| matches!(it, Statement::Delete(_));
            assert_eq!(parsed.iter().filter(deletes).count(), 1);
        }
    }

    #[test]
    fn a_pipe_of_ones_own_names_every_column_and_is_granted() {
        let own = text(json!({ "pipe": "OWN_PIPE" }));
        for wanted in [
            "-- CREATE PIPE IF NOT EXISTS MDM.RELTIO.\"OWN_PIPE\" AS COPY INTO MDM.RELTIO.GOLDEN_RECORD_CHANGES",
            "$1:commit_time::NUMBER(38, 0)",
            "GRANT OPERATE, MONITOR ON PIPE MDM.RELTIO.\"OWN_PIPE\" TO ROLE GOLDWIRE;",
        ] {
            assert!(own.contains(wanted), "{own}");
        }
        let default = text(json!({}));
        assert!(default.contains("default one, \"GOLDEN_RECORD_CHANGES-STREAMING\""));
        assert!(!default.contains("ON PIPE") && !default.contains("\nCREATE PIPE"));
    }
}
