//! The tree against `serde_json`'s own, and where the two must differ.

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;

fn of(text: &str) -> Result<Value, JsonError> {
    tree(text.as_bytes())
}

/// Text that is JSON, nearly JSON, or far from it.
fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        "[\\[\\]{},: ]",
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        "[-+.0-9eE]{1,6}",
        "\"[a-c\\\\\"/bfnrtu0-9 é\n]{0,8}\"",
        "\"(a|\\\\n|\\\\\"|\\\\u00[0-9a-fA-F]{2}|\\\\ud83d\\\\ude00|é){0,4}\"",
        "(true|false|null|tru|nulll|\u{feff}|\t|\u{0})",
    ];
    prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn valid() -> impl Strategy<Value = Value> {
    let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number.prop_map(|text| Value::Number(text.parse().unwrap())),
        "\\PC{0,6}".prop_map(Value::from),
        "[\\\\\"\u{0}\u{1f600}\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[\\\\\"\u{0}aé]{0,4}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_json_and_what_not_is_judged_as_by_serde_json(text in text()) {
        let wanted: Option<Value> = serde_json::from_str(&text).ok();
        // Half of a surrogate pair is JSON, and the other parser refuses it in a string.
        let is_json = serde_json::from_str::<&RawValue>(&text).is_ok();
        let made = of(&text).ok();
        prop_assert_eq!(made.is_some(), is_json, "{:?}", text);
        if wanted.is_some() {
            prop_assert_eq!(made, wanted);
        }
    }

    #[test]
    fn what_was_printed_is_read_again(wanted in valid()) {
        prop_assert_eq!(of(&wanted.to_string()), Ok(wanted.clone()));
        prop_assert_eq!(of(&format!(" {wanted:#}\n")), Ok(wanted));
    }

    #[test]
    fn no_bytes_harm(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let wanted: Option<Value> = serde_json::from_slice(&bytes).ok();
        prop_assert!(wanted.is_none() || tree(&bytes).ok() == wanted);
    }
}

#[test]
fn numbers_keep_their_digits() {
    for number in [
        "12345678901234567890123456789012345678901234567890",
        "-0.10",
        "1.00",
        "0.1234567890123456789012345",
        "1e+400",
        "-1.5e-999",
    ] {
        assert_eq!(of(number).unwrap().to_string(), number);
    }
    for text in ["01", "1.", ".5", "+1", "1e", "--1", "1-", "NaN", "-"] {
        assert!(of(text).is_err(), "{text}");
    }
}

#[test]
fn half_of_a_surrogate_pair_is_a_mark() {
    for (text, wanted) in [
        (r#""a\ud83d""#, "a\u{fffd}"),
        (
            r#""\ude00\ud83d\ude00\uD83D\u0041""#,
            "\u{fffd}\u{1f600}\u{fffd}A",
        ),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
        (r#""\\ud83d""#, "\\ud83d"),
    ] {
        assert_eq!(of(text), Ok(json!(wanted)), "{text}");
    }
    assert!(of(r#""\u+123""#).is_err());
}

#[test]
fn every_name_is_data_and_the_last_of_one_name_counts() {
    for name in ["RawValue", "Number"] {
        let text = format!(r#"{{"$serde_json::private::{name}":"7"}}"#);
        let tree = of(&text).unwrap();
        assert_eq!(tree.to_string(), text);
    }
    assert_eq!(of(r#"{"a":1,"a":2,"\u0061":3}"#), Ok(json!({"a": 3})));
}

#[test]
fn g8_no_text_takes_more_levels_than_the_limit() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(of(&nested(MAX_LEVELS)).is_ok());
    assert_eq!(of(&nested(MAX_LEVELS + 1)), Err(JsonError::TooDeep));
    assert_eq!(of(&"{\"a\":".repeat(1 << 20)), Err(JsonError::TooDeep));
}

#[test]
fn text_in_text_keeps_half_of_a_pair_as_its_escape() {
    for (outer, inner) in [
        (r#""{\"a\":\"\ud83d\"}""#, r#"{"a":"\ud83d"}"#),
        (r#" "\"\ud83d\ude00\"" "#, "\"\u{1f600}\""),
        // The half is no part of an escape that stands before it.
        (r#""\"\\\\\udfff\"""#, r#""\\\udfff""#),
        (r#""\"\\\udfff\"""#, "\"\\\u{fffd}\""),
    ] {
        assert_eq!(text_within(outer).as_deref(), Ok(inner), "{outer}");
    }
    assert!(text_within("\"a\" b").is_err() && text_within("a").is_err());
}
