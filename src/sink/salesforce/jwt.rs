//! The assertion of the OAuth 2.0 JWT bearer flow (RFC 7523): RS256 over who asks, for which user.
//!
//! Guarantee (G10): the private key stays here; neither an error nor a log shows any of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::config::{Jwt, SalesforceSink};
use crate::time::Millis;

/// How long an assertion is good, ms: Salesforce takes none that ends later than in 5 minutes.
const LIFE: Millis = 180_000;

/// Signs assertions for one user.
#[derive(Debug)]
pub(super) struct Signer {
    key: RsaKeyPair,
    client: String,
    user: String,
    audience: String,
}

impl Signer {
    /// The signer that `jwt` names.
    ///
    /// # Errors
    /// If the key is none that RS256 can use.
    pub(super) fn new(config: &SalesforceSink, jwt: &Jwt) -> Result<Self, String> {
        let audience = jwt.audience.as_deref();
        let audience = audience.unwrap_or_else(|| audience_of(&config.login_url));
        Ok(Self {
            key: key(jwt.private_key.reveal()).ok_or(
                "salesforce.jwt.private_key: is no RSA key of 2048 bits or more; write the PEM text \
                 of a private key (PKCS#1 or PKCS#8), unencrypted",
            )?,
            client: config.client_id.clone(),
            user: jwt.username.clone(),
            audience: audience.to_owned(),
        })
    }

    /// An assertion of the time `now`; `None` if the key cannot sign.
    pub(super) fn assertion(&self, now: Millis) -> Option<String> {
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256" }).to_string());
        let claims = json!({
            "iss": self.client, "sub": self.user, "aud": self.audience,
            "exp": now.saturating_add(LIFE) / 1000,
        });
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        let (key, text) = (&self.key, signed.as_bytes());
        key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
            .ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// Sandboxes log in at test.salesforce.com, all other orgs at login.salesforce.com, whichever of
/// their addresses is asked.
fn audience_of(login_url: &str) -> &'static str {
    if login_url.contains("://test.salesforce.com") || login_url.contains(".sandbox.") {
        "https://test.salesforce.com"
    } else {
        "https://login.salesforce.com"
    }
}

/// An environment variable may hold the lines of a PEM text with `\n` written out.
fn key(pem: &str) -> Option<RsaKeyPair> {
    let pem = pem.replace("\\n", "\n");
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        PrivateKeyDer::Sec1(_) | _ => None,
    }
}
