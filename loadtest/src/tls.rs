//! TLS of the outside world: one provider of cryptography, and a certificate for loopback.

use std::path::Path;

/// Makes ring the process's TLS provider, unless one is in use already.
pub fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two callers at once: the second is refused, and finds what it wanted.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}

/// Writes `cert.pem` for loopback and its `key.pem` into `dir`; gives the certificate.
///
/// # Errors
/// One sentence that names the file.
pub fn certificate(dir: &Path) -> Result<String, String> {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names);
    let made = made.map_err(|error| format!("certificate: {error}"))?;
    let pem = made.cert.pem();
    for (name, text) in [
        ("cert.pem", pem.clone()),
        ("key.pem", made.signing_key.serialize_pem()),
    ] {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(pem)
}
