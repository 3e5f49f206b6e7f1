//! The known word that somebody probably meant.

/// The nearest of `known` to `word`, if one is near. Case and `_` count for nothing, since INT-004
/// writes its keys in another style.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = plain(word);
    let near = plain.chars().count() / 3 + 1;
    known
        .map(|known| (strsim::levenshtein(&plain, &self::plain(known)), known))
        .filter(|(distance, _)| *distance <= near)
        .min()
        .map(|(_, known)| known)
}

fn plain(word: &str) -> String {
    let letters = word.chars().filter(|letter| letter.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_recognised_and_a_strange_one_is_not() {
        let known = ["login_url", "client_id", "client_secret"];
        assert_eq!(nearest("loginUrl", known.into_iter()), Some("login_url"));
        assert_eq!(
            nearest("client_sercet", known.into_iter()),
            Some("client_secret")
        );
        assert_eq!(nearest("batch", known.into_iter()), None);
    }
}
