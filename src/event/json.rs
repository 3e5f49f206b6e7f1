//! JSON text from outside as a tree.
//!
//! Guarantee: a number keeps its digits, every member's name is data, and half of a surrogate
//! pair, which JSON may hold and no text in a tree, becomes U+FFFD. What is nested deeper than
//! [`MAX_LEVELS`] is refused, so no text takes more stack than that.
//!
//! `serde_json` alone takes two names of members for orders of its own (`$serde_json::private::…`),
//! of which one has it parse text in text, and refuses half of a surrogate pair
//! (<https://github.com/serde-rs/json/issues/495>).

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// Objects and arrays inside each other at most.
pub const MAX_LEVELS: usize = 127;

/// Why text is no tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON.
    #[error("it is not JSON from byte {0} on")]
    Syntax(usize),
    /// Nested deeper than [`MAX_LEVELS`].
    #[error("it is nested deeper than {MAX_LEVELS} levels")]
    TooDeep,
}

/// The tree of a JSON text. Of members with one name the last counts.
///
/// # Errors
/// [`JsonError`].
pub fn tree(json: &[u8]) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(json).map_err(|error| JsonError::Syntax(error.valid_up_to()))?;
    let mut reader = Reader { text, at: 0 };
    let tree = reader.value(0)?;
    reader.skip_blank();
    if reader.at < text.len() {
        return reader.wrong();
    }
    Ok(tree)
}

/// What the JSON text of a string says.
///
/// # Errors
/// [`JsonError::Syntax`].
pub(crate) fn text(json: &str) -> Result<String, JsonError> {
    whole_text(json, mark)
}

/// What the JSON text of a string says, where that is JSON text again: half of a surrogate pair is
/// written as the escape that it is, so nothing is lost.
///
/// # Errors
/// [`JsonError::Syntax`].
pub(crate) fn text_within(json: &str) -> Result<String, JsonError> {
    whole_text(json, |half, out| {
        let escapes = out.bytes().rev().take_while(|byte| *byte == b'\\').count();
        if escapes % 2 == 0 {
            // Writing to a string does not fail.
            write!(out, "\\u{half:04x}").ok();
        } else {
            // No JSON text has this; the mark keeps it from becoming some.
            out.push('\u{fffd}');
        }
    })
}

fn whole_text(json: &str, half: Half) -> Result<String, JsonError> {
    let mut reader = Reader { text: json, at: 0 };
    reader.skip_blank();
    let text = reader.string(half)?;
    reader.skip_blank();
    if reader.at < json.len() {
        return reader.wrong();
    }
    Ok(text)
}

/// What becomes of half of a surrogate pair.
type Half = fn(u16, &mut String);

fn mark(_: u16, out: &mut String) {
    out.push('\u{fffd}');
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn wrong<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    fn skip_blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Whether `wanted` comes next; takes it.
    fn takes(&mut self, wanted: u8) -> bool {
        self.skip_blank();
        let comes = self.peek() == Some(wanted);
        self.at += usize::from(comes);
        comes
    }

    /// A value that is inside so many objects and arrays.
    fn value(&mut self, levels: usize) -> Result<Value, JsonError> {
        self.skip_blank();
        match self.peek() {
            Some(b'{' | b'[') if levels == MAX_LEVELS => Err(JsonError::TooDeep),
            Some(b'{') => self.object(levels + 1),
            Some(b'[') => self.array(levels + 1),
            Some(b'"') => self.string(mark).map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.wrong(),
        }
    }

    fn object(&mut self, levels: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut members = Map::new();
        if self.takes(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.skip_blank();
            let name = self.string(mark)?;
            if !self.takes(b':') {
                return self.wrong();
            }
            members.insert(name, self.value(levels)?);
            if self.takes(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.takes(b',') {
                return self.wrong();
            }
        }
    }

    fn array(&mut self, levels: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(levels)?);
            if self.takes(b']') {
                return Ok(Value::Array(items));
            }
            if !self.takes(b',') {
                return self.wrong();
            }
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part =
            |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(|byte| is_part(*byte)).count();
        let number: Option<Number> = rest.get(..length).and_then(|text| text.parse().ok());
        let Some(number) = number else {
            return self.wrong();
        };
        self.at += length;
        Ok(Value::Number(number))
    }

    fn string(&mut self, half: Half) -> Result<String, JsonError> {
        if self.peek() != Some(b'"') {
            return self.wrong();
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let ends = |byte: u8| matches!(byte, b'"' | b'\\' | 0..0x20);
            let plain = rest.bytes().take_while(|byte| !ends(*byte)).count();
            out.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => self.escape(half, &mut out)?,
                _ => return self.wrong(),
            }
        }
    }

    fn escape(&mut self, half: Half, out: &mut String) -> Result<(), JsonError> {
        let plain = match self.text.as_bytes().get(self.at + 1) {
            Some(b'u') => return self.unicode(half, out),
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return self.wrong(),
        };
        out.push(plain);
        self.at += 2;
        Ok(())
    }

    fn unicode(&mut self, half: Half, out: &mut String) -> Result<(), JsonError> {
        let Some(unit) = self.unit(self.at) else {
            return self.wrong();
        };
        self.at += 6;
        let is_high = matches!(unit, 0xd800..=0xdbff);
        let low = self.unit(self.at);
        let low = low.filter(|low| is_high && matches!(low, 0xdc00..=0xdfff));
        self.at += low.map_or(0, |_| 6);
        for found in char::decode_utf16([Some(unit), low].into_iter().flatten()) {
            match found {
                Ok(found) => out.push(found),
                Err(alone) => half(alone.unpaired_surrogate(), out),
            }
        }
        Ok(())
    }

    /// The UTF-16 unit of `\uXXXX`.
    fn unit(&self, at: usize) -> Option<u16> {
        let digits = self.text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        let are_digits = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let unit = are_digits.then(|| u16::from_str_radix(digits, 16).ok());
        unit.flatten()
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
