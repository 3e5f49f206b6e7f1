//! What JSON text holds that a database does not take, found by looking at its bytes.

/// The text with U+FFFD for U+0000 and for each half of a surrogate pair that stands alone;
/// nothing if there is none. `json` is valid JSON: a backslash always begins an escape.
pub(super) fn shown(json: &str) -> Option<String> {
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

/// How many objects and arrays are inside each other at most.
pub(super) fn levels(json: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    most
}

fn skip_string(bytes: &mut std::str::Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn of_tree(json: &Value) -> usize {
        match json {
            Value::Array(items) => 1 + items.iter().map(of_tree).max().unwrap_or_default(),
            Value::Object(members) => 1 + members.values().map(of_tree).max().unwrap_or_default(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

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
        fn levels_are_those_of_the_tree(json in tree()) {
            prop_assert_eq!(levels(&json.to_string()), of_tree(&json));
        }

        #[test]
        fn what_is_shown_is_the_same_without_nuls(json in tree()) {
            let text = json.to_string();
            match shown(&text) {
                Some(text) => {
                    let seen: Value = serde_json::from_str(&text).unwrap();
                    prop_assert!(holds_nul(&json));
                    prop_assert_eq!(seen, marked(&json));
                }
                None => prop_assert!(!holds_nul(&json)),
            }
        }
    }

    /// The same on a tree.
    fn marked(json: &Value) -> Value {
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        match json {
            Value::Array(items) => items.iter().map(marked).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (plain(name), marked(value)))
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
