//! What only several keys together, or a value's meaning, can violate in the sections of webhooks.

use super::signature::check_secret;
use crate::config::{At, Rules, Secret, address, network};
use crate::tls;

/// The rules of the listener.
pub(crate) fn listener(top: &At<'_>, rules: &mut Rules<'_>) {
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
        Some(tls) => tls::check(&tls, rules),
        None => {}
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

/// The rules of an endpoint.
pub(crate) fn endpoint(section: &At<'_>, rules: &mut Rules<'_>) {
    let scheme = section.get("scheme").map(|at| at.value.clone());
    let scheme = scheme.and_then(|scheme| serde_json::from_value(scheme).ok());
    let (Some(scheme), Some(secrets)) = (scheme, section.get("secrets")) else {
        return;
    };
    for secret in secrets.items() {
        let text = secret.text().filter(|text| !text.is_empty());
        if let Some(Err(why)) = text.map(|text| check_secret(scheme, &Secret::new(text))) {
            rules.refuse(&secret, why);
        }
    }
}
