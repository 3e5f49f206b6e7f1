//! What numbers and bytes stand for, in the forms in which Reltio and JSON have it.
//!
//! A time in whole ms stays the number that Reltio writes for it; what is finer is ISO-8601, which
//! decoding takes as well.

use jiff::civil::{Date, Time, date};
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, Timestamp};
use num_bigint::BigInt;

use super::Unfit;
use super::output::Json;

/// Digits of a decimal number are counted in the square of its bytes.
const LONGEST_DECIMAL: usize = 512;
/// A point further away than that is no number of anybody's.
const FURTHEST_POINT: i32 = 1000;

/// The unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    fn nanos(self) -> i64 {
        match self {
            Self::Millis => 1_000_000,
            Self::Micros => 1_000,
            Self::Nanos => 1,
        }
    }

    fn timestamp(self, since_1970: i64) -> Result<Timestamp, Unfit> {
        let nanos = i128::from(since_1970).saturating_mul(i128::from(self.nanos()));
        Timestamp::from_nanosecond(nanos)
            .map_err(|_| Unfit::because("the time is not between the years -9999 and 9999"))
    }
}

/// A decimal number: the unscaled one in two's complement, the highest byte first, and the digits
/// behind the point. All of those are written.
pub(super) fn decimal(unscaled: &[u8], scale: i32, json: &mut Json) -> Result<(), Unfit> {
    if unscaled.len() > LONGEST_DECIMAL || scale.abs() > FURTHEST_POINT {
        let why = format!(
            "a decimal number of {} bytes and scale {scale}; {LONGEST_DECIMAL} bytes and scale \
             {FURTHEST_POINT} are taken",
            unscaled.len()
        );
        return Err(Unfit::because(why));
    }
    let number = BigInt::from_signed_bytes_be(unscaled).to_string();
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number.as_str()),
    };
    let Ok(scale) = usize::try_from(scale) else {
        let zeros = usize::try_from(scale.unsigned_abs()).unwrap_or_default();
        // Nothing but one zero may begin with one.
        let zeros = if digits == "0" { 0 } else { zeros };
        return json.number(format_args!("{sign}{digits}{}", "0".repeat(zeros)));
    };
    let padded = format!("{digits:0>width$}", width = scale.saturating_add(1));
    match padded.split_at_checked(padded.len().saturating_sub(scale)) {
        Some((whole, "")) => json.number(format_args!("{sign}{whole}")),
        Some((whole, part)) => json.number(format_args!("{sign}{whole}.{part}")),
        None => json.number(number),
    }
}

/// A moment: `2024-07-12T08:38:30.454Z`.
pub(super) fn moment(since_1970: i64, unit: Unit, json: &mut Json) -> Result<(), Unfit> {
    json.plain(unit.timestamp(since_1970)?)
}

/// Seconds since 1970 and nanoseconds behind them.
pub(super) fn moment_of(seconds: i64, nanos: i32, json: &mut Json) -> Result<(), Unfit> {
    let moment = Timestamp::new(seconds, nanos);
    json.plain(moment.map_err(|_| Unfit::because("it is no time"))?)
}

/// A date and a time of no zone: `2024-07-12T08:38:30.454`.
pub(super) fn local(since_1970: i64, unit: Unit, json: &mut Json) -> Result<(), Unfit> {
    let moment = unit.timestamp(since_1970)?;
    json.plain(Offset::UTC.to_datetime(moment))
}

/// A day: `2024-07-12`.
pub(super) fn day(since_1970: i32, json: &mut Json) -> Result<(), Unfit> {
    // More days than a span has would be a panic.
    let since = Span::new().try_days(since_1970);
    let day = since.and_then(|since| date(1970, 1, 1).checked_add(since));
    json.plain(day.map_err(|_| Unfit::because("the day is not between the years -9999 and 9999"))?)
}

/// A day by its year, month and day of the month.
pub(super) fn day_of(year: i32, month: i32, day: i32, json: &mut Json) -> Result<(), Unfit> {
    let day = (|| {
        let (year, month) = (i16::try_from(year).ok()?, i8::try_from(month).ok()?);
        Date::new(year, month, i8::try_from(day).ok()?).ok()
    })();
    json.plain(day.ok_or_else(|| Unfit::because("it is no day of a calendar"))?)
}

/// A time of the day: `08:38:30.454`.
pub(super) fn clock_time(since_midnight: i64, unit: Unit, json: &mut Json) -> Result<(), Unfit> {
    let time = since_midnight
        .checked_mul(unit.nanos())
        .filter(|nanos| *nanos >= 0)
        .and_then(|nanos| {
            let midnight = Time::midnight();
            midnight.checked_add(SignedDuration::from_nanos(nanos)).ok()
        });
    json.plain(time.ok_or_else(|| Unfit::because("it is no time of a day"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json) -> Result<(), Unfit>) -> String {
        let mut json = Json::new(1 << 20);
        match write(&mut json) {
            Ok(()) => String::from_utf8(json.finish()).unwrap(),
            Err(unfit) => format!("! {unfit}"),
        }
    }

    #[test]
    fn a_decimal_number_keeps_every_digit() {
        for (unscaled, scale, expected) in [
            (&[0x04, 0xd2][..], 2, "12.34"),
            (&[0x04, 0xce], 3, "1.230"),
            (&[0xff], 2, "-0.01"),
            (&[0x00], 2, "0.00"),
            (&[], 0, "0"),
            (&[0x07], 0, "7"),
            (&[0x07], -2, "700"),
            (&[0x00], -2, "0"),
            (
                &[0x80, 0, 0, 0, 0, 0, 0, 0, 0],
                0,
                "-2361183241434822606848",
            ),
        ] {
            let number = written(|json| decimal(unscaled, scale, json));
            assert_eq!(number, expected);
            assert!(serde_json::from_str::<serde_json::Number>(&number).is_ok());
        }
        for refused in [(vec![1; 513], 0), (vec![1], 1001), (vec![1], i32::MIN + 1)] {
            let said = written(|json| decimal(&refused.0, refused.1, json));
            assert!(said.starts_with("! a decimal number of"), "{said}");
        }
    }

    #[test]
    fn days_and_times_are_iso_8601() {
        assert_eq!(written(|json| day(19_916, json)), r#""2024-07-12""#);
        assert_eq!(written(|json| day_of(2024, 2, 29, json)), r#""2024-02-29""#);
        let time = written(|json| clock_time(31_110_454, Unit::Millis, json));
        assert_eq!(time, r#""08:38:30.454""#);
        let at = 1_720_773_510_454_321;
        let moment_is = written(|json| moment(at, Unit::Micros, json));
        assert_eq!(moment_is, r#""2024-07-12T08:38:30.454321Z""#);
        let local_is = written(|json| local(at, Unit::Micros, json));
        assert_eq!(local_is, r#""2024-07-12T08:38:30.454321""#);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for said in [
            written(|json| day(i32::MAX, json)),
            written(|json| day_of(2023, 2, 29, json)),
            written(|json| clock_time(-1, Unit::Millis, json)),
            written(|json| clock_time(86_400_000, Unit::Millis, json)),
            written(|json| clock_time(i64::MAX, Unit::Millis, json)),
            written(|json| moment(i64::MAX, Unit::Millis, json)),
            written(|json| moment_of(0, -1_000_000_000, json)),
        ] {
            assert!(said.starts_with("! "), "{said}");
        }
    }
}
