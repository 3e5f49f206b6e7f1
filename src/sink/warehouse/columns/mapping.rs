//! The tables' columns, brought in step with the mapping.
//!
//! Guarantee: what is told of the mapping is what the tables have: both change in one transaction,
//! under the lock of the migrations. A column is filled again from the stored snapshots when it is
//! new, when it comes back, and when its attribute, its type or whose it is changed. A column that
//! left the mapping stays, and is no longer written.

use super::super::connection::{Connection, Failed};
use super::super::dialect::{Dialect, Type};
use super::super::schema::LOCK;
use super::super::views::{self, views};
use super::{fill, quoted};
use crate::sink::columns::{Column, Columns};

/// Tables with columns of attributes, in the order in which they are filled.
pub(super) const TABLES: [&str; 3] = ["golden_records", "relations", "golden_record_changes"];

const KNOWN: &str = "SELECT name, type, source FROM goldwire_columns ORDER BY position";
const NOT_FILLED: &str = "SELECT count(*) FROM goldwire_backfill WHERE stage < 3";

/// Fills every column again.
const FILL: &str = "UPDATE goldwire_backfill SET stage = 0, tenant = '', subject = '',
 commit_time = -9223372036854775807, version = -9223372036854775807;
";

/// A column that the tables have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    name: String,
    kind: String,
    /// Nothing: it left the mapping.
    source: Option<String>,
}

/// Whether the tables have the columns of the mapping; they may still have to be filled.
pub(in super::super) async fn is_settled(
    connection: &mut Connection,
    columns: &Columns,
) -> Result<bool, Failed> {
    Ok(change_of(connection, columns).await?.is_none())
}

/// Brings the tables in step with the mapping, and fills in what they lack. Any number of writers may
/// do it at once.
///
/// # Errors
/// What is filled in until then stays, and is gone on from the next time.
pub(in super::super) async fn settle(
    connection: &mut Connection,
    columns: &Columns,
) -> Result<(), Failed> {
    // Without a lock first: a user without the right to change tables can go on where they fit.
    connection.begin_looking().await?;
    let settled = is_settled(connection, columns).await?;
    let filled = connection.number(NOT_FILLED).await? == 0;
    connection.roll_back().await?;
    if !settled {
        connection.begin().await?;
        if connection.dialect() == Dialect::Postgres {
            connection.command(LOCK.to_owned()).await?;
        }
        if let Some(sql) = change_of(connection, columns).await? {
            tracing::info!("the warehouse's tables get the columns of the mapping");
            connection.migrate(sql).await?;
        }
        connection.commit().await?;
    }
    if settled && filled {
        return Ok(());
    }
    fill::fill(connection, columns).await
}

/// What has to be run; nothing if the tables are as the mapping wants them.
async fn change_of(
    connection: &mut Connection,
    columns: &Columns,
) -> Result<Option<String>, Failed> {
    let dialect = connection.dialect();
    let known = known(connection).await?;
    // A person who dropped a column had to drop them.
    let has_views = connection.number(views::are_missing(dialect)).await? == 0;
    Ok(change(dialect, &known, columns, has_views))
}

async fn known(connection: &mut Connection) -> Result<Vec<Known>, Failed> {
    let types = [Type::Text, Type::Text, Type::Text];
    let rows = connection.rows(KNOWN, &types).await?;
    let known = rows.iter().filter_map(|row| match row.as_slice() {
        [name, kind, source] => Some(Known {
            name: name.text()?.to_owned(),
            kind: kind.text()?.to_owned(),
            source: source.text().map(ToOwned::to_owned),
        }),
        _ => None,
    });
    Ok(known.collect())
}

/// What has to be run where the tables have the `known` columns; nothing if they are those of the
/// mapping, and there are views.
fn change(dialect: Dialect, known: &[Known], columns: &Columns, has_views: bool) -> Option<String> {
    let mut sql = String::new();
    let mut names: Vec<String> = known.iter().map(|known| quoted(&known.name)).collect();
    let (mut fills, mut shows, mut retypes) = (false, !has_views, false);
    for column in &columns.0 {
        match known.iter().find(|known| known.name == column.name) {
            None => {
                sql += &column.add(dialect);
                sql += &column.tell(dialect);
                names.push(quoted(&column.name));
                (fills, shows) = (true, true);
            }
            Some(known) if known.kind != column.kind.word() => {
                sql += &column.drop();
                sql += &column.add(dialect);
                sql += &column.tell_again(dialect);
                (fills, shows, retypes) = (true, true, true);
            }
            Some(known) if known.source.as_deref() != Some(&column.source()) => {
                sql += &column.tell_again(dialect);
                fills = true;
            }
            Some(_) => {}
        }
    }
    for known in known.iter().filter(|known| known.source.is_some()) {
        if columns.source(&known.name).is_none() {
            sql += &left(dialect, &known.name);
        }
    }
    if sql.is_empty() && !shows {
        return None;
    }
    if retypes {
        sql = format!("{}{sql}", views::drop_with_columns(dialect));
    }
    if shows {
        sql += &views(dialect, &names);
    }
    if retypes {
        sql += views::same_readers(dialect);
    }
    if fills {
        sql += FILL;
    }
    Some(sql)
}

/// Tells that a column left the mapping.
fn left(dialect: Dialect, name: &str) -> String {
    let name = dialect.literal(name);
    format!("UPDATE goldwire_columns SET source = NULL WHERE name = {name};\n")
}

/// The columns as SQL, for a person who makes them by hand: for tables without any.
pub(in super::super) fn schema_text(dialect: Dialect, columns: &Columns) -> Option<String> {
    change(dialect, &[], columns, true)
}

impl Column {
    /// Adds it to the tables.
    fn add(&self, dialect: Dialect) -> String {
        let (name, kind) = (quoted(&self.name), self.kind.sql(dialect));
        TABLES
            .map(|table| format!("ALTER TABLE {table} ADD COLUMN {name} {kind};\n"))
            .concat()
    }

    fn drop(&self) -> String {
        let name = quoted(&self.name);
        TABLES
            .map(|table| format!("ALTER TABLE {table} DROP COLUMN {name};\n"))
            .concat()
    }

    /// Tells of it, as the last one.
    fn tell(&self, dialect: Dialect) -> String {
        format!(
            "INSERT INTO goldwire_columns (name, position, type, source)
 SELECT {}, coalesce(max(position), 0) + 1, '{}', {} FROM goldwire_columns;\n",
            dialect.literal(&self.name),
            self.kind.word(),
            dialect.literal(&self.source()),
        )
    }

    fn tell_again(&self, dialect: Dialect) -> String {
        format!(
            "UPDATE goldwire_columns SET type = '{}', source = {} WHERE name = {};\n",
            self.kind.word(),
            dialect.literal(&self.source()),
            dialect.literal(&self.name),
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn columns(config: serde_json::Value) -> Columns {
        Columns::new(&serde_json::from_value(config).unwrap())
    }

    fn known(name: &str, kind: &str, source: Option<&str>) -> Known {
        Known {
            name: name.to_owned(),
            kind: kind.to_owned(),
            source: source.map(ToOwned::to_owned),
        }
    }

    fn changed(known: &[Known], config: serde_json::Value) -> Option<String> {
        change(Dialect::Postgres, known, &columns(config), true)
    }

    #[test]
    fn tables_that_have_the_mapping_are_left_alone() {
        assert_eq!(changed(&[], json!({})), None);
        let email = known("email", "text", Some("Email.Email"));
        let gone = known("old", "date", None);
        let known = [email, gone];
        let wanted = json!({"email": "Email.Email"});
        assert_eq!(changed(&known, wanted.clone()), None);
        // The views were dropped.
        let shown = change(Dialect::Sqlite, &known, &columns(wanted), false).unwrap();
        assert!(
            shown.contains("h.\"old\"") && !shown.contains(FILL),
            "{shown}"
        );
    }

    #[test]
    fn a_column_that_is_new_comes_back_or_changed_is_filled_and_one_that_left_is_not() {
        let email = [known("email", "text", Some("Email.Email"))];
        let added = changed(&[], json!({"order": "It's"})).unwrap();
        assert!(added.contains(r#"ALTER TABLE relations ADD COLUMN "order" text;"#));
        assert!(
            added.contains("E'It''s'") && added.contains(FILL),
            "{added}"
        );
        let other = changed(&email, json!({"email": "Mail"})).unwrap();
        assert!(!other.contains("VIEW") && other.contains(FILL), "{other}");
        let retyped = json!({"email": {"attribute": "Email.Email", "type": "date"}});
        let retyped = changed(&email, retyped).unwrap();
        let (before, after) = retyped.split_once("DROP COLUMN").unwrap();
        assert!(before.contains("DROP VIEW") && after.contains("CREATE OR REPLACE VIEW"));
        let back = changed(
            &[known("email", "text", None)],
            json!({"email": "Email.Email"}),
        );
        assert!(back.unwrap().contains(FILL));
        let left = changed(&email, json!({})).unwrap();
        assert!(
            left.contains("source = NULL") && !left.contains(FILL),
            "{left}"
        );
    }
}
