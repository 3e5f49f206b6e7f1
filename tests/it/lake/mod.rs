//! The lake sink: what its files hold, and that a row is in one of them.

mod columns;
mod erasure;
mod killed;
mod pieces;
mod s3;
mod snowpipe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

/// A row of a file, by column.
type Row = BTreeMap<String, Field>;

/// The files below a directory, in the order of their names.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path
            .extension()
            .is_some_and(|end| end == "parquet" || end == "gz")
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The rows of a Parquet file.
fn rows(path: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    let rows = rows.map(|row| {
        let columns = row.unwrap().into_columns();
        columns.into_iter().collect::<Row>()
    });
    rows.collect()
}

fn text(row: &Row, column: &str) -> String {
    let field = &row[column];
    let Field::Str(text) = field else {
        panic!("{column} is {field:?}");
    };
    text.clone()
}

fn number(row: &Row, column: &str) -> i64 {
    let field = &row[column];
    let (Field::Long(number) | Field::TimestampMillis(number)) = field else {
        panic!("{column} is {field:?}");
    };
    *number
}
