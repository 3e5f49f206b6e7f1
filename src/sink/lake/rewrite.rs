//! A file without the rows of erased subjects. Pure.
//!
//! Guarantee: every other row is there, in its order, with what it held. The row that tells of the
//! erasure stays.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row as Record};
use parquet::schema::parser::parse_message_type;
use serde::{Deserialize, Serialize};

use super::body::{Body, BodyError};
use super::config::Format;
use crate::event::SubjectState;
use crate::sink::Write;
use crate::sink::row::{Head, Row};
use crate::time::Millis;

/// Rows wait for their row group up to so many bytes.
const GROUP: usize = 8 << 20;
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
/// If it cannot be read, or was made by another version with other columns.
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
    let mut any = false;
    for record in reader.get_row_iter(Some(parse_message_type(HEADS)?))? {
        let record = record?;
        let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
        if let [tenant, subject, time, state] = fields.as_slice() {
            any |= erased.concerns(text(tenant)?, text(subject)?, text(state)?, number(time)?);
        }
    }
    if !any {
        return Ok(None);
    }
    let mut body = Body::new(Format::Parquet)?;
    for record in reader.get_row_iter(None)? {
        let record = record?;
        let row = row(&record)?;
        let Head {
            tenant,
            subject,
            state,
            commit_time,
            ..
        } = row.head;
        if erased.concerns(tenant, subject, state, commit_time) {
            continue;
        }
        body.push(&row);
        if body.waiting() >= GROUP {
            body.pack()?;
        }
    }
    Ok(Some(body.finish()?))
}

/// A row as it was written.
fn row(record: &Record) -> Result<Row<'_>, ParquetError> {
    let fields: Vec<&Field> = record.get_column_iter().map(|(_, field)| field).collect();
    let [
        id,
        tenant,
        subject,
        object_type,
        kind,
        version,
        commit_time,
        received_time,
        observed,
        state,
        absorbed_by,
        object_exact,
        object,
    ] = fields.as_slice()
    else {
        return Err(other_columns());
    };
    let head = Head {
        id: text(id)?,
        tenant: text(tenant)?,
        subject: text(subject)?,
        object_type: Cow::Borrowed(text(object_type)?),
        kind: text(kind)?,
        version: number(version)?,
        commit_time: number(commit_time)?,
        received_time: number(received_time)?,
        observed: **observed == Field::Bool(true),
        state: text(state)?,
        absorbed_by: maybe(absorbed_by)?,
        object_exact: maybe(object_exact)?,
    };
    let object = maybe(object)?.map(Cow::Borrowed);
    Ok(Row { head, object })
}

fn other_columns() -> ParquetError {
    ParquetError::General("the file has other columns than this version writes".to_owned())
}

fn maybe(field: &Field) -> Result<Option<&str>, ParquetError> {
    if *field == Field::Null {
        return Ok(None);
    }
    text(field).map(Some)
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
