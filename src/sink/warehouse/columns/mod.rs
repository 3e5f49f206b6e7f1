//! Columns of attributes in the tables, as SQL.
//!
//! Guarantee: what [`Columns`] makes of a snapshot is what the column takes.

mod fill;
mod mapping;

use std::borrow::Cow;

pub(super) use mapping::{is_settled, schema_text, settle};

use super::dialect::{Dialect, Name, Type};
use crate::sink::columns::{Column, ColumnType, Columns};

impl Columns {
    /// The columns of a statement's rows: names as SQL has them, values as text.
    pub(super) fn of_rows(&self) -> impl Iterator<Item = (Name, Type)> {
        self.names().map(|name| (Cow::Owned(name), Type::Text))
    }

    /// The names as SQL has them.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|column| quoted(&column.name))
    }

    /// The columns of the staging table, made what the tables' columns are.
    pub(super) fn staged(&self) -> impl Iterator<Item = String> {
        let columns = self.0.iter().zip(0..);
        columns.map(|(column, n)| column.cast(Dialect::Postgres, &staged(n)))
    }
}

impl Column {
    /// `text`, an expression that is a text, as what the column holds. SQLite makes a value what its
    /// column wants by itself.
    fn cast(&self, dialect: Dialect, text: &str) -> String {
        match dialect {
            Dialect::Sqlite => text.to_owned(),
            Dialect::Postgres => format!("CAST({text} AS {})", self.kind.sql(dialect)),
        }
    }
}

impl ColumnType {
    fn sql(self, dialect: Dialect) -> &'static str {
        match (self, dialect) {
            (Self::Text, _) | (Self::Date | Self::Timestamp, Dialect::Sqlite) => "text",
            (Self::Integer, _) => "bigint",
            (Self::Decimal, _) => "numeric",
            (Self::Boolean, _) => "boolean",
            (Self::Date, Dialect::Postgres) => "date",
            (Self::Timestamp, Dialect::Postgres) => "timestamptz",
        }
    }
}

/// A name as SQL has it, whatever word it is.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The name of a column of the staging table, which has names of its own.
pub(super) fn staged(n: usize) -> String {
    format!("c{n}")
}
