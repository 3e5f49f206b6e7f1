//! TLS: one provider of cryptography for every client and listener of the process.

/// Makes ring the process's TLS provider, unless one is in use already.
pub fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two callers at once: the second is refused, and finds what it wanted.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}
