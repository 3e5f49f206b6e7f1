//! A file without the rows of erased subjects. Pure.
//!
//! Guarantee: every other row is there, in its order, with what it held, in the columns that the file
//! has: those of attributes may be of an older mapping. The row that tells of the erasure stays.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{
    BoolType, ByteArrayType, DataType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96Type,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use serde::{Deserialize, Serialize};

use super::body::{BodyError, properties};
use super::config::Format;
use crate::event::SubjectState;
use crate::sink::Write;
use crate::time::Millis;

/// What says whether a row is concerned, as Parquet writes a schema down.
const HEADS: &str = "message goldwire {
  required binary tenant (STRING);
  required binary subject (STRING);
  required int64 commit_time (TIMESTAMP(MILLIS, true));
  required binary state (STRING);
}";

/// A subject that was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Erasure {
    pub(super) tenant: String,
    pub(super) subject: String,
    pub(super) commit_time: Millis,
}

/// The erasures that a write tells of.
pub(super) fn erasures(write: &Write) -> impl Iterator<Item = Erasure> {
    let erased = write.changes.iter();
    let erased = erased.filter(|change| change.state == SubjectState::Erased);
    erased.map(|change| Erasure {
        tenant: write.subject.tenant().to_owned(),
        subject: write.subject.uri().to_owned(),
        commit_time: change.commit_time,
    })
}

/// Subjects by tenant and URI, and until when what is known of them has to go.
#[derive(Debug, Default)]
pub(super) struct Erased(HashMap<(String, String), Millis>);

impl Erased {
    pub(super) fn add(&mut self, erasure: Erasure) {
        let key = (erasure.tenant, erasure.subject);
        let until = self.0.entry(key).or_insert(Millis::MIN);
        *until = erasure.commit_time.max(*until);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn concerns(&self, tenant: &str, subject: &str, state: &str, commit_time: Millis) -> bool {
        // Few are erased, and a look-up by borrowed texts would need a map of maps.
        let until = self.0.get(&(tenant.to_owned(), subject.to_owned()));
        state != SubjectState::Erased.word() && until.is_some_and(|until| commit_time <= *until)
    }
}

/// The file without the rows concerned; nothing if there are none.
///
/// # Errors
/// If it cannot be read, or is no file of a lake.
pub(super) fn without(
    format: Format,
    file: &Bytes,
    erased: &Erased,
) -> Result<Option<Bytes>, BodyError> {
    match format {
        Format::Parquet => parquet(file, erased),
        Format::Ndjson => ndjson(file, erased),
    }
}

fn parquet(file: &Bytes, erased: &Erased) -> Result<Option<Bytes>, BodyError> {
    let reader = SerializedFileReader::new(file.clone())?;
    let groups = 0..reader.num_row_groups();
    let stays = groups.map(|group| staying(&reader, group, erased));
    let stays: Vec<Vec<bool>> = stays.collect::<Result<_, _>>()?;
    if stays.iter().flatten().all(|stays| *stays) {
        return Ok(None);
    }
    let schema = reader.metadata().file_metadata().schema_descr();
    let schema = schema.root_schema_ptr();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties())?;
    for (number, stays) in stays.iter().enumerate() {
        if !stays.contains(&true) {
            continue;
        }
        let from = reader.get_row_group(number)?;
        let mut group = writer.next_row_group()?;
        for column in 0..from.num_columns() {
            let Some(mut to) = group.next_column()? else {
                break;
            };
            column_without(from.get_column_reader(column)?, &mut to, stays)?;
            to.close()?;
        }
        group.close()?;
    }
    Ok(Some(writer.into_inner()?.into()))
}

/// Which rows of a row group are not concerned.
fn staying(
    reader: &SerializedFileReader<Bytes>,
    group: usize,
    erased: &Erased,
) -> Result<Vec<bool>, ParquetError> {
    let group = reader.get_row_group(group)?;
    let records = group.get_row_iter(Some(parse_message_type(HEADS)?))?;
    let stays = records.map(|record| {
        let record = record?;
        let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
        let [tenant, subject, time, state] = fields.as_slice() else {
            return Err(other_columns());
        };
        Ok(!erased.concerns(text(tenant)?, text(subject)?, text(state)?, number(time)?))
    });
    stays.collect()
}

/// Copies the values of the rows that stay, whatever the column holds: columns of attributes are those of
/// the mapping that the file was made with.
fn column_without(
    from: ColumnReader,
    to: &mut SerializedColumnWriter<'_>,
    stays: &[bool],
) -> Result<(), ParquetError> {
    match from {
        ColumnReader::BoolColumnReader(from) => copy::<BoolType>(from, to, stays),
        ColumnReader::Int32ColumnReader(from) => copy::<Int32Type>(from, to, stays),
        ColumnReader::Int64ColumnReader(from) => copy::<Int64Type>(from, to, stays),
        ColumnReader::Int96ColumnReader(from) => copy::<Int96Type>(from, to, stays),
        ColumnReader::FloatColumnReader(from) => copy::<FloatType>(from, to, stays),
        ColumnReader::DoubleColumnReader(from) => copy::<DoubleType>(from, to, stays),
        ColumnReader::ByteArrayColumnReader(from) => copy::<ByteArrayType>(from, to, stays),
        ColumnReader::FixedLenByteArrayColumnReader(from) => {
            copy::<FixedLenByteArrayType>(from, to, stays)
        }
    }
}

fn copy<T: DataType>(
    mut from: ColumnReaderImpl<T>,
    to: &mut SerializedColumnWriter<'_>,
    stays: &[bool],
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut rows = 0;
    while rows < stays.len() {
        let left = stays.len() - rows;
        let (read, ..) = from.read_records(left, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            return Err(other_columns());
        }
        rows += read;
    }
    if levels.is_empty() {
        // A value in every row.
        let mut stays = stays.iter();
        values.retain(|_| stays.next() == Some(&true));
        to.typed::<T>().write_batch(&values, None, None)?;
    } else {
        let mut of_values = levels.iter().zip(stays).filter(|(level, _)| **level > 0);
        values.retain(|_| of_values.next().is_some_and(|(_, stays)| *stays));
        let mut of_rows = stays.iter();
        levels.retain(|_| of_rows.next() == Some(&true));
        to.typed::<T>().write_batch(&values, Some(&levels), None)?;
    }
    Ok(())
}

fn other_columns() -> ParquetError {
    ParquetError::General("the file has not the columns of a lake's file".to_owned())
}

fn text(field: &Field) -> Result<&str, ParquetError> {
    if let Field::Str(text) = field {
        Ok(text)
    } else {
        Err(other_columns())
    }
}

fn number(field: &Field) -> Result<i64, ParquetError> {
    if let Field::Long(number) | Field::TimestampMillis(number) = field {
        Ok(*number)
    } else {
        Err(other_columns())
    }
}

/// What says whether a line is concerned.
#[derive(Debug, Deserialize)]
struct LineHead<'a> {
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    commit_time: Millis,
}

fn ndjson(file: &Bytes, erased: &Erased) -> Result<Option<Bytes>, BodyError> {
    let mut lines = Vec::new();
    MultiGzDecoder::new(file.as_ref()).read_to_end(&mut lines)?;
    let stays = |line: &&[u8]| {
        let head: Result<LineHead<'_>, _> = serde_json::from_slice(line);
        !head.is_ok_and(|it| erased.concerns(&it.tenant, &it.subject, &it.state, it.commit_time))
    };
    let all = lines.split_inclusive(|byte| *byte == b'\n');
    let kept: Vec<&[u8]> = all.clone().filter(stays).collect();
    if kept.len() == all.count() {
        return Ok(None);
    }
    let mut body = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for line in kept {
        body.write_all(line)?;
    }
    Ok(Some(body.finish()?.into()))
}
