//! What JSON text holds that other readers of JSON do not take, found by looking at its bytes.

use super::depth::skip_string;

/// Digits before the point that PostgreSQL's `numeric`, of which its `jsonb` makes numbers, can
/// have, and digits after it
/// (<https://www.postgresql.org/docs/current/datatype-numeric.html>).
const MOST_DIGITS: i64 = 131_072;
const LONGEST_FRACTION: i64 = 16_383;

/// Exponents below this are read at all, whatever the number is.
const LARGEST_EXPONENT: u64 = 1_073_741_823;

/// The text as PostgreSQL's `jsonb` and strict parsers take it: U+FFFD for U+0000 and for each half
/// of a surrogate pair that stands alone, and a number that no `numeric` holds as the text that it
/// is, in quotes; nothing if there is none of these. `json` is valid JSON: a backslash always
/// begins an escape.
pub(crate) fn shown(json: &str) -> Option<String> {
    let marked = marked(json);
    let quoted = quoted(marked.as_deref().unwrap_or(json));
    quoted.or(marked)
}

/// With U+FFFD for what no text may hold.
fn marked(json: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let mut done = 0;
    let mut from = 0;
    while let Some(at) = json.get(from..)?.find('\\').map(|at| from + at) {
        let (length, is_odd) = escape(json.get(at..)?);
        if is_odd {
            let text = out.get_or_insert_with(|| String::with_capacity(json.len()));
            text.push_str(json.get(done..at)?);
            text.push_str("\\ufffd");
            done = at + length;
        }
        from = at + length;
    }
    let mut text = out?;
    text.push_str(json.get(done..)?);
    Some(text)
}

/// With quotes around what no `numeric` holds.
fn quoted(json: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let (mut done, mut at) = (0, 0);
    if !may_hold_an_odd_number(json) {
        return None;
    }
    while let Some(byte) = json.as_bytes().get(at) {
        let rest = json.get(at..).unwrap_or_default();
        match byte {
            b'"' => {
                let mut bytes = rest.bytes();
                bytes.next();
                skip_string(&mut bytes);
                at = json.len() - bytes.len();
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                let length = rest.bytes().take_while(is_part).count();
                let number = rest.get(..length)?;
                if !is_numeric(number) {
                    let text = out.get_or_insert_with(|| String::with_capacity(json.len() + 16));
                    text.push_str(json.get(done..at)?);
                    text.extend(["\"", number, "\""]);
                    done = at + length;
                }
                at += length;
            }
            // All that is of interest is one byte long; within strings nothing is looked at.
            _ => at += 1,
        }
    }
    let mut text = out?;
    text.push_str(json.get(done..)?);
    Some(text)
}

/// Whether there is an exponent, in a string or not, or room for very many digits. Few events have
/// either, and to count pairs of bytes is many times quicker than to follow strings.
fn may_hold_an_odd_number(json: &str) -> bool {
    let (bytes, next) = (
        json.as_bytes(),
        json.as_bytes().get(1..).unwrap_or_default(),
    );
    let pairs = bytes.iter().zip(next);
    let is_exponent = |(one, two): &(&u8, &u8)| one.is_ascii_digit() && **two | 0x20 == b'e';
    pairs.filter(is_exponent).count() > 0
        || i64::try_from(json.len()).unwrap_or(i64::MAX) > LONGEST_FRACTION
}

/// Whether a `numeric` of PostgreSQL holds the number.
fn is_numeric(number: &str) -> bool {
    let number = number.trim_start_matches('-');
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let power: Option<u64> = exponent.trim_start_matches(['+', '-']).parse().ok();
    let power = power.filter(|power| *power < LARGEST_EXPONENT);
    let Some(power) = power.and_then(|power| i64::try_from(power).ok()) else {
        return false;
    };
    let exponent = if exponent.starts_with('-') {
        -power
    } else {
        power
    };
    let count = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
    let significant = whole.bytes().chain(fraction.bytes());
    let leading = significant.clone().take_while(|digit| *digit == b'0');
    let is_zero = significant.clone().all(|digit| digit == b'0');
    let before = (count(whole.len()) + exponent).saturating_sub(count(leading.count()));
    let after = count(fraction.len()).saturating_sub(exponent);
    after <= LONGEST_FRACTION && (is_zero || before <= MOST_DIGITS)
}

/// The bytes of the escape that `json` begins with, and whether no database takes it.
fn escape(json: &str) -> (usize, bool) {
    match unit(json) {
        Some(0 | 0xdc00..=0xdfff) => (6, true),
        Some(0xd800..=0xdbff) => match json.get(6..).and_then(unit) {
            Some(0xdc00..=0xdfff) => (12, false),
            Some(_) | None => (6, true),
        },
        Some(_) => (6, false),
        None => (2, false),
    }
}

/// The UTF-16 unit of `\uXXXX` at the beginning.
fn unit(json: &str) -> Option<u16> {
    let digits = json.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            "[\\\\\"{}\\[\\]u0\u{0}\u{1f600}a]*".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[\\\\\"\u{0}a]*", inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_without_nuls(json in tree()) {
            let text = json.to_string();
            match shown(&text) {
                Some(text) => {
                    let seen: Value = serde_json::from_str(&text).unwrap();
                    prop_assert!(holds_nul(&json));
                    prop_assert_eq!(seen, with_marks(&json));
                }
                None => prop_assert!(!holds_nul(&json)),
            }
        }
    }

    /// The same on a tree.
    fn with_marks(json: &Value) -> Value {
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        match json {
            Value::Array(items) => items.iter().map(with_marks).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (plain(name), with_marks(value)))
                .collect(),
            Value::String(text) => plain(text).into(),
            Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
        }
    }

    fn holds_nul(json: &Value) -> bool {
        match json {
            Value::Array(items) => items.iter().any(holds_nul),
            Value::Object(members) => members
                .iter()
                .any(|(name, value)| name.contains('\0') || holds_nul(value)),
            Value::String(text) => text.contains('\0'),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    #[test]
    fn a_number_that_no_numeric_holds_is_its_own_text() {
        let digits = |many: usize| "7".repeat(many);
        for fits in [
            "1e400",
            "-1E+131071",
            "1e-16383",
            "0.5e-16382",
            "0e999999999",
            "123e131069",
            "0.001e131074",
            &digits(131_072),
            &format!("0.{}", digits(16_383)),
        ] {
            assert_eq!(shown(&format!(r#"{{"n":{fits}}}"#)), None, "{fits}");
        }
        for odd in [
            "1e131072",
            "-1E+131072",
            "10e131071",
            "1e-16384",
            "0.5e-16383",
            "0e-16384",
            "0e99999999999999999999",
            &digits(131_073),
            &format!("0.{}", digits(16_384)),
        ] {
            let json = format!(r#"{{"s":"1e999999","n":[{odd},1],"e":{odd}}}"#);
            let wanted = format!(r#"{{"s":"1e999999","n":["{odd}",1],"e":"{odd}"}}"#);
            assert_eq!(shown(&json), Some(wanted), "{odd}");
        }
        let both = r#"["\u0000",1e999999,"é\"1e999999"]"#;
        let wanted = r#"["\ufffd","1e999999","é\"1e999999"]"#;
        assert_eq!(shown(both).as_deref(), Some(wanted));
    }

    #[test]
    fn only_what_is_odd_is_replaced() {
        for (json, wanted) in [
            (r#""\\u0000""#, None),
            (r#""\u0001\n\ud83d\ude00""#, None),
            (r#""\\\u0000""#, Some(r#""\\\ufffd""#)),
            (r#""\ud83d\u0041""#, Some(r#""\ufffd\u0041""#)),
            (
                r#""\ude00\ud83d\ude00\uD83D""#,
                Some(r#""\ufffd\ud83d\ude00\ufffd""#),
            ),
            (
                r#""\ud83d\ud83d\ude00 é""#,
                Some(r#""\ufffd\ud83d\ude00 é""#),
            ),
        ] {
            assert_eq!(shown(json).as_deref(), wanted, "{json}");
        }
    }
}
