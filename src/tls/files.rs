//! The files of a listener's certificate, and what is made of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Rules, read_file};

/// A certificate chain and its key, PEM. A running process reads them again when they change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// A file that cannot be used: its key in the section, and why.
#[derive(Debug)]
pub(super) struct Unusable {
    pub(super) key: &'static str,
    pub(super) why: String,
}

/// What the files hold, or why one cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    chain: Result<Vec<u8>, String>,
    key: Result<Vec<u8>, String>,
}

impl Tls {
    pub(super) fn read(&self) -> Found {
        Found {
            chain: read_file(&self.cert_file),
            key: read_file(&self.key_file),
        }
    }

    /// The first certificate of the chain: the listener's own.
    pub(super) fn own(&self) -> Result<CertificateDer<'static>, String> {
        let certificates = chain(&self.read().chain)?;
        let own = certificates.into_iter().next();
        own.ok_or_else(|| "it holds no certificate".to_owned())
    }

    /// One line for each, with the key's path in the configuration and the file's.
    pub(super) fn lines(&self, section: &str, unusable: &[Unusable]) -> String {
        let lines = unusable.iter().map(|Unusable { key, why }| {
            let file: &Path = if *key == "key_file" {
                &self.key_file
            } else {
                &self.cert_file
            };
            format!("{section}.{key}: {}: {why}", file.display())
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// TLS 1.2 and 1.3 with ring, HTTP/2 before HTTP/1.1.
///
/// # Errors
/// Every file that cannot be used.
pub(super) fn server_config(found: &Found) -> Result<ServerConfig, Vec<Unusable>> {
    let (chain, key) = match (chain(&found.chain), private_key(&found.key)) {
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
            ("key_file", "give the key of cert_file")
        };
        let why = format!("{error}; {remedy}");
        vec![Unusable { key, why }]
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn chain(pem: &Result<Vec<u8>, String>) -> Result<Vec<CertificateDer<'static>>, String> {
    let give = |why| format!("{why}; give the certificate chain as PEM");
    let pem = pem.as_ref().map_err(give)?;
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    match chain {
        Ok(chain) if chain.is_empty() => {
            Err("it holds no certificate; give the chain as PEM".to_owned())
        }
        Ok(chain) => Ok(chain),
        Err(_) => Err("it is no PEM; give the chain as PEM".to_owned()),
    }
}

fn private_key(pem: &Result<Vec<u8>, String>) -> Result<PrivateKeyDer<'static>, String> {
    let give = |why| format!("{why}; give the private key as PEM");
    let pem = pem.as_ref().map_err(give)?;
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| "it holds no private key; give the key as PEM".to_owned())
}

/// The rule of a section `tls`: its files can be used, where a process is to serve with them.
pub(crate) fn check(section: &At<'_>, rules: &mut Rules<'_>) {
    if !rules.serve() {
        return;
    }
    let Ok(tls) = serde_json::from_value::<Tls>(section.value.clone()) else {
        return;
    };
    for unusable in server_config(&tls.read()).err().unwrap_or_default() {
        if let Some(at) = section.get(unusable.key) {
            // Also where the path came from a variable: it is no secret.
            let file = at.text().unwrap_or_default();
            rules.refuse(&at, format!("{file}: {}", unusable.why));
        }
    }
}
