//! Record ids: 15 characters where case counts, or the same with a checksum of three.

/// The 18-character form of a record id; `None` if `text` is not one.
pub(super) fn canonical(text: &str) -> Option<String> {
    let is_id = matches!(text.len(), 15 | 18) && text.bytes().all(|it| it.is_ascii_alphanumeric());
    let short = text.get(..15).filter(|_| is_id)?;
    let full: String = short
        .chars()
        .chain(short.as_bytes().chunks(5).map(check))
        .collect();
    (text.len() == 15 || full.eq_ignore_ascii_case(text)).then_some(full)
}

/// Which of five characters are upper case, as one character: the first counts least.
fn check(five: &[u8]) -> char {
    let bits = five.iter().rev().fold(0_u8, |bits, byte| {
        bits << 1 | u8::from(byte.is_ascii_uppercase())
    });
    char::from(if bits < 26 {
        b'A' + bits
    } else {
        b'0' + bits - 26
    })
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn both_forms_of_an_id_are_the_same_id_and_nothing_else_is_one() {
        let full = Some("001A0000006Vm9rIAC");
        for same in [
            "001A0000006Vm9r",
            "001A0000006Vm9rIAC",
            "001A0000006Vm9riac",
        ] {
            assert_eq!(canonical(same).as_deref(), full, "{same}");
        }
        for other in ["", "x", "001A0000006Vm9rIAD", "001A0000006Vm9-"] {
            assert_eq!(canonical(other), None, "{other}");
        }
    }
}
