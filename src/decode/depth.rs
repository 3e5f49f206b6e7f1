//! How deeply a text is nested, found without a stack.

use super::MAX_DEPTH;

/// Whether brackets outside strings nest deeper than [`MAX_DEPTH`]. Says nothing about whether
/// the text is JSON.
pub(super) fn is_too_deep(text: &str) -> bool {
    may_be_too_deep(text) && is_nested_too_deeply(text)
}

/// Whether there are brackets enough, inside strings or not. Most events have fewer, and to count
/// bytes is many times quicker than to follow strings.
fn may_be_too_deep(text: &str) -> bool {
    // The two differ in this bit alone.
    let opening = text.bytes().filter(|byte| byte | 0x20 == b'{');
    opening.count() > MAX_DEPTH
}

fn is_nested_too_deeply(text: &str) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' if depth == MAX_DEPTH => return true,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Leaves the iterator behind the closing quote, or at the end.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
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
    use super::*;

    #[test]
    fn the_limit_itself_is_not_too_deep() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!is_too_deep(&nested(MAX_DEPTH)));
        assert!(is_too_deep(&nested(MAX_DEPTH + 1)));
    }

    #[test]
    fn a_count_of_brackets_never_hides_what_is_too_deep() {
        for text in ["[".repeat(MAX_DEPTH + 1), "{".repeat(MAX_DEPTH + 1)] {
            assert!(may_be_too_deep(&text) && is_nested_too_deeply(&text));
        }
        assert!(!may_be_too_deep(&"[{".repeat(MAX_DEPTH / 2)));
        assert!(!may_be_too_deep(&"]}Z;".repeat(MAX_DEPTH)));
    }

    #[test]
    fn brackets_in_strings_and_side_by_side_do_not_nest() {
        assert!(!is_too_deep(&format!(
            r#"{{"a":"\"{}"}}"#,
            "[{".repeat(MAX_DEPTH)
        )));
        assert!(!is_too_deep(&"[]".repeat(MAX_DEPTH * 2)));
    }

    #[test]
    fn a_payload_at_the_limit_can_be_parsed_as_a_tree() {
        let nested = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(serde_json::from_str::<serde_json::Value>(&nested).is_ok());
    }
}
