//! Decimal numbers as text, rounded as a database rounds them. Pure.
//!
//! Guarantee: digits beyond a float's are not lost; halves are rounded away from zero.

/// Longest number of digits that is worked with; what is longer is no number of a CRM.
const LONGEST: i32 = 400;

/// `text`, a decimal number as JSON writes one, in whole units of 10^-`scale`; `None` if it is none
/// or has more than some hundred digits.
pub(super) fn units(text: &str, scale: i32) -> Option<String> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let behind = i32::try_from(fraction.len()).ok()?;
    let length = i32::try_from(digits.len()).ok()?;
    let shift = exponent.checked_sub(behind)?.checked_add(scale)?;
    if length > LONGEST || shift > LONGEST {
        return None;
    }
    let units = match usize::try_from(shift) {
        Ok(zeros) => digits + &"0".repeat(zeros),
        Err(_) => match usize::try_from(length.saturating_add(shift)) {
            Ok(kept) => rounded(digits.split_at_checked(kept)?),
            Err(_) => String::new(),
        },
    };
    let units = units.trim_start_matches('0');
    Some(match (units, negative) {
        ("", _) => "0".to_owned(),
        (units, true) => format!("-{units}"),
        (units, false) => units.to_owned(),
    })
}

/// The kept digits, one more if the dropped ones are half of it at least.
fn rounded((kept, dropped): (&str, &str)) -> String {
    if !dropped.starts_with(['5', '6', '7', '8', '9']) {
        return kept.to_owned();
    }
    let before = kept.trim_end_matches('9');
    let nines = kept.len() - before.len();
    let mut digits = before.to_owned();
    let last = digits.pop().and_then(|last| last.to_digit(10));
    let next = char::from_digit(last.unwrap_or_default() + 1, 10).unwrap_or_default();
    digits.push(next);
    digits + &"0".repeat(nines)
}

#[cfg(test)]
mod tests {
    use super::units;

    #[test]
    fn halves_are_rounded_away_from_zero_and_no_digit_is_lost() {
        for (text, scale, wanted) in [
            ("1.005", 2, Some("101")),
            ("-1.005", 2, Some("-101")),
            ("1.0049", 2, Some("100")),
            ("0.995", 2, Some("100")),
            ("0.5", 0, Some("1")),
            ("0.4", 0, Some("0")),
            ("0.04", 0, Some("0")),
            ("-0.0", 3, Some("0")),
            ("9.99", 1, Some("100")),
            ("1.726E12", 0, Some("1726000000000")),
            ("1.5e-3", 3, Some("2")),
            ("12345678901234567890.12", 2, Some("1234567890123456789012")),
            ("007", 0, Some("7")),
            ("1e999999", 0, None),
            ("1e-999999", 0, Some("0")),
            ("", 0, None),
            ("1,5", 0, None),
            ("NaN", 0, None),
        ] {
            assert_eq!(units(text, scale).as_deref(), wanted, "{text} at {scale}");
        }
    }
}
