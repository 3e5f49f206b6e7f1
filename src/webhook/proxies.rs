//! The proxy that ends TLS before the listener, by its addresses.
//!
//! What others say of where a request came from is not believed, and where the listener has no TLS
//! of its own nothing is taken from them: it came in clear text.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;

use super::config::WebhookListener;
use crate::config::Networks;

/// Who the proxy is, and whether it is the only way in.
#[derive(Debug)]
pub(super) struct Proxies {
    networks: Vec<IpNet>,
    only_way_in: bool,
    told: AtomicBool,
}

impl Proxies {
    pub(super) fn of(listener: &WebhookListener) -> Self {
        let networks = listener.trusted_proxy.as_ref().map(Networks::get);
        Self {
            only_way_in: networks.is_some()
                && listener.tls.is_none()
                && !listener.insecure_plain_http,
            networks: networks.unwrap_or_default(),
            told: AtomicBool::new(false),
        }
    }

    /// Whether `peer` is the proxy.
    pub(super) fn hold(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.networks.iter().any(|network| network.contains(&peer))
    }

    /// Whether nothing is taken from `peer`. Told once, and without the address (G10).
    pub(super) fn refuse(&self, peer: IpAddr) -> bool {
        let refused = self.only_way_in && !self.hold(peer);
        if refused && !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a webhook in clear text from outside webhook.trusted_proxy was refused with 403, \
                 and so will be all like it; if it was the proxy, add its address"
            );
        }
        refused
    }
}
