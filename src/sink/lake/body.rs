//! The bytes of a file, as rows come.
//!
//! Guarantee: what was added is in the file in the order in which it came. A file without rows is one
//! that every reader takes, and holds nothing.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression as GzipLevel;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{
    BoolType, ByteArrayType, FixedLenByteArray, FixedLenByteArrayType, Int32Type, Int64Type,
};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::columns::{Column, DISTINCT, Rows, schema_text};
use super::config::Format;
use super::values;
use crate::sink::columns::Columns;
use crate::sink::line::{self, no_json};
use crate::sink::row::Row;
use crate::sink::{SinkError, Write};

/// Why a file could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the Parquet file cannot be written: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the file cannot be compressed: {0}")]
    Gzip(#[from] io::Error),
}

/// A file that is being made.
pub(super) enum Body {
    /// Rows that wait, and the row groups before them.
    Parquet(Rows, Box<SerializedFileWriter<Vec<u8>>>),
    /// Lines that wait, and those before them.
    Ndjson(Vec<u8>, GzEncoder<Vec<u8>>),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl Body {
    /// An empty one, with the columns of the mapping.
    ///
    /// # Errors
    /// Never, as far as is known: the schema follows from names that were checked.
    pub(super) fn new(format: Format, columns: &Columns) -> Result<Self, BodyError> {
        Ok(match format {
            Format::Parquet => {
                let schema = schema(columns)?;
                let writer = SerializedFileWriter::new(Vec::new(), schema, properties())?;
                Self::Parquet(Rows::default(), Box::new(writer))
            }
            Format::Ndjson => {
                let encoder = GzEncoder::new(Vec::new(), GzipLevel::fast());
                Self::Ndjson(Vec::new(), encoder)
            }
        })
    }

    /// Adds the rows of a write: how many.
    ///
    /// # Errors
    /// Rejected if a change is no JSON; none of the write's rows is there then.
    pub(super) fn add(&mut self, write: &Write, columns: &Columns) -> Result<usize, SinkError> {
        match self {
            Self::Parquet(waiting, _) => {
                let rows = write.changes.iter().map(|change| Row::of(write, change));
                let rows: Vec<_> = rows.collect::<Option<_>>().ok_or_else(no_json)?;
                for (row, change) in rows.iter().zip(&write.changes) {
                    let values = values::read(columns, change, &row.head.object_type);
                    waiting.push(row, columns, &values);
                }
            }
            Self::Ndjson(lines, _) => line::add_with(lines, write, |lines, change, row| {
                let values = values::read(columns, change, &row.head.object_type);
                values::add_members(lines, columns, &values).map_err(|_| no_json())
            })?,
        }
        Ok(write.changes.len())
    }

    /// What waits to be compressed, in bytes.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Parquet(rows, _) => rows.bytes(),
            Self::Ndjson(lines, _) => lines.len(),
        }
    }

    /// What was compressed, in bytes.
    pub(super) fn packed(&self) -> usize {
        match self {
            Self::Parquet(_, writer) => writer.bytes_written(),
            Self::Ndjson(_, encoder) => encoder.get_ref().len(),
        }
    }

    /// Compresses what waits. Takes a processor for a while.
    ///
    /// # Errors
    /// If the file cannot be made; it is of no use any more then.
    pub(super) fn pack(&mut self) -> Result<(), BodyError> {
        match self {
            Self::Parquet(rows, writer) => {
                let rows = std::mem::take(rows);
                if !rows.is_empty() {
                    row_group(writer, rows)?;
                }
            }
            Self::Ndjson(lines, encoder) => {
                encoder.write_all(lines)?;
                lines.clear();
            }
        }
        Ok(())
    }

    /// The whole file. Takes a processor for a while.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub(super) fn finish(mut self) -> Result<Bytes, BodyError> {
        self.pack()?;
        let file = match self {
            Self::Parquet(_, writer) => writer.into_inner()?,
            Self::Ndjson(_, encoder) => encoder.finish()?,
        };
        Ok(file.into())
    }
}

/// Whether a file of this format holds no row. One that cannot be read holds something.
pub(super) fn is_empty(format: Format, file: Bytes) -> bool {
    match format {
        Format::Parquet => SerializedFileReader::new(file)
            .is_ok_and(|reader| reader.metadata().file_metadata().num_rows() == 0),
        Format::Ndjson => {
            let mut first = [0; 1];
            matches!(MultiGzDecoder::new(file.as_ref()).read(&mut first), Ok(0))
        }
    }
}

/// The schema of a file: a row's own columns, then those of the mapping.
pub(super) fn schema(columns: &Columns) -> Result<TypePtr, ParquetError> {
    Ok(Arc::new(parse_message_type(&schema_text(columns))?))
}

/// How a file is written.
pub(super) fn properties() -> WriterPropertiesPtr {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("goldwire ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in DISTINCT {
        let path = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    Arc::new(properties.build())
}

fn row_group(writer: &mut SerializedFileWriter<Vec<u8>>, rows: Rows) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in rows.into_columns() {
        let Some(mut to) = group.next_column()? else {
            break;
        };
        write_column(&mut to, column)?;
        to.close()?;
    }
    group.close()?;
    Ok(())
}

fn write_column(to: &mut SerializedColumnWriter<'_>, column: Column) -> Result<(), ParquetError> {
    match column {
        Column::Text(texts) => {
            let texts = texts.split();
            to.typed::<ByteArrayType>()
                .write_batch(&texts, None, None)?;
        }
        Column::Maybe(texts, levels) => {
            let (to, texts) = (to.typed::<ByteArrayType>(), texts.split());
            to.write_batch(&texts, Some(&levels), None)?;
        }
        Column::Number(numbers) => {
            to.typed::<Int64Type>().write_batch(&numbers, None, None)?;
        }
        Column::Flag(flags) => {
            to.typed::<BoolType>().write_batch(&flags, None, None)?;
        }
        Column::MaybeNumber(numbers, levels) => {
            let to = to.typed::<Int64Type>();
            to.write_batch(&numbers, Some(&levels), None)?;
        }
        Column::MaybeFlag(flags, levels) => {
            let to = to.typed::<BoolType>();
            to.write_batch(&flags, Some(&levels), None)?;
        }
        Column::Day(days, levels) => {
            let to = to.typed::<Int32Type>();
            to.write_batch(&days, Some(&levels), None)?;
        }
        Column::Decimal(numbers, levels) => {
            let bytes = numbers.split().into_iter();
            let bytes: Vec<FixedLenByteArray> = bytes.map(Into::into).collect();
            let to = to.typed::<FixedLenByteArrayType>();
            to.write_batch(&bytes, Some(&levels), None)?;
        }
    }
    Ok(())
}
