//! Whether the database is as the sink needs it. Looks, and changes nothing.

use std::path::Path;

use super::columns::is_settled;
use super::connection::{Connection, Failed};
use super::dialect::Dialect;
use super::fault::{Fault, Phase};
use super::remedy;
use super::schema::{self, TABLES, VERSION};
use super::target::{Options, Target, folder_of};
use crate::sink::SinkError;
use crate::sink::columns::Columns;

/// One sentence per problem.
pub(super) async fn probe(target: &Target, columns: &Columns) -> Vec<String> {
    if let Options::Sqlite(options) = &target.options {
        let file = options.get_filename();
        if tokio::fs::metadata(file).await.is_err() {
            return folder_problem(file).await.into_iter().collect();
        }
    }
    match look(&target.looking_only(), columns).await {
        Ok(sentences) => sentences,
        Err(failed) => vec![sentence(&Fault::of(&failed, Phase::Connect).error)],
    }
}

/// A file that does not exist yet is made at the first delivery, with its folder.
async fn folder_problem(file: &Path) -> Option<String> {
    let file = file.to_owned();
    let looked = tokio::task::spawn_blocking(move || {
        let folder = folder_of(&file);
        let there = folder.ancestors().find(|at| at.exists());
        let there = there.filter(|at| !at.as_os_str().is_empty());
        let there = there.unwrap_or_else(|| Path::new("."));
        let failed = match tempfile::tempfile_in(there) {
            Ok(_) => return None,
            Err(error) => error.kind().to_string(),
        };
        Some(format!(
            "{} cannot be made: {failed} at {}; let the process write there, or correct `url`",
            file.display(),
            there.display()
        ))
    });
    looked.await.ok().flatten()
}

fn sentence(error: &SinkError) -> String {
    match error {
        SinkError::Systemic { code, remedy } => format!("{code}: {remedy}"),
        SinkError::Retryable { code, .. }
        | SinkError::Throttled { code, .. }
        | SinkError::Rejected { code, .. } => format!(
            "{code}: the database does not answer as it should; see that it runs, and that `url` \
             leads to it"
        ),
    }
}

const READ_ONLY: &str = "SELECT count(*) WHERE current_setting('transaction_read_only') = 'on'";
const TOO_OLD: &str =
    "SELECT count(*) WHERE CAST(current_setting('server_version_num') AS integer) < 120000";
const MAY_CREATE: &str = "SELECT count(*) WHERE has_schema_privilege(current_schema(), 'CREATE')";
const MAY_STAGE: &str =
    "SELECT count(*) WHERE has_database_privilege(current_database(), 'TEMPORARY')";
const MISSING_RIGHTS: &str = "SELECT count(*) FROM (
 SELECT t.name AS name, p.need AS need FROM
  (VALUES ('golden_records'), ('relations'), ('golden_record_changes'), ('merges'),
   ('goldwire_columns'), ('goldwire_backfill')) AS t(name),
  (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS p(need)
 UNION ALL SELECT 'golden_record_changes', 'DELETE') AS r
 WHERE NOT coalesce(has_table_privilege(to_regclass(r.name), r.need), false)";

const NOT_OWNED: &str = "SELECT count(*) FROM pg_class
 WHERE oid = to_regclass('golden_record_history') AND NOT pg_has_role(relowner, 'USAGE')";

async fn look(target: &Target, columns: &Columns) -> Result<Vec<String>, Failed> {
    let mut connection = Connection::open(target).await?;
    let mut sentences = Vec::new();
    connection.begin_looking().await?;
    if schema::has_unfit_encoding(&mut connection).await? {
        sentences.push(remedy::ENCODING.to_owned());
    }
    let found = schema::version(&mut connection).await?;
    if found > VERSION {
        sentences.push(schema::newer(found));
    }
    if connection.dialect() == Dialect::Postgres {
        rights(&mut connection, found, columns, &mut sentences).await?;
    }
    connection.roll_back().await?;
    connection.close().await;
    Ok(sentences)
}

async fn rights(
    connection: &mut Connection,
    found: i64,
    columns: &Columns,
    sentences: &mut Vec<String>,
) -> Result<(), Failed> {
    if connection.number(TOO_OLD).await? > 0 {
        sentences.push("the server is older than PostgreSQL 12; upgrade it".to_owned());
    }
    if connection.number(MAY_STAGE).await? == 0 {
        sentences.push(
            "the user must not make temporary tables, by which a batch reaches the server; grant \
             TEMPORARY on the database"
                .to_owned(),
        );
    }
    if connection.number(READ_ONLY).await? > 0 {
        sentences.push("the server takes no writes; let the URL lead to the primary".to_owned());
    }
    if found == 0 && connection.number(MAY_CREATE).await? == 0 {
        sentences.push(
            "the tables do not exist, and the user must not make them; grant CREATE on the first \
             schema of its search_path, or make them with `goldwire schema warehouse`"
                .to_owned(),
        );
    }
    if (1..VERSION).contains(&found) && connection.number(NOT_OWNED).await? > 0 {
        sentences.push(format!(
            "the tables have version {found}, and only their owner may bring them to {VERSION}: let \
             it run the end of what `goldwire schema warehouse` prints"
        ));
    }
    if found == VERSION && connection.number(MISSING_RIGHTS).await? > 0 {
        sentences.push(format!(
            "the user lacks rights, or a table is missing; grant SELECT, INSERT and UPDATE on {}, and \
             DELETE on golden_record_changes",
            TABLES.join(", ")
        ));
    } else if found == VERSION
        && !is_settled(connection, columns).await?
        && connection.number(NOT_OWNED).await? > 0
    {
        sentences.push(
            "the tables do not have the columns of `columns`, and only their owner may add them: let \
             it run what `goldwire schema warehouse` prints of them"
                .to_owned(),
        );
    }
    Ok(())
}
