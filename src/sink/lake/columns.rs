//! The columns of a Parquet file, and rows that wait to be written to one. Pure.
//!
//! Guarantee: a row has the same columns in every file; those of the mapping come after these.

use bytes::Bytes;
use parquet::data_type::ByteArray;

use super::values::{self, DIGITS, SCALE};
use crate::sink::columns::{ColumnType, Columns};
use crate::sink::row::Row;

/// A row's own columns, as Parquet writes a schema down. Times are in ms since 1970, UTC.
const SCHEMA: &str = "
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
";

/// The columns of a file, as Parquet writes a schema down: those of the mapping may be null.
pub(super) fn schema_text(columns: &Columns) -> String {
    let more = columns.0.iter().map(|column| {
        let name = &column.name;
        match column.kind {
            ColumnType::Text => format!("  optional binary {name} (STRING);\n"),
            ColumnType::Integer => format!("  optional int64 {name};\n"),
            ColumnType::Decimal => {
                format!(
                    "  optional fixed_len_byte_array(16) {name} (DECIMAL({DIGITS}, {SCALE}));\n"
                )
            }
            ColumnType::Boolean => format!("  optional boolean {name};\n"),
            ColumnType::Date => format!("  optional int32 {name} (DATE);\n"),
            ColumnType::Timestamp => {
                format!("  optional int64 {name} (TIMESTAMP(MILLIS, true));\n")
            }
        }
    });
    let more: String = more.collect();
    format!("message goldwire {{\n{SCHEMA}{more}}}")
}

/// Columns whose values hardly ever repeat.
pub(super) const DISTINCT: [&str; 3] = ["id", "object_exact", "object"];

/// One value of a row.
#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    Text(&'a str),
    Maybe(Option<&'a str>),
    Number(i64),
    Flag(bool),
    MaybeNumber(Option<i64>),
    MaybeFlag(Option<bool>),
    Day(Option<i32>),
    Decimal(Option<i128>),
}

impl<'a> Cell<'a> {
    /// A value of the mapping, as a column of `kind` holds it.
    fn of(kind: ColumnType, text: Option<&'a str>) -> Self {
        match kind {
            ColumnType::Text => Self::Maybe(text),
            ColumnType::Integer => Self::MaybeNumber(text.and_then(|it| it.parse().ok())),
            ColumnType::Decimal => Self::Decimal(text.and_then(values::unscaled)),
            ColumnType::Boolean => Self::MaybeFlag(text.map(values::truth)),
            ColumnType::Date => Self::Day(text.and_then(values::day)),
            ColumnType::Timestamp => Self::MaybeNumber(text.and_then(values::millis)),
        }
    }
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
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
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
    /// Whole numbers and times, and whether each row has one.
    MaybeNumber(Vec<i64>, Vec<i16>),
    /// Booleans, and whether each row has one.
    MaybeFlag(Vec<bool>, Vec<i16>),
    /// Days since 1970, and whether each row has one.
    Day(Vec<i32>, Vec<i16>),
    /// Numbers without their point, 16 bytes each, and whether each row has one.
    Decimal(Texts, Vec<i16>),
}

impl Column {
    fn of(cell: &Cell<'_>) -> Self {
        match cell {
            Cell::Text(_) => Self::Text(Texts::default()),
            Cell::Maybe(_) => Self::Maybe(Texts::default(), Vec::new()),
            Cell::Number(_) => Self::Number(Vec::new()),
            Cell::Flag(_) => Self::Flag(Vec::new()),
            Cell::MaybeNumber(_) => Self::MaybeNumber(Vec::new(), Vec::new()),
            Cell::MaybeFlag(_) => Self::MaybeFlag(Vec::new(), Vec::new()),
            Cell::Day(_) => Self::Day(Vec::new(), Vec::new()),
            Cell::Decimal(_) => Self::Decimal(Texts::default(), Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (self, cell) {
            (Self::Text(texts), Cell::Text(text)) => texts.push(text.as_bytes()),
            (Self::Maybe(texts, levels), Cell::Maybe(text)) => {
                levels.push(i16::from(text.is_some()));
                if let Some(text) = text {
                    texts.push(text.as_bytes());
                }
            }
            (Self::MaybeNumber(numbers, levels), Cell::MaybeNumber(number)) => {
                levels.push(i16::from(number.is_some()));
                numbers.extend(number);
            }
            (Self::MaybeFlag(flags, levels), Cell::MaybeFlag(flag)) => {
                levels.push(i16::from(flag.is_some()));
                flags.extend(flag);
            }
            (Self::Day(days, levels), Cell::Day(day)) => {
                levels.push(i16::from(day.is_some()));
                days.extend(day);
            }
            (Self::Decimal(numbers, levels), Cell::Decimal(number)) => {
                levels.push(i16::from(number.is_some()));
                if let Some(number) = number {
                    numbers.push(&number.to_be_bytes());
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
            Self::Maybe(texts, levels) | Self::Decimal(texts, levels) => {
                texts.bytes.len() + texts.ends.len() * size_of::<usize>() + levels.len() * 2
            }
            Self::Number(numbers) => numbers.len() * 8,
            Self::Flag(flags) => flags.len(),
            Self::MaybeNumber(numbers, levels) => numbers.len() * 8 + levels.len() * 2,
            Self::MaybeFlag(flags, levels) => flags.len() + levels.len() * 2,
            Self::Day(days, levels) => days.len() * 4 + levels.len() * 2,
        }
    }
}

/// Rows that wait, by column.
#[derive(Debug, Default)]
pub(super) struct Rows {
    columns: Vec<Column>,
    rows: usize,
}

impl Rows {
    /// Adds a row, with its values of the mapping.
    pub(super) fn push(&mut self, row: &Row<'_>, mapping: &Columns, values: &[Option<String>]) {
        let of_mapping = mapping.0.iter().zip(values);
        let of_mapping = of_mapping.map(|(column, value)| Cell::of(column.kind, value.as_deref()));
        let cells = cells(row).into_iter().chain(of_mapping);
        if self.columns.is_empty() {
            self.columns
                .extend(cells.clone().map(|cell| Column::of(&cell)));
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

    /// The columns, in the order of [`schema_text`].
    pub(super) fn into_columns(self) -> Vec<Column> {
        self.columns
    }
}
