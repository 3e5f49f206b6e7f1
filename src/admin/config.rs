//! The configuration of the admin listener, and what only several keys together can violate.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Rules, Secret, address};

/// Health, metrics and control.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port. Anything but loopback needs `token`.
    pub address: SocketAddr,
    /// Bearer token for everything but `/livez` and `/readyz`.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 9464)),
            token: None,
        }
    }
}

/// The rules of the section `admin`.
pub(crate) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
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
