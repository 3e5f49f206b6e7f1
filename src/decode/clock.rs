//! Versions and times, in the forms in which clients print them.
//!
//! Guarantee: a form that can mean two things is refused. Digits are whole numbers, times are in
//! ms since 1970 or say their offset.

use super::DecodeError;
use super::found::Found;
use crate::time::Millis;

/// Times are from 2001-09-09 to 2100-01-01: what is outside is not in ms. Seconds would make every
/// event look stale, and microseconds would have its lane wait for thousands of years.
const TIMES: std::ops::Range<Millis> = 1_000_000_000_000..4_102_444_800_000;

/// The most digits of a whole number that is read: those of 64 bits.
const MOST_DIGITS: usize = 19;

/// A whole number that is not negative.
///
/// # Errors
/// [`DecodeError::BadMember`].
pub(super) fn version(field: &'static str, text: &str) -> Result<i64, DecodeError> {
    whole(text).ok_or(DecodeError::BadMember {
        field,
        found: Found::text(text),
        expected: "a whole number below 2^63",
    })
}

/// A time in ms since 1970, or ISO-8601 with an offset.
///
/// # Errors
/// [`DecodeError::BadMember`].
pub(super) fn time(field: &'static str, text: &str) -> Result<Millis, DecodeError> {
    let number = whole(text);
    let millis = number.or_else(|| {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(timestamp.as_millisecond())
    });
    millis
        .filter(|millis| TIMES.contains(millis))
        .ok_or_else(|| DecodeError::BadMember {
            field,
            found: Found::text(text),
            expected: number.map_or(
                "ms since 1970, or ISO-8601 with an offset (2024-07-12T08:38:30.454Z)",
                unit,
            ),
        })
}

/// What is expected instead of a number that is no time in ms.
fn unit(number: i64) -> &'static str {
    let would_be = |factor: i64| number.checked_mul(factor).is_some_and(is_time);
    if would_be(1000) {
        "ms since 1970; it looks like seconds"
    } else if number.checked_div(1000).is_some_and(is_time) {
        "ms since 1970; it looks like microseconds"
    } else if number.checked_div(1_000_000).is_some_and(is_time) {
        "ms since 1970; it looks like nanoseconds"
    } else {
        "ms since 1970, from 2001 to 2099"
    }
}

fn is_time(millis: Millis) -> bool {
    TIMES.contains(&millis)
}

/// Digits, or a decimal number of the same value: `7`, `7.0`, `1.720773510454E12`, as clients print
/// that keep every number in floating point.
fn whole(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    let (decimal, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (integer, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let exponent: usize = exponent
        .strip_prefix('+')
        .unwrap_or(exponent)
        .parse()
        .ok()?;
    let fraction = fraction.trim_end_matches('0');
    let zeros = exponent.checked_sub(fraction.len())?;
    let digits = || integer.bytes().chain(fraction.bytes());
    let enough = !integer.is_empty() && digits().count().checked_add(zeros)? <= MOST_DIGITS;
    if !enough || !digits().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{integer}{fraction}{}", "0".repeat(zeros))
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(text: &str) -> &'static str {
        match time("commitTime", text) {
            Err(DecodeError::BadMember { expected, .. }) => expected,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn times_are_read_as_numbers_and_as_iso_8601() {
        for text in [
            "1720773510454",
            "1720773510454.0",
            "1.720773510454E12",
            "1.720773510454e+12",
            "2024-07-12T08:38:30.454Z",
            "2024-07-12t08:38:30.454z",
            "2024-07-12 08:38:30.454Z",
            "2024-07-12T08:38:30.454999Z",
            "2024-07-12T08:38:30.454Z[UTC]",
            "2024-07-12T10:38:30.454+02:00",
            "2024-07-12T08:38:30.454+0000",
            "20240712T083830.454Z",
        ] {
            assert_eq!(time("t", text), Ok(1_720_773_510_454), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_time_in_milliseconds_is_refused_and_said_to_be_what_it_looks_like() {
        assert!(expected("1720773510").ends_with("seconds"));
        assert!(expected("1.72077351E9").ends_with("it looks like seconds"));
        assert!(expected("1720773510454000").ends_with("microseconds"));
        assert!(expected("1720773510454000000").ends_with("nanoseconds"));
        for text in [
            "-1",
            "1.5",
            "soon",
            "2024-07-12",
            "2024-07-12T08:38:30.454",
            "9999999999999999999",
            "1.7207735104545E12",
            "1e999999999999",
            ".5e1",
        ] {
            assert!(time("t", text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_version_is_a_whole_number_however_it_is_printed() {
        for (text, number) in [("7", 7), ("7.0", 7), ("7e0", 7), ("1.2e2", 120)] {
            assert_eq!(version("v", text), Ok(number), "{text}");
        }
        assert_eq!(version("v", "9223372036854775807"), Ok(i64::MAX));
        for text in [
            "",
            "7.5",
            "-7",
            "0x7",
            "7e-1",
            ".0",
            "9223372036854775808",
            "1e19",
        ] {
            assert!(version("v", text).is_err(), "{text}");
        }
    }
}
