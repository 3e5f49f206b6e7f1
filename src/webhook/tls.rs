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
use super::config::Tls;
use crate::config::read_file;
use crate::listener::Wire;

/// Makes the handshake.
#[derive(Debug, Clone)]
pub(super) struct Greeting(RustlsAcceptor);

impl Greeting {
    /// With the files that `tls` names; a handshake may take `longest`, then it is cut
    /// off.
    pub(super) fn new(tls: &Tls, longest: Duration) -> Result<Self, ServeError> {
        let config = server_config(tls).map_err(|unusable| {
            let lines = unusable.iter().map(|Unusable { key, why }| {
                let file = if *key == "key_file" {
                    &tls.key_file
                } else {
                    &tls.cert_file
                };
                format!("webhook.tls.{key}: {}: {why}", file.display())
            });
            ServeError::Refused(lines.collect::<Vec<_>>().join("\n"))
        })?;
        let config = RustlsConfig::from_config(Arc::new(config));
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

/// A file of the listener that cannot be used: its key below `webhook.tls`, and why.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) key: &'static str,
    pub(crate) why: String,
}

/// TLS 1.2 and 1.3 with ring, HTTP/2 before HTTP/1.1.
///
/// # Errors
/// Every file that cannot be used.
pub(crate) fn server_config(tls: &Tls) -> Result<ServerConfig, Vec<Unusable>> {
    let (chain, key) = match (chain(&tls.cert_file), private_key(&tls.key_file)) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            let wrong = [("cert_file", chain.err()), ("key_file", key.err())];
            let wrong = wrong.into_iter();
            return Err(wrong
                .filter_map(|(key, why)| Some(Unusable { key, why: why? }))
                .collect());
        }
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let made = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = made.map_err(|error| {
        let (key, remedy) = if matches!(error, rustls::Error::InvalidCertificate(_)) {
            ("cert_file", "give another certificate")
        } else {
            ("key_file", "give the key of webhook.tls.cert_file")
        };
        let why = format!("{error}; {remedy}");
        vec![Unusable { key, why }]
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read_file(file).map_err(|why| format!("{why}; give the certificate chain as PEM"))?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err("it holds no certificate; give the chain as PEM".to_owned())
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err("it is no PEM; give the chain as PEM".to_owned()),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let pem = read_file(file).map_err(|why| format!("{why}; give the private key as PEM"))?;
    PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| "it holds no private key; give the key as PEM".to_owned())
}
