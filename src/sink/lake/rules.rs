//! What only several keys together, or a value's meaning, can violate in a `lake` sink.

use crate::config::{At, Rules, bytes};
use crate::http::snowflake::unfit;
use crate::sink::row::COLUMNS;
use crate::sink::{append, columns};

/// What the endpoint of an object store may be called.
const ENDPOINTS: [&str; 4] = [
    "endpoint",
    "aws_endpoint",
    "aws_endpoint_url",
    "azure_endpoint",
];

/// Columns of the files' folders, and of the tables that are made of them, beside a row's own.
const MORE: [&str; 5] = ["date", "loaded_at", "valid_from", "valid_to", "is_current"];

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    bucket(section, rules);
    if let Some(mirror) = section.get("mirror") {
        bucket(&mirror, rules);
        let place = |at: &At<'_>| at.get("url").and_then(|url| url.text().map(str::to_owned));
        if let (Some(at), Some(first)) = (mirror.get("url"), place(section))
            && at.text() == Some(first.as_str())
        {
            rules.refuse(&at, "is the sink's own url; name another place");
        }
    }
    if let Some(pipe) = section.get("snowpipe") {
        snowpipe(&pipe, rules);
    }
    erasure(section, rules);
    columns::check(section, &[&COLUMNS[..], &MORE].concat(), rules);
    append::window(top, section, rules);
    rules.period(section, &["roll", "age"], ("1s", "1d"));
    for (keys, least) in [(&["memory"][..], "8MiB"), (&["roll", "bytes"], "64KiB")] {
        if let Some(at) = section.down(keys)
            && bytes(Some(&at), least) < bytes(None, least)
        {
            rules.refuse(&at, format!("must be at least {least}"));
        }
    }
}

/// Whether the URL of an object store says more than a bucket and a prefix: what is shown everywhere
/// must hold no secret (G10). Azure names the account after the container, as a user is named.
fn says_more(scheme: &str, url: &str) -> bool {
    let (user, rest) = match url.split_once("://").and_then(|(_, it)| it.split_once('@')) {
        Some((user, rest)) if ["abfs", "abfss", "az"].contains(&scheme) => (user, rest),
        _ => ("", url),
    };
    scheme != "file"
        && (user.contains(':') || rest.contains('@') || url.contains(['{', '}', '?', '#']))
}

/// A pipe that is told of files.
fn snowpipe(section: &At<'_>, rules: &mut Rules<'_>) {
    rules.https(section, "url");
    rules.period(section, &["request_timeout"], ("1s", "10m"));
    let account = section.get("account");
    if let Some(at) = account
        && let Some(remedy) = at.text().and_then(unfit)
    {
        rules.refuse(&at, remedy);
    }
    let plain = |name: &str| {
        let known = |letter: char| letter.is_ascii_alphanumeric() || "_$".contains(letter);
        !name.is_empty() && name.chars().all(known)
    };
    if let Some(at) = section.get("pipe")
        && let Some(text) = at.text()
        && (text.split('.').count() != 3 || !text.split('.').all(plain))
    {
        rules.refuse(&at, "write DATABASE.SCHEMA.PIPE, without quotes");
    }
}

/// What becomes of erased subjects has to be said.
fn erasure(section: &At<'_>, rules: &mut Rules<'_>) {
    let keeps = section.is_true("keeps_erased_records");
    match section.get("erase_within") {
        Some(at) if keeps => rules.refuse(&at, "remove it, or remove keeps_erased_records"),
        Some(_) => {
            rules.period(section, &["erase_within"], ("1h", "90d"));
        }
        None if keeps => {}
        None => rules.missing(
            section,
            "erase_within",
            "missing; add the time within which erased subjects (GDPR) are taken out of the files, \
             as 7d, or `keeps_erased_records: true` if they may stay there",
        ),
    }
}

/// A place: what its URL may be, and that nothing is sent in clear text unless that is meant.
fn bucket(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("url")
        && let Some(text) = at.text()
    {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let known = ["s3", "s3a", "gs", "az", "abfs", "abfss", "file"];
        if scheme.is_some_and(|scheme| !known.contains(&scheme)) {
            let remedy = "write s3://bucket/prefix, gs://…, abfss://…, or a directory";
            rules.refuse(&at, remedy);
        } else if text.is_empty() || scheme.is_some_and(|scheme| says_more(scheme, text)) {
            rules.refuse(
                &at,
                "write a bucket and a prefix; credentials go into options",
            );
        }
    }
    for name in ENDPOINTS {
        let Some(at) = section.down(&["options", name]) else {
            continue;
        };
        let plain = at.text().is_some_and(|text| text.starts_with("http://"));
        if plain && !section.is_true("insecure_plain_http") {
            rules.refuse(
                &at,
                "use https://; golden records are sent there (insecure_plain_http is for tests)",
            );
        }
    }
}
