//! Attributes of `CloudEvents` in HTTP headers.

use crate::event::Header;

/// Before every attribute's key.
const ATTRIBUTE: &str = "ce_";

/// The value of a header. Of an attribute, what is percent-encoded is decoded once, as section 3.1.3.2
/// of the HTTP binding has it; what would not be UTF-8 then stays as it is.
pub(super) fn percent_decoded(header: Header, value: &str) -> String {
    let plain = || value.to_owned();
    if !header.key().starts_with(ATTRIBUTE) || !value.contains('%') {
        return plain();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| *byte == b'%');
        let decoded = escaped.and_then(|(digits, after)| Some((hex(digits)?, after)));
        let (byte, after) = decoded.unwrap_or((*byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| plain())
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = str::from_utf8(digits).ok()?;
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_cloudevents_are_decoded_once_and_other_headers_are_not() {
        for (encoded, value) in [
            ("entities%2Fhcp1", "entities/hcp1"),
            ("100%25", "100%"),
            ("%2525", "%25"),
            ("%C3%A9", "é"),
            ("%ff", "%ff"),
            ("50%", "50%"),
            ("%+1x", "%+1x"),
        ] {
            assert_eq!(
                percent_decoded(Header::CeSource, encoded),
                value,
                "{encoded}"
            );
        }
        assert_eq!(percent_decoded(Header::Source, "a%2Fb"), "a%2Fb");
    }
}
