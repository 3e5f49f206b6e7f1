//! What a refusal says of the place that it is about: a shape, never what stands there (G10).

use std::fmt;

/// What stands where something else was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The empty text.
    Nothing,
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
    /// A whole number, as a number or as text.
    Digits(usize),
    /// A number that is not whole, or has a sign or an exponent.
    Number,
    /// Other text, of so many characters.
    Text(usize),
    /// A time that does not say of which zone.
    LocalTime,
    /// The same member again.
    Twice,
    /// A second place for what this member holds.
    Beside(&'static str),
}

impl Found {
    /// The shape of a JSON value.
    pub(super) fn json(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b't' | b'f') => Self::Boolean,
            Some(b'n') => Self::Null,
            Some(b'"') => serde_json::from_str::<String>(json)
                .map_or(Self::Text(json.len()), |text| Self::text(&text)),
            _ => Self::text(json),
        }
    }

    /// The shape of a text.
    pub(super) fn text(text: &str) -> Self {
        let digits = |byte: u8| byte.is_ascii_digit();
        if text.is_empty() {
            Self::Nothing
        } else if text.bytes().all(digits) {
            Self::Digits(text.len())
        } else if text.parse::<f64>().is_ok() {
            Self::Number
        } else if text.parse::<jiff::civil::Date>().is_ok() {
            Self::LocalTime
        } else {
            Self::Text(text.chars().count())
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("an empty text"),
            Self::Null => f.write_str("null"),
            Self::Boolean => f.write_str("true or false"),
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
            Self::Digits(digits) => write!(f, "a number of {digits} digits"),
            Self::Number => f.write_str("a number with a sign, a fraction or an exponent"),
            Self::Text(characters) => write!(f, "text of {characters} characters"),
            Self::LocalTime => f.write_str("a date or a time without an offset"),
            Self::Twice => f.write_str("the same member twice"),
            Self::Beside(member) => write!(f, "it beside `{member}`"),
        }
    }
}

/// Where something is said about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the record's headers.
    Headers,
    /// In an envelope's attributes or properties.
    Attributes,
    /// In an envelope, beside what it holds.
    Envelope,
    /// In the event.
    Event,
    /// In this member of the event.
    Member(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Headers => f.write_str("the headers"),
            Self::Attributes => f.write_str("the envelope's attributes"),
            Self::Envelope => f.write_str("the envelope"),
            Self::Event => f.write_str("the event"),
            Self::Member(member) => write!(f, "`{member}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g10_a_shape_shows_nothing_of_the_value() {
        let secret = "Margarethe";
        let shapes = [
            (r#""Margarethe""#, "text of 10 characters"),
            (r#"["Margarethe"]"#, "an array"),
            (r#"{"a":"Margarethe"}"#, "an object"),
            (r#""""#, "an empty text"),
            ("17", "a number of 2 digits"),
            (r#""17""#, "a number of 2 digits"),
            ("1.5", "a number with a sign, a fraction or an exponent"),
            ("true", "true or false"),
            ("null", "null"),
            (
                r#""2024-07-12T08:38:30""#,
                "a date or a time without an offset",
            ),
        ];
        for (json, shape) in shapes {
            let shown = Found::json(json).to_string();
            assert_eq!(shown, shape, "{json}");
            assert!(!shown.contains(secret));
        }
    }
}
