//! Record ids: 15 characters where case counts, or the same with a checksum of three that tells
//! which of them are upper case.
//!
//! Guarantee: what a crosswalk says is taken for an id only if it is one beyond doubt. Sources that
//! ignore case fold ids; of 18 characters the case comes back from the last three, of 15 it is lost.

/// The 18-character form of a record id; `None` if `text` is not one. A query that names anything
/// else as an id fails as a whole, so what a crosswalk says is never trusted to be one.
pub fn canonical(text: &str) -> Option<String> {
    let text = text.trim();
    if !matches!(text.len(), 15 | 18) || !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (given, suffix) = text.split_at_checked(15)?;
    if suffix.is_empty() {
        return Some(format!("{given}{}", checksum(given)?));
    }
    let suffix = suffix.to_ascii_uppercase();
    let told = cased(given, &suffix)?;
    // A case that is neither what the suffix tells nor lost altogether is a mistake of somebody's.
    (told == given || is_of_one_case(text)).then(|| told + &suffix)
}

/// Whether `text` is 15 characters whose case may have been folded: which were upper case, nothing
/// tells. A single letter is no sign of it: it has to be of one case.
pub(super) fn may_be_folded(text: &str) -> bool {
    let text = text.trim();
    let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
    text.len() == 15 && letters > 1 && is_of_one_case(text)
}

/// How sources may write the id of 18 characters: whole, short, and with its case folded.
pub(super) fn spellings(id: &str) -> Vec<String> {
    let mut forms = vec![id.to_owned(), short(id).to_owned()];
    for folded in [id.to_ascii_uppercase(), id.to_ascii_lowercase()] {
        if !forms.contains(&folded) {
            forms.push(folded);
        }
    }
    forms
}

/// The 15-character form, as many sources keep it.
pub fn short(id: &str) -> &str {
    id.get(..15).unwrap_or(id)
}

fn is_of_one_case(text: &str) -> bool {
    let any = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    !any(u8::is_ascii_uppercase) || !any(u8::is_ascii_lowercase)
}

/// The characters of `given` in the case that `suffix` tells; nothing if it asks for an upper-case
/// digit, or is no checksum.
fn cased(given: &str, suffix: &str) -> Option<String> {
    let mut told = String::with_capacity(18);
    for (five, check) in given.as_bytes().chunks(5).zip(suffix.bytes()) {
        let bits = LETTERS.iter().position(|letter| *letter == check)?;
        for (at, byte) in five.iter().enumerate() {
            let upper = bits >> at & 1 == 1;
            if upper && !byte.is_ascii_alphabetic() {
                return None;
            }
            let byte = if upper {
                byte.to_ascii_uppercase()
            } else {
                byte.to_ascii_lowercase()
            };
            told.push(char::from(byte));
        }
    }
    Some(told)
}

const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// One letter for each five characters: which of them are upper case, lowest bit first.
fn checksum(short: &str) -> Option<String> {
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
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_id_comes_back_from_its_folded_form(short in "[0-9a-zA-Z]{15}") {
            let id = canonical(&short).unwrap();
            prop_assert_eq!(id.get(..15), Some(short.as_str()));
            for spelling in spellings(&id) {
                prop_assert_eq!(canonical(&spelling), Some(id.clone()));
            }
        }
    }

    #[test]
    fn a_short_id_of_one_case_may_have_been_folded() {
        assert!(may_be_folded("003ABCDEFGHIJKL") && may_be_folded("003abcdefghijkl"));
        for plain in [
            "003000000000001",
            "003P00000000001",
            "001A0000006Vm9r",
            "001A0000006Vm9rIAC",
        ] {
            assert!(!may_be_folded(plain), "{plain}");
        }
    }

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
            "001a0000006Vm9rIAC",
            "003000000000000ZZZ",
            "001A0000006Vm9' OR Id != '",
            "00158967",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
    }
}
