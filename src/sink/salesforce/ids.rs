//! Record ids: 15 characters where case counts, or the same with a checksum of three.

/// The 18-character form of a record id; `None` if `text` is not one. A query that names anything
/// else as an id fails as a whole, so what a crosswalk says is never trusted to be one.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    if !matches!(text.len(), 15 | 18) || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let short = text.get(..15)?;
    let full = format!("{short}{}", checksum(short)?);
    (text.len() == 15 || full.eq_ignore_ascii_case(text)).then_some(full)
}

/// The 15-character form, as many sources keep it.
pub fn short(id: &str) -> &str {
    id.get(..15).unwrap_or(id)
}

/// One letter for each five characters: which of them are upper case, lowest bit first.
fn checksum(short: &str) -> Option<String> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let letter = |five: &[u8]| {
        let upper = five
            .iter()
            .enumerate()
            .filter(|(_, byte)| byte.is_ascii_uppercase());
        let index: usize = upper.map(|(at, _)| 1 << at).sum();
        LETTERS.get(index).copied().map(char::from)
    };
    short.as_bytes().chunks(5).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_an_id_are_the_same_id() {
        assert_eq!(
            canonical("001A0000006Vm9r").as_deref(),
            Some("001A0000006Vm9rIAC")
        );
        assert_eq!(
            canonical("001A0000006Vm9rIAC").as_deref(),
            Some("001A0000006Vm9rIAC")
        );
        assert_eq!(short("001A0000006Vm9rIAC"), "001A0000006Vm9r");
    }

    #[test]
    fn what_is_no_record_id_is_never_queried_as_one() {
        for text in [
            "",
            "x",
            "001A0000006Vm9rIAD",
            "001A0000006Vm9' OR Id != '",
            "00158967",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
