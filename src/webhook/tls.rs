//! TLS: the listener's certificate, and the handshake.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ServeError;
use super::wire::Wire;
use crate::config::Tls;

/// Makes the handshake.
#[derive(Debug, Clone)]
pub(super) struct Greeting(RustlsAcceptor);

impl Greeting {
    /// With the files that `tls` names; a handshake may take `longest`, then it is cut off.
    pub(super) async fn new(tls: &Tls, longest: Duration) -> Result<Self, ServeError> {
        let config = RustlsConfig::from_config(server_config(tls).await?);
        Ok(Self(RustlsAcceptor::new(config).handshake_timeout(longest)))
    }
}

impl<S: Send + 'static> Accept<Wire, S> for Greeting {
    type Stream = <RustlsAcceptor as Accept<Wire, S>>::Stream;
    type Service = S;
    type Future = BoxFuture<'static, io::Result<(Self::Stream, S)>>;

    fn accept(&self, wire: Wire, service: S) -> Self::Future {
        let peer = wire.peer().clone();
        let greeting = self.0.accept(wire, service);
        greeting.inspect(move |_| peer.greeted()).boxed()
    }
}

/// TLS 1.2 and 1.3 with ring, HTTP/2 before HTTP/1.1.
async fn server_config(tls: &Tls) -> Result<Arc<ServerConfig>, ServeError> {
    let refused = |key: &str, file: &Path, why: &dyn std::fmt::Display| {
        ServeError::Refused(format!("webhook.tls.{key}: {}: {why}", file.display()))
    };
    let chain = tokio::fs::read(&tls.cert_file)
        .await
        .map_err(|error| refused("cert_file", &tls.cert_file, &error))?;
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| {
            refused(
                "cert_file",
                &tls.cert_file,
                &"is no PEM; give the chain as PEM",
            )
        })?;
    if chain.is_empty() {
        return Err(refused(
            "cert_file",
            &tls.cert_file,
            &"holds no certificate; give the chain as PEM",
        ));
    }
    let key = tokio::fs::read(&tls.key_file)
        .await
        .map_err(|error| refused("key_file", &tls.key_file, &error))?;
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| refused("key_file", &tls.key_file, &"holds no private key in PEM"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused("cert_file", &tls.cert_file, &error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| refused("key_file", &tls.key_file, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
