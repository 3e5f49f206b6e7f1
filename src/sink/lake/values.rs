//! Values of the mapping's columns, as files hold them. Pure.
//!
//! Guarantee: a value is the same in either format. What no column of its type holds is null, and
//! counted.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::event::SubjectState;
use crate::sink::Change;
use crate::sink::columns::{ColumnType, Columns};
use crate::time::Millis;

/// Digits of a decimal number: the most that Databricks, Snowflake and `DuckDB` have.
pub(super) const DIGITS: usize = 38;
/// Those behind its point: as Spark has them where nothing else is said.
pub(super) const SCALE: usize = 18;

/// What a change's object says, of the type `told` if it names none itself; in the order of the columns.
pub(super) fn read(columns: &Columns, change: &Change, told: &str) -> Vec<Option<String>> {
    let SubjectState::Alive(object) = &change.state else {
        return vec![None; columns.count()];
    };
    let mut values = columns.read(object, told);
    for (column, value) in columns.0.iter().zip(&mut values) {
        let is_decimal = column.kind == ColumnType::Decimal;
        if is_decimal && value.as_deref().is_some_and(|it| unscaled(it).is_none()) {
            *value = None;
            column.count_unfit();
        }
    }
    values
}

/// Adds the members of a line, each after a comma.
///
/// # Errors
/// Never: texts are JSON.
pub(super) fn add_members(
    line: &mut Vec<u8>,
    columns: &Columns,
    values: &[Option<String>],
) -> serde_json::Result<()> {
    for (column, value) in columns.0.iter().zip(values) {
        line.push(b',');
        serde_json::to_writer(&mut *line, &column.name)?;
        line.push(b':');
        match (column.kind, value) {
            (_, None) => line.extend_from_slice(b"null"),
            (ColumnType::Integer | ColumnType::Decimal, Some(number)) => {
                line.extend_from_slice(number.as_bytes());
            }
            (ColumnType::Boolean, Some(flag)) => serde_json::to_writer(&mut *line, &truth(flag))?,
            (ColumnType::Text | ColumnType::Date | ColumnType::Timestamp, Some(text)) => {
                serde_json::to_writer(&mut *line, text)?;
            }
        }
    }
    Ok(())
}

/// A decimal number times 10^[`SCALE`]; nothing if it has more digits than a column.
pub(super) fn unscaled(decimal: &str) -> Option<i128> {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = whole.trim_start_matches(['-', '0']);
    if fraction.len() > SCALE || digits.len() > DIGITS - SCALE {
        return None;
    }
    format!("{whole}{fraction:0<SCALE$}").parse().ok()
}

/// `1` and `0`.
pub(super) fn truth(flag: &str) -> bool {
    flag == "1"
}

/// Days since 1970.
pub(super) fn day(date: &str) -> Option<i32> {
    let date: Date = date.parse().ok()?;
    let since = date.since((jiff::Unit::Day, Date::constant(1970, 1, 1)));
    Some(since.ok()?.get_days())
}

/// ms since 1970.
pub(super) fn millis(moment: &str) -> Option<Millis> {
    let moment: Timestamp = moment.parse().ok()?;
    Some(moment.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_number_keeps_every_digit_or_is_none() {
        let one = 10_i128.pow(18);
        for (text, wanted) in [
            ("1", Some(one)),
            ("-12.50", Some(-12 * one - one / 2)),
            ("-0.000000000000000001", Some(-1)),
            ("0.5000000000000000000000", Some(one / 2)),
            (
                "99999999999999999999.999999999999999999",
                Some(10_i128.pow(38) - 1),
            ),
            ("100000000000000000000", None),
            ("0.0000000000000000001", None),
        ] {
            assert_eq!(unscaled(text), wanted, "{text}");
        }
    }

    #[test]
    fn days_and_moments_count_from_1970() {
        assert_eq!(day("1970-01-02"), Some(1));
        assert_eq!(day("1969-12-31"), Some(-1));
        assert_eq!(day("0001-01-01"), Some(-719_162));
        assert_eq!(millis("1970-01-01T00:00:01.250Z"), Some(1250));
    }
}
