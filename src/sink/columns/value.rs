//! A value of an attribute as the text that a typed column takes. Pure.
//!
//! Guarantee: what is made of a value, a database takes for the column's type as it stands, so
//! that no row fails because of a column; and it is the same whether the value comes from an event
//! or from the JSON that PostgreSQL stored, which prints numbers its own way.

use std::borrow::Cow;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::config::ColumnType;
use crate::event::moment;
use crate::time::Millis;

/// Digits of a number at most, before and after the point; what has more is no amount of anything.
const MOST_DIGITS: i32 = 1000;

/// Digits of a text that may be ms since 1970: what has fewer is a year, or a day without hyphens.
const SHORTEST_MILLIS: usize = 9;

/// `value`, a text, a number or a truth value, as a column of `kind` takes it; nothing if it does
/// not fit.
pub(super) fn typed(kind: ColumnType, value: &Value) -> Option<String> {
    match kind {
        ColumnType::Text => text(value),
        ColumnType::Integer => integer(&written(value)?),
        ColumnType::Decimal => decimal(&written(value)?),
        ColumnType::Boolean => boolean(value),
        ColumnType::Date => date(value),
        ColumnType::Timestamp => timestamp(value),
    }
}

/// Whether it is nothing but blanks, which is no value of any type but text.
pub(super) fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(plain(text).into_owned()),
        Value::Number(number) => {
            let written = number.to_string();
            Some(decimal(&written).unwrap_or(written))
        }
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Text without U+0000, which PostgreSQL does not hold.
pub(in super::super) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A number as it is written, in JSON or in a text.
fn written(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::String(text) => Some(Cow::Borrowed(text.trim())),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A decimal number without an exponent, every digit kept, as PostgreSQL's `numeric` prints it.
fn decimal(written: &str) -> Option<String> {
    let unsigned = written.strip_prefix(['-', '+']).unwrap_or(written);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length = i32::try_from(digits.len()).ok()?;
    let point = i32::try_from(whole.len()).ok()?.checked_add(exponent)?;
    if length > MOST_DIGITS || point.checked_abs()? > MOST_DIGITS {
        return None;
    }
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or_default());
    let digits = format!("{}{digits}{}", zeros(-point), zeros(point - length));
    let (whole, fraction) = digits.split_at_checked(usize::try_from(point).unwrap_or_default())?;
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    let sign = if written.starts_with('-') && !is_zero {
        "-"
    } else {
        ""
    };
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{dot}{fraction}"))
}

fn integer(written: &str) -> Option<String> {
    let decimal = decimal(written)?;
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    if fraction.bytes().any(|digit| digit != b'0') {
        return None;
    }
    Some(whole.parse::<i64>().ok()?.to_string())
}

/// `1` or `0`, which every database takes.
fn boolean(value: &Value) -> Option<String> {
    let truth = match value {
        Value::Bool(truth) => *truth,
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => true,
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => false,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    Some(u8::from(truth).to_string())
}

/// The day as written, else that of the moment, in UTC.
fn date(value: &Value) -> Option<String> {
    let text = value.as_str().map(str::trim);
    let head = text.and_then(|text| text.get(..10)?.parse::<Date>().ok());
    let day = head.or_else(|| text?.parse::<Date>().ok());
    let day = day.or_else(|| {
        let moment = jiff::Timestamp::from_millisecond(millis(value)?).ok()?;
        Some(moment.to_zoned(TimeZone::UTC).date())
    });
    day.filter(|day| day.year() > 0).map(|day| day.to_string())
}

fn timestamp(value: &Value) -> Option<String> {
    let moment = jiff::Timestamp::from_millisecond(millis(value)?).ok()?;
    let moment = moment.to_zoned(TimeZone::UTC);
    (moment.year() > 0).then(|| moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn millis(value: &Value) -> Option<Millis> {
    let digits = value
        .as_str()
        .map(|text| text.trim().trim_start_matches('-'));
    let is_short = digits.is_some_and(|text| {
        text.len() < SHORTEST_MILLIS && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    if is_short { None } else { moment(value) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn made(kind: ColumnType, values: &[(Value, Option<&str>)]) {
        for (value, wanted) in values {
            assert_eq!(
                typed(kind, value).as_deref(),
                *wanted,
                "{kind:?} of {value}"
            );
        }
    }

    fn number(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_keep_every_digit_and_have_no_exponent() {
        let long = "12345678901234567890.123456789012345670";
        made(
            ColumnType::Decimal,
            &[
                (number(long), Some(long)),
                (json!(" 12.50 "), Some("12.50")),
                (number("1E2"), Some("100")),
                (number("1.50e1"), Some("15.0")),
                (number("15E-3"), Some("0.015")),
                (number("-0.0"), Some("0.0")),
                (json!("-007"), Some("-7")),
                (json!("+.5"), Some("0.5")),
                (json!("1,000"), None),
                (json!("1e2000"), None),
                (json!("NaN"), None),
                (json!("e5"), None),
                (json!(true), None),
            ],
        );
        made(
            ColumnType::Integer,
            &[
                (json!(42), Some("42")),
                (json!("-42.00"), Some("-42")),
                (number("4.2e1"), Some("42")),
                (json!(i64::MIN), Some("-9223372036854775808")),
                (number("9223372036854775808"), None),
                (json!(4.5), None),
                (json!("many"), None),
            ],
        );
        made(
            ColumnType::Text,
            &[
                (json!("1E2"), Some("1E2")),
                (number("1E2"), Some("100")),
                (json!(false), Some("false")),
                (json!("a\0b"), Some("a\u{fffd}b")),
                (json!(""), Some("")),
            ],
        );
    }

    #[test]
    fn dates_are_days_as_written_and_moments_are_in_utc() {
        made(
            ColumnType::Date,
            &[
                (json!("1980-05-17"), Some("1980-05-17")),
                (json!("1980-05-17T23:30:00-05:00"), Some("1980-05-17")),
                (json!("1980-05-17T00:00:00.000Z"), Some("1980-05-17")),
                (json!("19800517"), Some("1980-05-17")),
                (json!(1_700_049_600_000_i64), Some("2023-11-15")),
                (json!("1700049600000"), Some("2023-11-15")),
                (json!("Wed Nov 15 12:00:00 UTC 2023"), Some("2023-11-15")),
                (json!("1980"), None),
                (json!("05/17/1980"), None),
                (json!("1980-02-30"), None),
                (json!("0000-01-01"), None),
                (json!(true), None),
            ],
        );
        made(
            ColumnType::Timestamp,
            &[
                (
                    json!(1_700_049_600_000_i64),
                    Some("2023-11-15T12:00:00.000Z"),
                ),
                (
                    json!("2023-11-15T14:00:00.5+02:00"),
                    Some("2023-11-15T12:00:00.500Z"),
                ),
                (json!("2023-11-15"), Some("2023-11-15T00:00:00.000Z")),
                (json!("1980"), None),
                (json!("soon"), None),
                (number("1e300"), None),
            ],
        );
    }

    #[test]
    fn truth_is_said_in_one_way() {
        made(
            ColumnType::Boolean,
            &[
                (json!(true), Some("1")),
                (json!(" False"), Some("0")),
                (json!("yes"), None),
                (json!(1), None),
            ],
        );
    }

    proptest! {
        #[test]
        fn any_value_has_an_answer(text in "\\PC{0,20}", number in any::<f64>()) {
            use ColumnType::{Boolean, Date, Decimal, Integer, Text, Timestamp};
            for value in [json!(text), json!(number), json!([text]), json!(null)] {
                for kind in [Text, Integer, Decimal, Boolean, Date, Timestamp] {
                    let made = typed(kind, &value);
                    // What was made of it once is what it is.
                    if let Some(made) = made.filter(|_| kind != Boolean) {
                        prop_assert_eq!(typed(kind, &json!(made)), Some(made.clone()));
                    }
                }
            }
        }
    }
}
