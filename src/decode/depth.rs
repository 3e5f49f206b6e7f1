//! Nesting, counted before anything is parsed.

use super::DecodeError;

/// Deepest nesting taken. Entities nest about ten deep; parsers of trees give up at 128.
pub const MAX_DEPTH: usize = 100;

/// Refuses what is nested too deeply, without using the stack.
pub(super) fn check(json: &[u8]) -> Result<(), DecodeError> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(DecodeError::TooDeep);
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}
