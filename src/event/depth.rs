//! How deeply a text is nested, found without a stack.

/// Whether brackets outside strings nest deeper than `most` levels. Says nothing about whether the
/// text is JSON.
pub(crate) fn is_deeper(text: &str, most: usize) -> bool {
    has_more_brackets(text, most) && nests_deeper(text, most)
}

/// Whether there are brackets enough, inside strings or not. Most events have fewer, and to count
/// bytes is many times quicker than to follow strings.
fn has_more_brackets(text: &str, most: usize) -> bool {
    // The two differ in this bit alone. Sums of a byte each are what a compiler adds up many at once.
    let opening = |byte: &u8| u8::from(byte | 0x20 == b'{');
    let some = |bytes: &[u8]| usize::from(bytes.iter().map(opening).sum::<u8>());
    let brackets: usize = text.as_bytes().chunks(255).map(some).sum();
    brackets > most
}

fn nests_deeper(text: &str, most: usize) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' if depth == most => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Leaves the iterator behind the closing quote, or at the end.
pub(super) fn skip_string(bytes: &mut impl Iterator<Item = u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            // Whatever is escaped does not close the string.
            b'\\' if bytes.next().is_none() => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::MAX_LEVELS;
    use super::*;

    fn levels(json: &Value) -> usize {
        match json {
            Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or_default(),
            Value::Object(members) => 1 + members.values().map(levels).max().unwrap_or_default(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(1)),
            "[\\[\\]{}\"\\\\a]{0,5}".prop_map(Value::String)
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::hash_map("[\\[{\"]{0,3}", inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_is_as_deep_as_its_tree(json in tree(), most in 0..6_usize) {
            prop_assert_eq!(is_deeper(&json.to_string(), most), levels(&json) > most);
        }
    }

    #[test]
    fn the_limit_itself_is_not_too_deep() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_deeper(&nested(MAX_LEVELS), MAX_LEVELS));
        assert!(is_deeper(&nested(MAX_LEVELS + 1), MAX_LEVELS));
        assert!(serde_json::from_str::<Value>(&nested(MAX_LEVELS)).is_ok());
    }

    #[test]
    fn a_count_of_brackets_never_hides_what_is_too_deep() {
        for text in ["[".repeat(1001), "{".repeat(1001)] {
            assert!(has_more_brackets(&text, 1000) && nests_deeper(&text, 1000));
        }
        assert!(!has_more_brackets(&"[{".repeat(50), 100));
        assert!(!has_more_brackets(&"]}Z;".repeat(100), 100));
    }
}
