//! The configuration of the admin listener, and what only several keys together can violate.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Rules, Secret, address};
use crate::tls::{self, Tls};

/// Health, metrics, dead letters, and pausing of sinks.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port. Anything but loopback needs `token`, and `tls` or the last key below.
    pub address: SocketAddr,
    /// Bearer token for everything but `/livez` and `/readyz`.
    pub token: Option<Secret>,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// Answers outside loopback over plain HTTP, token and dead letters included: for a network that
    /// no one else sees, or behind a proxy that ends TLS.
    pub insecure_plain_http: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 9464)),
            token: None,
            tls: None,
            insecure_plain_http: false,
        }
    }
}

/// What to do about a listener that others could reach. `private`: by TLS, or clear text was asked
/// for by name.
pub(super) fn lacks(address: SocketAddr, token: bool, private: bool) -> Option<&'static str> {
    match (token, private) {
        _ if address.ip().is_loopback() => None,
        (false, _) => Some("add admin.token, or listen on 127.0.0.1"),
        (true, false) => Some(
            "add admin.tls with cert_file and key_file, or listen on 127.0.0.1; \
             admin.insecure_plain_http: true sends the token and dead letters in clear text",
        ),
        (true, true) => None,
    }
}

/// The rules of the section `admin`.
pub(crate) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(admin) = top.get("admin") else {
        return;
    };
    let (tls, plain) = (admin.get("tls"), admin.is_true("insecure_plain_http"));
    match &tls {
        Some(tls) if plain => rules.refuse(tls, "remove it, or remove insecure_plain_http"),
        Some(tls) => tls::check(tls, rules),
        None => {}
    }
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
        Some(Ok(parsed)) => {
            let token = admin.get("token").is_some();
            if let Some(remedy) = lacks(parsed, token, tls.is_some() || plain) {
                rules.refuse(&at, remedy);
            }
        }
        None => {}
    }
}
