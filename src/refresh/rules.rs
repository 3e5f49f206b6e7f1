//! What only several keys of a refresh together, or a value's meaning, can violate.

use crate::config::{At, Rules, one_kind};

/// The rules of one refresh. `top` is the whole configuration.
pub(crate) fn check(top: &At<'_>, refresh: &At<'_>, rules: &mut Rules<'_>) {
    let sinks = top.get("sinks").map(|sinks| sinks.entries());
    let sinks: Vec<&str> = sinks
        .unwrap_or_default()
        .iter()
        .map(|(name, _)| *name)
        .collect();
    if let Some(after) = refresh.get("after")
        && !sinks.is_empty()
        && after.text().is_some_and(|text| !sinks.contains(&text))
    {
        let known = sinks.join(", ");
        rules.refuse(&after, format!("name a sink; there are {known}"));
    }
    rules.period(refresh, &["min_interval"], ("1m", "24h"));
    let Some((kind, section)) = one_kind(refresh, &["power_bi", "tableau"], rules) else {
        return;
    };
    rules.https(&section, "url");
    rules.period(&section, &["request_timeout"], ("1s", "1m"));
    if kind == "power_bi" {
        rules.https(&section, "login_url");
        for key in ["tenant_id", "group_id", "dataset_id"] {
            part_of_url(&section, key, rules);
        }
    } else {
        for key in ["api_version", "datasource", "workbook"] {
            part_of_url(&section, key, rules);
        }
        either(&section, ["personal_access_token", "connected_app"], rules);
        either(&section, ["datasource", "workbook"], rules);
    }
}

/// It becomes a part of an address.
fn part_of_url(section: &At<'_>, key: &str, rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if let Some(at) = section.get(key)
        && at
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(&at, "write the id alone: letters, digits, `-`, `_` and `.`");
    }
}

fn either(section: &At<'_>, [first, second]: [&str; 2], rules: &mut Rules<'_>) {
    match (section.get(first), section.get(second)) {
        (None, None) => rules.missing(section, first, format!("missing; add it or `{second}`")),
        (Some(_), Some(at)) => rules.refuse(&at, format!("keep this or `{first}`, not both")),
        (Some(_), None) | (None, Some(_)) => {}
    }
}
