//! TLS: one provider of cryptography for every client and listener of the process, and the
//! listeners' certificates.
//!
//! Guarantee: a certificate whose files change is in use within ten seconds, without a restart; one
//! that cannot be used never replaces one that can.

mod certificates;
mod files;
mod pinned;

pub use certificates::Certificates;
pub use files::Tls;
pub(crate) use files::check;
pub(crate) use pinned::pinned;

/// Makes ring the process's TLS provider, unless one is in use already.
pub fn use_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Two callers at once: the second is refused, and finds what it wanted.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    }
}
