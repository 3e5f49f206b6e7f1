//! What a value's meaning can violate in a `warehouse` sink.

use crate::config::{At, Rules};

pub(super) fn check(_: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("url")
        && let Some(text) = at.text()
        && let Err(why) = super::check_url(text, section.is_true("insecure_plaintext"))
    {
        rules.refuse(&at, format!("it {why}"));
    }
    super::columns::check(section, rules);
    rules.period(section, &["linger"], ("0s", "10s"));
    rules.period(section, &["statement_timeout"], ("100ms", "1h"));
}
