//! The two kinds of SQL, and how the rows of a batch reach a statement in each.
//!
//! Everything else is one text for both: rows come in as a common table expression `incoming`. In
//! SQLite they are bound, some dozens at a time. In PostgreSQL they are read from the staging table,
//! or, where they are few, come as one array for each column.

use std::borrow::Cow;
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
}

/// A cell on its way in or out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Text(Option<Cow<'a, str>>),
    Int(Option<i64>),
    Flag(bool),
}

impl<'a> Cell<'a> {
    /// A text that is there.
    pub(super) fn of(text: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(text)))
    }

    /// A text that may be there.
    pub(super) fn maybe(text: Option<&'a Cow<'_, str>>) -> Self {
        Self::Text(text.map(|text| Cow::Borrowed(text.as_ref())))
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => text.as_deref(),
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

/// A row of [`Cell`]s.
pub(super) type Row<'a> = Vec<Cell<'a>>;

/// The name of a column, as SQL has it.
pub(super) type Name = Cow<'static, str>;

/// Columns whose names are no configuration's.
pub(super) fn fixed(columns: &[(&'static str, Type)]) -> Vec<(Name, Type)> {
    let columns = columns.iter();
    columns
        .map(|(name, kind)| (Cow::Borrowed(*name), *kind))
        .collect()
}

/// A statement over many rows at once.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) columns: Vec<(Name, Type)>,
    /// Types of the columns that come back; empty if none do.
    pub(super) returns: &'static [Type],
    pub(super) texts: Texts,
}

/// The texts of a statement.
#[derive(Debug)]
pub(super) enum Texts {
    /// For so many bound rows, largest first.
    Pieces(Vec<(usize, Arc<str>)>),
    /// For any number of rows, as arrays.
    Arrays(Arc<str>),
    /// For the rows of the staging table.
    Staged(Arc<str>),
}

impl Statement {
    /// A statement over rows that are bound. `body` follows `WITH incoming(…) AS (…)`.
    pub(super) fn bound(
        dialect: Dialect,
        columns: Vec<(Name, Type)>,
        returns: &'static [Type],
        body: &str,
    ) -> Self {
        let texts = match dialect {
            Dialect::Sqlite => Texts::Pieces(pieces(&columns, body)),
            Dialect::Postgres => Texts::Arrays(with(&columns, &arrays(&columns), body)),
        };
        Self {
            columns,
            returns,
            texts,
        }
    }

    /// The same, but PostgreSQL reads the rows from its staging table, as `staged` tells.
    pub(super) fn staged(
        dialect: Dialect,
        columns: Vec<(Name, Type)>,
        returns: &'static [Type],
        staged: &str,
        body: &str,
    ) -> Self {
        let texts = match dialect {
            Dialect::Sqlite => Texts::Pieces(pieces(&columns, body)),
            Dialect::Postgres => Texts::Staged(with(&columns, staged, body)),
        };
        Self {
            columns,
            returns,
            texts,
        }
    }
}

fn with(columns: &[(Name, Type)], source: &str, body: &str) -> Arc<str> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_ref()).collect();
    format!("WITH incoming({}) AS ({source}){body}", names.join(", ")).into()
}

fn pieces(columns: &[(Name, Type)], body: &str) -> Vec<(usize, Arc<str>)> {
    let row = format!("({})", vec!["?"; columns.len()].join(","));
    let piece = |rows| {
        let source = format!("VALUES {}", vec![row.as_str(); rows].join(","));
        (rows, with(columns, &source, body))
    };
    PIECES.map(piece).to_vec()
}

impl Dialect {
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

    /// How a table of large rows that are changed again and again is kept: PostgreSQL leaves room
    /// for the next state of a row beside it, and needs no new entry in the index then.
    pub(super) fn changing(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " WITH (fillfactor = 70)",
        }
    }

    /// Text as a literal, in PostgreSQL whatever `standard_conforming_strings` is.
    pub(super) fn literal(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        match self {
            Self::Sqlite => format!("'{text}'"),
            Self::Postgres => format!("E'{}'", text.replace('\\', "\\\\")),
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
}

/// One array for each column: the statement's text is the same for any number of rows.
fn arrays(columns: &[(Name, Type)]) -> String {
    let array = |(index, (_, kind)): (usize, &(Name, Type))| {
        let array = match kind {
            Type::Text => "text",
            Type::Int => "bigint",
            Type::Flag => "boolean",
        };
        format!("${}::{array}[]", index + 1)
    };
    let arrays: Vec<String> = columns.iter().enumerate().map(array).collect();
    format!("SELECT * FROM unnest({})", arrays.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [(&str, Type); 2] = [("a", Type::Text), ("b", Type::Int)];
    const BODY: &str = " SELECT a, b FROM incoming";

    fn bound(dialect: Dialect) -> Texts {
        Statement::bound(dialect, fixed(&COLUMNS), &[], BODY).texts
    }

    #[test]
    fn rows_are_written_out_for_sqlite() {
        let Texts::Pieces(pieces) = bound(Dialect::Sqlite) else {
            panic!("not pieces");
        };
        let sizes: Vec<usize> = pieces.iter().map(|(rows, _)| *rows).collect();
        assert_eq!(sizes, PIECES);
        assert_eq!(
            &*pieces[2].1,
            "WITH incoming(a, b) AS (VALUES (?,?)) SELECT a, b FROM incoming"
        );
    }

    #[test]
    fn rows_are_arrays_or_staged_for_postgres() {
        let Texts::Arrays(text) = bound(Dialect::Postgres) else {
            panic!("not arrays");
        };
        assert_eq!(
            &*text,
            "WITH incoming(a, b) AS (SELECT * FROM unnest($1::text[], $2::bigint[])) \
             SELECT a, b FROM incoming"
        );
        let staged = "SELECT x, y FROM s";
        let staged = Statement::staged(Dialect::Postgres, fixed(&COLUMNS), &[], staged, BODY).texts;
        let Texts::Staged(text) = staged else {
            panic!("not staged");
        };
        assert_eq!(
            &*text,
            "WITH incoming(a, b) AS (SELECT x, y FROM s) SELECT a, b FROM incoming"
        );
    }
}
