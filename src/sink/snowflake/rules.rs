//! What only several keys together, or a value's meaning, can violate in a `snowflake` sink.

use uuid::Uuid;

use crate::config::{At, Rules};
use crate::http::snowflake::unfit;
use crate::sink::append;

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    rules.https(section, "url");
    if let Some(at) = section.get("account")
        && let Some(remedy) = at.text().and_then(unfit)
    {
        rules.refuse(&at, remedy);
    }
    for key in ["user", "role", "database", "schema", "table", "pipe"] {
        names(section, key, rules);
    }
    let pieces = section.get("deleted_pieces");
    for at in pieces.iter().flat_map(At::items) {
        if at.text().is_some_and(|text| Uuid::try_parse(text).is_err()) {
            rules.refuse(
                &at,
                "write the piece as the halt shows it, 32 hexadecimal digits",
            );
        }
    }
    if !section.is_true("keeps_erased_records") {
        let remedy = "add `true` if rows of erased subjects (GDPR) may stay in the table until the \
                      task that `goldwire schema snowflake` prints deletes them";
        match section.get("keeps_erased_records") {
            Some(at) => rules.refuse(&at, remedy),
            None => rules.missing(
                section,
                "keeps_erased_records",
                format!("missing; {remedy}"),
            ),
        }
    }
    append::window(top, section, rules);
    rules.period(section, &["roll", "age"], ("1s", "1d"));
    rules.period(section, &["commit_timeout"], ("1s", "1h"));
    rules.period(section, &["request_timeout"], ("1s", "10m"));
}

/// A name that needs no quotes: Snowflake keeps it in upper case, however it is written here.
fn names(section: &At<'_>, key: &str, rules: &mut Rules<'_>) {
    let Some(at) = section.get(key) else { return };
    let Some(text) = at.text() else { return };
    let first = text.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    // The default pipe's name has a hyphen; a user's may be an address.
    let more = match key {
        "pipe" => "_$-",
        "user" => "_$-.@",
        _ => "_$",
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || more.contains(letter);
    if !first || !text.chars().all(plain) {
        rules.refuse(
            &at,
            "write a name of letters, digits, _ and $, without quotes",
        );
    }
}
