//! What only several keys together, or a value's meaning, can violate in a `cache` sink.

use crate::config::{At, Rules, address, bytes};
use crate::sink::directory;
use crate::tls;

/// Below this, blocks of indexes and filters push each other out.
const LEAST_MEMORY: u64 = 8 << 20;

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("dir") {
        directory::own(top, &at, rules);
    }
    listener(section, rules);
    if let Some(at) = section.get("memory")
        && bytes(Some(&at), "64MiB") < LEAST_MEMORY
    {
        rules.refuse(&at, "must be at least 8MiB");
    }
    rules.period(section, &["stale_after"], ("1s", "365d"));
    rules.period(section, &["purge_after"], ("1m", "30d"));
    rules.period(section, &["linger"], ("0s", "10s"));
}

/// The rules of the admin listener, save that a token is always there.
fn listener(section: &At<'_>, rules: &mut Rules<'_>) {
    let plain = section.is_true("insecure_plain_http");
    let tls = section.get("tls");
    match &tls {
        Some(tls) if plain => rules.refuse(tls, "remove it, or remove insecure_plain_http"),
        Some(tls) => tls::check(tls, rules),
        None => {}
    }
    let Some(at) = section.get("address") else {
        return;
    };
    match address(&at) {
        Some(Err(())) => {
            rules.refuse(
                &at,
                "write an IP address and a port, such as 127.0.0.1:9465",
            );
        }
        Some(Ok(address)) if !address.ip().is_loopback() && tls.is_none() && !plain => {
            rules.refuse(
                &at,
                "add tls with cert_file and key_file, or listen on 127.0.0.1; \
                 insecure_plain_http: true sends tokens and golden records in clear text",
            );
        }
        Some(Ok(_)) | None => {}
    }
}
