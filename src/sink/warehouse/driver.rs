//! Rows on their way to the drivers and back.

use std::borrow::Cow;
use std::pin::pin;

use futures::{Stream, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Row as _};

use super::dialect::{Cell, Row, Statement, Type};

/// Rows until they hold `most` bytes of text.
pub(super) async fn taken(
    rows: impl Stream<Item = Result<Row<'static>, sqlx::Error>>,
    most: usize,
) -> Result<Vec<Row<'static>>, sqlx::Error> {
    let mut rows = pin!(rows);
    let (mut taken, mut bytes) = (Vec::new(), 0);
    while bytes < most
        && let Some(row) = rows.try_next().await?
    {
        bytes += row
            .iter()
            .filter_map(Cell::text)
            .map(str::len)
            .sum::<usize>();
        taken.push(row);
    }
    Ok(taken)
}

pub(super) fn cells(rows: &[Row<'_>]) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for cell in rows.iter().flatten() {
        match cell {
            Cell::Text(text) => arguments.add(text.as_deref()),
            Cell::Int(int) => arguments.add(*int),
            Cell::Flag(flag) => arguments.add(*flag),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn arrays(statement: &Statement, rows: &[Row<'_>]) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for (index, (_, kind)) in statement.columns.iter().enumerate() {
        let column = || rows.iter().filter_map(|row| row.get(index));
        match kind {
            Type::Text => arguments.add(column().map(Cell::text).collect::<Vec<_>>()),
            Type::Int => arguments.add(column().map(Cell::int).collect::<Vec<_>>()),
            Type::Flag => {
                let flags: Vec<bool> = column().map(|cell| *cell == Cell::Flag(true)).collect();
                arguments.add(flags)
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(super) fn sqlite_row(row: &SqliteRow, types: &[Type]) -> Result<Row<'static>, sqlx::Error> {
    let cell = |(index, kind): (usize, &Type)| match kind {
        Type::Text => row.try_get_unchecked(index).map(text_cell),
        Type::Int => row.try_get_unchecked(index).map(Cell::Int),
        Type::Flag => row.try_get_unchecked(index).map(Cell::Flag),
    };
    types.iter().enumerate().map(cell).collect()
}

pub(super) fn postgres_row(row: &PgRow, types: &[Type]) -> Result<Row<'static>, sqlx::Error> {
    let cell = |(index, kind): (usize, &Type)| match kind {
        Type::Text => row.try_get(index).map(text_cell),
        Type::Int => row.try_get(index).map(Cell::Int),
        Type::Flag => row.try_get(index).map(Cell::Flag),
    };
    types.iter().enumerate().map(cell).collect()
}

fn text_cell(text: Option<String>) -> Cell<'static> {
    Cell::Text(text.map(Cow::Owned))
}
