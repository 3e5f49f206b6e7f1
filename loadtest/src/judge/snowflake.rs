//! Snowflake: the rows of its table.

use serde_json::Value;

use super::{Comparison, lake};
use crate::fake_snowflake::SnowflakeRow;
use crate::tenant::Truth;

const SINK: &str = "snowflake";

/// Compares the rows of the table with the truth: every change has one row, and one more at most that
/// was only read.
pub fn compare(rows: &[SnowflakeRow], truth: &Truth) -> Comparison {
    let mut held = lake::Held::new();
    for row in rows {
        let number = |column: &str| row.get(column).and_then(Value::as_i64).unwrap_or_default();
        let subject = row.get("subject").and_then(Value::as_str);
        let observed = row.get("observed").and_then(Value::as_bool);
        let key = (number("version"), number("commit_time"));
        let of = held.entry(subject.unwrap_or_default().to_owned());
        let copies: &mut Vec<bool> = of.or_default().entry(key).or_default();
        copies.push(observed.unwrap_or_default());
    }
    lake::rows(SINK, held, truth)
}
