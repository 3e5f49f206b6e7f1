//! How commands reach the process that runs with the same configuration.

use std::net::SocketAddr;

use reqwest::ClientBuilder;

use crate::admin::Admin;
use crate::tls;

/// A client of the admin listener, and what its URLs begin with.
///
/// # Errors
/// If the certificate of `admin.tls` cannot be read: it is the one that is believed.
pub(super) fn client(admin: &Admin) -> Result<(ClientBuilder, String), String> {
    tls::use_ring();
    let builder = reqwest::Client::builder().no_proxy();
    let address = reachable(admin.address);
    let Some(tls) = &admin.tls else {
        return Ok((builder, format!("http://{address}")));
    };
    let pinned = tls::pinned(tls).map_err(|why| format!("admin.tls.cert_file: {why}"))?;
    let builder = builder.tls_backend_preconfigured(pinned);
    Ok((builder, format!("https://{address}")))
}

/// Where a listener at `address` is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
