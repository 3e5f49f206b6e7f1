//! The two kinds of SQL, and how many rows become one statement in each.
//!
//! Everything else is one text for both: rows come in as a common table expression `incoming`.

use std::fmt;
use std::sync::Arc;

/// SQLite is handed rows in pieces of these sizes, so that few statement texts have to be prepared.
const PIECES: [usize; 3] = [64, 8, 1];

/// Which SQL a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded: one file, one writer.
    Sqlite,
    /// PostgreSQL 12 or newer.
    Postgres,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// The type of a column of `incoming`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
    Flag,
    Json,
}

/// A cell on its way in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Text(Option<Arc<str>>),
    Int(Option<i64>),
    Flag(bool),
}

impl Cell {
    pub(super) fn text(&self) -> Option<&Arc<str>> {
        match self {
            Self::Text(text) => text.as_ref(),
            Self::Int(_) | Self::Flag(_) => None,
        }
    }

    pub(super) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => *int,
            Self::Text(_) | Self::Flag(_) => None,
        }
    }
}

/// A statement over many rows at once.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) columns: Vec<(&'static str, Type)>,
    /// Types of the columns that come back; empty if none do.
    pub(super) returns: &'static [Type],
    /// What follows `WITH incoming(…) AS (…)`.
    pub(super) body: String,
}

impl Dialect {
    /// The statement's text for `rows` rows. PostgreSQL takes any number as arrays.
    pub(super) fn text(self, statement: &Statement, rows: usize) -> String {
        let names: Vec<&str> = statement.columns.iter().map(|(name, _)| *name).collect();
        let source = match self {
            Self::Sqlite => {
                let row = format!("({})", vec!["?"; names.len()].join(","));
                format!("VALUES {}", vec![row; rows].join(","))
            }
            Self::Postgres => arrays(&statement.columns),
        };
        format!(
            "WITH incoming({}) AS ({source}){}",
            names.join(", "),
            statement.body
        )
    }

    /// How `rows` rows are cut into statements, largest piece first.
    pub(super) fn piece(self, rows: usize) -> usize {
        match self {
            Self::Sqlite => PIECES.into_iter().find(|piece| *piece <= rows).unwrap_or(1),
            Self::Postgres => rows,
        }
    }

    /// The database's own time, ms.
    pub(super) fn now(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)",
        }
    }

    /// The column type that holds JSON.
    pub(super) fn json(self) -> &'static str {
        match self {
            Self::Sqlite => "text",
            Self::Postgres => "jsonb",
        }
    }

    /// Begins a transaction that may write. SQLite takes its one lock at once, so that waiting for
    /// it happens before anything was read.
    pub(super) fn begin(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// What keeps rows that were read from being changed by another writer.
    pub(super) fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE OF g",
        }
    }
}

/// One array per column: the statement's text is the same for any number of rows.
fn arrays(columns: &[(&'static str, Type)]) -> String {
    let mut out = Vec::new();
    let mut arrays = Vec::new();
    let mut names = Vec::new();
    for (index, (_, kind)) in columns.iter().enumerate() {
        let position = index + 1;
        names.push(format!("u{position}"));
        let array = match kind {
            Type::Text | Type::Json => "text",
            Type::Int => "bigint",
            Type::Flag => "boolean",
        };
        arrays.push(format!("${position}::{array}[]"));
        out.push(match kind {
            Type::Json => format!("u{position}::jsonb"),
            Type::Text | Type::Int | Type::Flag => format!("u{position}"),
        });
    }
    format!(
        "SELECT {} FROM unnest({}) AS u({})",
        out.join(", "),
        arrays.join(", "),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement() -> Statement {
        Statement {
            columns: vec![("a", Type::Text), ("b", Type::Json)],
            returns: &[],
            body: " SELECT a, b FROM incoming".to_owned(),
        }
    }

    #[test]
    fn rows_are_written_out_for_sqlite_and_are_arrays_for_postgres() {
        assert_eq!(
            Dialect::Sqlite.text(&statement(), 2),
            "WITH incoming(a, b) AS (VALUES (?,?),(?,?)) SELECT a, b FROM incoming"
        );
        assert_eq!(
            Dialect::Postgres.text(&statement(), 2),
            "WITH incoming(a, b) AS (SELECT u1, u2::jsonb FROM unnest($1::text[], $2::text[]) \
             AS u(u1, u2)) SELECT a, b FROM incoming"
        );
    }

    #[test]
    fn pieces_add_up_to_any_number_of_rows() {
        for rows in 1..600 {
            let mut left = rows;
            while left > 0 {
                left -= Dialect::Sqlite.piece(left);
            }
            assert_eq!(Dialect::Postgres.piece(rows), rows);
        }
    }
}
