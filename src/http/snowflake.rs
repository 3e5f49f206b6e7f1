//! An account of Snowflake: where it answers, and the token of key-pair authentication, RS256 over who
//! asks (<https://docs.snowflake.com/en/developer-guide/sql-api/authenticating>).
//!
//! Guarantee (G10): the private key stays here; neither an error nor a log shows any of it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::RequestBuilder;
use ring::rand::SystemRandom;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::time::Millis;

/// How long a token is good, s: Snowflake takes none for longer than an hour.
pub(crate) const LIFE: i64 = 59 * 60;
/// The header that tells what signs a request.
const KIND: (&str, &str) = ("X-Snowflake-Authorization-Token-Type", "KEYPAIR_JWT");
/// The algorithm of a `SubjectPublicKeyInfo` that holds an RSA key (RFC 8017, A.1), DER.
const RSA: [u8; 15] = [
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// What is wrong with an account's identifier, as a remedy.
pub(crate) fn unfit(account: &str) -> Option<&'static str> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if account.is_empty() || !account.chars().all(plain) {
        return Some("write the account's identifier alone: myorg-myaccount");
    }
    let is_host = account.to_ascii_lowercase().contains("snowflakecomputing");
    is_host.then_some("leave out .snowflakecomputing.com")
}

/// Where an account answers: at `url`, if there is one.
pub(crate) fn control(account: &str, url: Option<&str>) -> String {
    let host = account.replace('_', "-").to_lowercase();
    let default = || format!("https://{host}.snowflakecomputing.com");
    let url = url.map_or_else(default, str::to_owned);
    url.trim_end_matches('/').to_owned()
}

/// The request, signed with a token of a [`Signer`].
pub(crate) fn signed(request: RequestBuilder, token: &str) -> RequestBuilder {
    request.bearer_auth(token).header(KIND.0, KIND.1)
}

/// Signs tokens for one user.
#[derive(Debug)]
pub(crate) struct Signer {
    key: RsaKeyPair,
    /// `ACCOUNT.USER`.
    subject: String,
    /// The same, and which of the user's keys it is.
    issuer: String,
}

impl Signer {
    /// The signer of `user` in `account`, with the key of a PEM text.
    ///
    /// # Errors
    /// If the key is none that can be used, as one sentence.
    pub(crate) fn new(account: &str, user: &str, pem: &str) -> Result<Self, String> {
        let key = key(pem)?;
        let name = account.split('.').next().unwrap_or_default();
        let subject = format!("{name}.{user}").to_uppercase();
        let digest = Sha256::digest(public_key_info(key.public_key().as_ref()));
        Ok(Self {
            issuer: format!("{subject}.SHA256:{}", STANDARD.encode(digest)),
            subject,
            key,
        })
    }

    /// A token of the time `now`; `None` if the key cannot sign.
    pub(crate) fn token(&self, now: Millis) -> Option<String> {
        let head = URL_SAFE_NO_PAD.encode(json!({ "alg": "RS256", "typ": "JWT" }).to_string());
        let issued = now / 1000;
        let claims = json!({
            "iss": self.issuer, "sub": self.subject,
            "iat": issued, "exp": issued.saturating_add(LIFE),
        });
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let mut signature = vec![0; self.key.public().modulus_len()];
        let (random, text) = (SystemRandom::new(), signed.as_bytes());
        self.key
            .sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
            .ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// An environment variable may hold the lines of a PEM text with `\n` written out.
fn key(pem: &str) -> Result<RsaKeyPair, String> {
    let pem = pem.replace("\\n", "\n");
    if pem.contains("ENCRYPTED") {
        return Err(
            "private_key: is encrypted; write the key without a passphrase \
             (openssl pkcs8 -in key.p8 -nocrypt -topk8), from a file that only goldwire may read"
                .to_owned(),
        );
    }
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok() {
        Some(PrivateKeyDer::Pkcs1(der)) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        Some(PrivateKeyDer::Pkcs8(der)) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        Some(_) | None => None,
    };
    key.ok_or_else(|| {
        "private_key: is no RSA key of 2048 bits or more; write the PEM text of a private key \
         (PKCS#8 or PKCS#1), unencrypted"
            .to_owned()
    })
}

/// The public key as Snowflake digests it: the DER of `SubjectPublicKeyInfo` around an `RSAPublicKey`.
fn public_key_info(key: &[u8]) -> Vec<u8> {
    let mut bits = vec![0];
    bits.extend_from_slice(key);
    let mut inner = RSA.to_vec();
    inner.extend(der(0x03, &bits));
    der(0x30, &inner)
}

/// A value of DER, with its tag and its length.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let length = length.get(zeros..).unwrap_or_default();
    let mut value = vec![tag];
    match length {
        [short] if *short < 0x80 => value.push(*short),
        _ => {
            // Eight bytes of length at most.
            let bytes = u8::try_from(length.len()).unwrap_or_default();
            value.push(0x80 | bytes);
            value.extend_from_slice(length);
        }
    }
    value.extend_from_slice(content);
    value
}

#[cfg(test)]
mod tests {
    use loadtest::fake_snowflake::PRIVATE_KEY;

    use super::*;

    #[test]
    fn the_fingerprint_is_that_of_openssl_and_names_are_in_upper_case_without_region() {
        let signer = Signer::new("xy12345.eu-central-1", "loader", PRIVATE_KEY).unwrap();
        assert_eq!(signer.subject, "XY12345.LOADER");
        assert_eq!(
            signer.issuer,
            "XY12345.LOADER.SHA256:pA2Y+uGrgo3E0K39qA6U54DE/NiVZuPVy3/u66kIYdM="
        );
    }

    #[test]
    fn an_encrypted_key_and_one_that_is_none_are_refused_with_what_to_do() {
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let why = |pem| Signer::new("a", "u", pem).unwrap_err();
        assert!(why(encrypted).contains("-nocrypt"));
        assert!(why("canary").contains("PKCS#8") && !why("canary").contains("canary"));
    }
}
