//! What only several keys of a `salesforce` sink together, or a value's meaning, can violate.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::config::{At, Period, Rules};
use crate::event::short_name;

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if top.get("reltio").is_none() {
        let remedy = "missing; add Reltio's API: who survived a merge is read there";
        rules.missing(top, "reltio", remedy);
    }
    rules.https(section, "login_url");
    login(section, rules);
    if let Some(at) = section.get("api_version")
        && at.text().is_some_and(|text| !is_version(text))
    {
        rules.refuse(&at, "write a version such as v66.0");
    }
    if let Some(at) = section.down(&["quota", "per_second"])
        && at.value.as_u64() == Some(0)
    {
        rules.refuse(&at, "must be at least 1");
    }
    if let Some(at) = section.get("daily_share")
        && at.value.as_f64().is_some_and(|share| share <= 0.0)
    {
        rules.refuse(&at, "write a share above 0 and up to 1");
    }
    if let Some(at) = section.get("crosswalk_source")
        && at
            .text()
            .is_some_and(|text| short_name(text.trim()).is_empty())
    {
        rules.refuse(
            &at,
            "write the source's name as Reltio has it: SFDC_CONTACT",
        );
    }
    let mut types = BTreeMap::new();
    for (name, at) in section
        .get("objects")
        .map(|objects| objects.entries())
        .unwrap_or_default()
    {
        if let Some(other) = types.insert(short_name(name), name) {
            rules.refuse(
                &at,
                format!("is the same type as `{other}`; keep one of them"),
            );
        }
        let fields = at.get("fields").map(|fields| fields.entries());
        for (_, field) in fields.unwrap_or_default() {
            let Some(or) = field.get("attribute_or") else {
                continue;
            };
            let keeps = or.value.get("on_empty").and_then(Value::as_str) == Some("keep");
            if let (true, true, Some(clear)) = (keeps, or.is_true("clear"), or.get("clear")) {
                rules.refuse(&clear, "contradicts on_empty: keep; keep one of them");
            }
        }
    }
    rules.period(section, &["linger"], ("0s", "10s"));
    let request = rules.period(section, &["request_timeout"], ("1s", "10m"));
    let longest = rules.period(section, &["longest_request"], ("100ms", "1h"));
    let request = request.unwrap_or_else(|| Period::from("60s").get());
    if let (Some(longest), Some(at)) = (longest, section.get("longest_request"))
        && longest < request
        && section.get("request_timeout").is_some()
    {
        rules.refuse(&at, "must not be shorter than request_timeout");
    }
}

/// One way to log in, at an address that serves it.
fn login(section: &At<'_>, rules: &mut Rules<'_>) {
    match (section.get("client_secret"), section.get("jwt")) {
        (None, None) => {
            let remedy = "missing; add the secret of the client credentials flow, or the key `jwt`";
            rules.missing(section, "client_secret", remedy);
        }
        (Some(_), Some(at)) => rules.refuse(
            &at,
            "is one way to log in too many: keep this or client_secret",
        ),
        (Some(_), None) => {
            if let Some(at) = section.get("login_url")
                && at.text().is_some_and(is_for_all_orgs)
            {
                rules.refuse(
                    &at,
                    "client credentials are granted at the org's own address only; write its My \
                     Domain, https://example.my.salesforce.com (Setup, My Domain), or use `jwt`",
                );
            }
        }
        (None, Some(_)) => {}
    }
}

/// Whether it is an address that all orgs share.
fn is_for_all_orgs(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':', '?']).next().unwrap_or_default();
    ["login.salesforce.com", "test.salesforce.com"]
        .iter()
        .any(|shared| host.eq_ignore_ascii_case(shared))
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    parts.is_some_and(|(major, minor)| digits(major) && digits(minor))
}
