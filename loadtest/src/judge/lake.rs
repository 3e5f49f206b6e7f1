//! The lake: the rows of its Parquet files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;

use super::Comparison;
use crate::tenant::Truth;

const SINK: &str = "lake";
/// The columns that name a change, and whether it was only read.
const COLUMNS: &str = "message goldwire {
  required binary subject (STRING);
  required int64 version;
  required int64 commit_time (TIMESTAMP(MILLIS, true));
  required boolean observed;
}";

/// What names a row: version and commit time.
pub(super) type Row = (i64, i64);

/// The rows of each subject, each with whether it was only read.
pub(super) type Held = BTreeMap<String, BTreeMap<Row, Vec<bool>>>;

/// Compares the files below a directory with the truth: every change has one row, and one more at
/// most that was only read.
///
/// # Errors
/// If a file cannot be read.
pub async fn compare(dir: &Path, truth: &Truth) -> Result<Comparison, String> {
    let dir = dir.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&dir)).await;
    let held = read.map_err(|error| error.to_string())??;
    Ok(rows(SINK, held, truth))
}

/// Compares the rows of an append-only history with the truth.
pub(super) fn rows(sink: &'static str, mut held: Held, truth: &Truth) -> Comparison {
    let mut comparison = Comparison::default();
    let mut expected: BTreeMap<&str, BTreeSet<Row>> = BTreeMap::new();
    for change in &truth.changes {
        let rows = expected.entry(&change.subject).or_default();
        rows.insert((change.version, change.commit_time));
    }
    for (uri, expected) in expected {
        let rows = held.remove(uri).unwrap_or_default();
        comparison.look(sink, uri, wrong(&expected, &rows));
    }
    for uri in held.keys() {
        let what = "has rows, and was never in the tenant".to_owned();
        comparison.look(sink, uri, Some(what));
    }
    comparison
}

/// What is wrong with the rows of one subject.
fn wrong(expected: &BTreeSet<Row>, rows: &BTreeMap<Row, Vec<bool>>) -> Option<String> {
    let found: BTreeSet<Row> = rows.keys().copied().collect();
    if let Some((version, _)) = expected.difference(&found).next() {
        return Some(format!("version {version} has no row"));
    }
    if let Some((version, time)) = found.difference(expected).next() {
        return Some(format!(
            "a row has version {version} at {time}, which never happened"
        ));
    }
    let twice = rows.iter().find(|(_, copies)| {
        let read = copies.iter().filter(|observed| **observed).count();
        read > 1 || copies.len() - read > 1
    });
    twice.map(|((version, _), copies)| format!("version {version} has {} rows", copies.len()))
}

fn read(dir: &Path) -> Result<Held, String> {
    let mut held = Held::new();
    for file in files(dir).map_err(|error| format!("{}: {error}", dir.display()))? {
        add(&file, &mut held).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(held)
}

/// The Parquet files below a directory.
fn files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|ending| ending == "parquet") {
            found.push(path);
        }
    }
    Ok(found)
}

fn add(file: &Path, held: &mut Held) -> Result<(), ParquetError> {
    let reader = SerializedFileReader::new(File::open(file)?)?;
    for row in reader.get_row_iter(Some(parse_message_type(COLUMNS)?))? {
        let row = row?;
        let fields: Vec<&Field> = row.get_column_iter().map(|(_, field)| field).collect();
        let [
            Field::Str(subject),
            Field::Long(version),
            Field::TimestampMillis(time),
            Field::Bool(observed),
        ] = fields.as_slice()
        else {
            return Err(ParquetError::General("other columns".to_owned()));
        };
        let rows = held.entry(subject.clone()).or_default();
        rows.entry((*version, *time)).or_default().push(*observed);
    }
    Ok(())
}
