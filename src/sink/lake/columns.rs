//! The columns of a Parquet file, and rows that wait to be written to one. Pure.
//!
//! Guarantee: a row has the same columns in every file. New ones come after these.

use bytes::Bytes;
use parquet::data_type::ByteArray;

use crate::sink::row::Row;

/// The columns, as Parquet writes a schema down. Times are in ms since 1970, UTC.
pub(super) const SCHEMA: &str = "message goldwire {
  required binary id (STRING);
  required binary tenant (STRING);
  required binary subject (STRING);
  required binary object_type (STRING);
  required binary kind (STRING);
  required int64 version;
  required int64 commit_time (TIMESTAMP(MILLIS, true));
  required int64 received_time (TIMESTAMP(MILLIS, true));
  required boolean observed;
  required binary state (STRING);
  optional binary absorbed_by (STRING);
  optional binary object_exact (STRING);
  optional binary object (STRING);
}";

/// Columns whose values hardly ever repeat.
pub(super) const DISTINCT: [&str; 3] = ["id", "object_exact", "object"];

/// One value of a row.
#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    Text(&'a str),
    Maybe(Option<&'a str>),
    Number(i64),
    Flag(bool),
}

/// The values of a row, in the order of [`SCHEMA`].
fn cells<'a>(row: &'a Row<'_>) -> [Cell<'a>; 13] {
    let head = &row.head;
    [
        Cell::Text(head.id),
        Cell::Text(head.tenant),
        Cell::Text(head.subject),
        Cell::Text(&head.object_type),
        Cell::Text(head.kind),
        Cell::Number(head.version),
        Cell::Number(head.commit_time),
        Cell::Number(head.received_time),
        Cell::Flag(head.observed),
        Cell::Text(head.state),
        Cell::Maybe(head.absorbed_by),
        Cell::Maybe(head.object_exact),
        Cell::Maybe(row.object.as_deref()),
    ]
}

/// Texts one after the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(self.bytes.len());
    }

    /// Each by itself, without a copy.
    pub(super) fn split(self) -> Vec<ByteArray> {
        let all = Bytes::from(self.bytes);
        let mut start = 0;
        let each = self.ends.into_iter().map(|end| {
            let one = all.slice(start..end);
            start = end;
            ByteArray::from(one)
        });
        each.collect()
    }
}

/// The values of one column.
#[derive(Debug)]
pub(super) enum Column {
    /// A text in every row.
    Text(Texts),
    /// A text, and whether each row has one: its definition level.
    Maybe(Texts, Vec<i16>),
    /// Whole numbers and times.
    Number(Vec<i64>),
    /// Booleans.
    Flag(Vec<bool>),
}

impl Column {
    fn of(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Text(_) => Self::Text(Texts::default()),
            Cell::Maybe(_) => Self::Maybe(Texts::default(), Vec::new()),
            Cell::Number(_) => Self::Number(Vec::new()),
            Cell::Flag(_) => Self::Flag(Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Text(texts), Cell::Text(text)) => texts.push(text),
            (Self::Maybe(texts, levels), Cell::Maybe(text)) => {
                levels.push(i16::from(text.is_some()));
                if let Some(text) = text {
                    texts.push(text);
                }
            }
            (Self::Number(numbers), Cell::Number(number)) => numbers.push(number),
            (Self::Flag(flags), Cell::Flag(flag)) => flags.push(flag),
            // Every row has its cells in the same order.
            _ => {}
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Text(texts) => texts.bytes.len() + texts.ends.len() * size_of::<usize>(),
            Self::Maybe(texts, levels) => {
                texts.bytes.len() + texts.ends.len() * size_of::<usize>() + levels.len() * 2
            }
            Self::Number(numbers) => numbers.len() * 8,
            Self::Flag(flags) => flags.len(),
        }
    }
}

/// Rows that wait, by column.
#[derive(Debug, Default)]
pub(super) struct Columns {
    columns: Vec<Column>,
    rows: usize,
}

impl Columns {
    /// Adds a row.
    pub(super) fn push(&mut self, row: &Row<'_>) {
        let cells = cells(row);
        if self.columns.is_empty() {
            self.columns.extend(cells.iter().map(Column::of));
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.rows += 1;
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What they take in memory.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }

    /// The columns, in the order of [`SCHEMA`].
    pub(super) fn into_columns(self) -> Vec<Column> {
        self.columns
    }
}
