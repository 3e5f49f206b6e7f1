//! Rules of the top level: names, listeners, Reltio, logs, delivery.

use std::net::SocketAddr;

use super::{At, Rules, address, bytes};
use crate::config::values::network;
use crate::config::{Admin, Tls};
use crate::webhook::tls;

pub(super) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    names(top, rules);
    listener(top, rules);
    admin(top, rules);
    reltio(top, rules);
    logs(top, rules);
    delivery(top, rules);
}

fn names(top: &At<'_>, rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    if let Some(app) = top.get("app")
        && app
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(
            &app,
            "use letters, digits, `.`, `-` and `_` only: it names consumer groups",
        );
    }
    if let Some(tenant) = top.get("tenant")
        && tenant
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(&tenant, "write the tenant's id, as in the URL of its API");
    }
    if let Some(dir) = top.get("data_dir")
        && dir.text().is_some_and(str::is_empty)
    {
        rules.refuse(&dir, "write the path of a directory on a persistent disk");
    }
}

fn listener(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(listener) = top.get("webhook") else {
        return;
    };
    if let Some(at) = listener.get("address")
        && address(&at).is_some_and(|parsed| parsed.is_err())
    {
        rules.refuse(&at, "write an IP address and a port, such as 0.0.0.0:8443");
    }
    let plain = listener.is_true("insecure_plain_http");
    match listener.get("tls") {
        None if !plain && listener.get("trusted_proxy").is_none() => rules.missing(
            &listener,
            "tls",
            "missing; add cert_file and key_file, or the addresses of the proxy that ends TLS as trusted_proxy",
        ),
        Some(tls) if plain => rules.refuse(&tls, "remove it, or remove insecure_plain_http"),
        Some(tls) if rules.check.serves => files(&tls, rules),
        _ => {}
    }
    if let Some(proxy) = listener.get("trusted_proxy") {
        let written = if proxy.text().is_some() {
            vec![proxy]
        } else {
            proxy.items()
        };
        let no_network = |at: &At<'_>| at.text().is_some_and(|text| network(text).is_none());
        for at in written.iter().filter(|at| no_network(at)) {
            rules.refuse(
                at,
                "write the proxy's address or network, such as 10.0.0.7 or 10.0.0.0/8",
            );
        }
    }
    // An answer that begins at the deadline has to arrive within Reltio's five seconds.
    rules.period(&listener, &["deadline"], ("100ms", "4500ms"));
}

fn files(at: &At<'_>, rules: &mut Rules<'_>) {
    let Ok(files) = serde_json::from_value::<Tls>(at.value.clone()) else {
        return;
    };
    for unusable in tls::server_config(&files).err().unwrap_or_default() {
        if let Some(at) = at.get(unusable.key) {
            rules.refuse(&at, unusable.why);
        }
    }
}

fn admin(top: &At<'_>, rules: &mut Rules<'_>) {
    ports(top, rules);
    let Some(admin) = top.get("admin") else {
        return;
    };
    let Some(at) = admin.get("address") else {
        return;
    };
    match address(&at) {
        Some(Err(())) => {
            rules.refuse(
                &at,
                "write an IP address and a port, such as 127.0.0.1:9464",
            );
        }
        Some(Ok(parsed)) if !parsed.ip().is_loopback() && admin.get("token").is_none() => {
            rules.refuse(&at, "add admin.token, or listen on 127.0.0.1");
        }
        _ => {}
    }
}

/// The two listeners do not get in each other's way.
fn ports(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(webhook) = top.down(&["webhook", "address"]) else {
        return;
    };
    let admin = top.down(&["admin", "address"]);
    let here = match &admin {
        Some(admin) => address(admin),
        None => Some(Ok(Admin::default().address)),
    };
    let (Some(Ok(there)), Some(Ok(here))) = (address(&webhook), here) else {
        return;
    };
    // Port 0 is any free one, so twice is no conflict.
    if there.port() != here.port() || here.port() == 0 {
        return;
    }
    if there.ip() == here.ip() || covers(there, here) || covers(here, there) {
        match &admin {
            Some(admin) => rules.refuse(admin, "give it another port than webhook.address"),
            None => rules.refuse(
                &webhook,
                format!("{here} is admin.address; take another port"),
            ),
        }
    }
}

/// Whether who listens at `all` takes what goes to `one`.
fn covers(all: SocketAddr, one: SocketAddr) -> bool {
    // IPv6's unspecified address stands for IPv4's addresses too.
    all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

fn reltio(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(api) = top.get("reltio") else { return };
    rules.https(&api, "url");
    rules.https(&api, "auth_url");
    rules.period(&api, &["request_timeout"], ("1s", "5m"));
    if let Some(rate) = api.get("requests_per_second")
        && rate.value.as_u64() == Some(0)
    {
        rules.refuse(&rate, "must be at least 1");
    }
    let skew = rules.period(&api, &["clock_skew"], ("0s", "1m"));
    let settle = rules.period(&api, &["settle"], ("0s", "10m"));
    let (skew, settle) = match (skew, settle) {
        (None, None) => return,
        (skew, settle) => (
            skew.unwrap_or_else(|| crate::config::Period::from("1s").get()),
            settle.unwrap_or_else(|| crate::config::Period::from("10s").get()),
        ),
    };
    if settle <= skew {
        let at = api.get("settle").or_else(|| api.get("clock_skew"));
        if let Some(at) = at {
            rules.refuse(
                &at,
                "settle must be longer than clock_skew, or a read may miss the change",
            );
        }
    }
}

fn logs(top: &At<'_>, rules: &mut Rules<'_>) {
    let log = top.get("log");
    let of = |key: &str| log.as_ref().and_then(|log| log.get(key));
    let segment = bytes(of("segment").as_ref(), "16MiB");
    if let Some(at) = of("segment")
        && segment < 4096
    {
        rules.refuse(&at, "must be at least 4KiB");
    }
    let partitions = of("partitions")
        .and_then(|at| at.value.as_u64())
        .unwrap_or(8);
    // Only whole segments are given back, so every partition needs one to write and one to read.
    let least = segment.saturating_mul(partitions).saturating_mul(2);
    if bytes(of("quota").as_ref(), "10GiB") < least {
        let at = of("quota")
            .or_else(|| of("segment"))
            .or_else(|| of("partitions"));
        if let Some(at) = at {
            let remedy = format!("log.quota must be at least {least}B: two segments a partition");
            rules.refuse(&at, remedy);
        }
    }
    let inbox = top.down(&["inbox", "quota"]);
    let least = segment.saturating_mul(2);
    if let Some(at) = inbox
        && bytes(Some(&at), "1GiB") < least
    {
        rules.refuse(
            &at,
            format!("must be at least {least}B: two segments of log.segment"),
        );
    }
    if let Some(log) = &log {
        rules.period(log, &["keep"], ("0s", "365d"));
    }
}

fn delivery(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(delivery) = top.get("delivery") else {
        return;
    };
    rules.period(&delivery, &["commit_interval"], ("1ms", "1m"));
    // Kafka gives a member five minutes between polls.
    rules.period(&delivery, &["drain_timeout"], ("100ms", "4m"));
    if let Some(at) = delivery.get("in_flight_bytes")
        && bytes(Some(&at), "32MiB") < 1024
    {
        rules.refuse(&at, "must be at least 1KiB");
    }
    if let Some(at) = delivery.get("memory")
        && bytes(Some(&at), "512MiB") < 1 << 20
    {
        rules.refuse(&at, "must be at least 1MiB");
    }
    let Some(retry) = delivery.get("retry") else {
        return;
    };
    let first = rules.period(&retry, &["first"], ("1ms", "1h"));
    let longest = rules.period(&retry, &["longest"], ("1ms", "1h"));
    if let (Some(first), Some(longest), Some(at)) = (first, longest, retry.get("longest"))
        && first > longest
    {
        rules.refuse(&at, "must not be shorter than delivery.retry.first");
    }
}
