//! How a sender signs webhooks: as INT-004 says for Reltio, and as Standard Webhooks 1.0 says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::time::Millis;

/// A way to sign, with its secret as the two sides exchange it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signer<'a> {
    /// `X-Reltio-Signature`: HMAC-SHA256 of the body, in hex. The secret is its own bytes.
    Reltio(&'a str),
    /// `webhook-signature` over id, time and body. The secret is base64 behind `whsec_`.
    Standard(&'a str),
}

impl Signer<'_> {
    /// The headers that sign `body`. `id` and `now` are used by [`Signer::Standard`] alone.
    ///
    /// # Errors
    /// One sentence, if the secret is none of its scheme.
    pub fn sign(
        self,
        id: &str,
        now: Millis,
        body: &[u8],
    ) -> Result<Vec<(&'static str, String)>, String> {
        match self {
            Self::Reltio(secret) => {
                let tag = hex::encode(hmac(secret.as_bytes(), &[body])?);
                Ok(vec![("x-reltio-signature", format!("sha256={tag}"))])
            }
            Self::Standard(secret) => {
                let key = secret
                    .strip_prefix("whsec_")
                    .map(|key| STANDARD.decode(key));
                let Some(Ok(key)) = key else {
                    return Err("the secret is not base64 behind whsec_".to_owned());
                };
                let time = now.div_euclid(1000).to_string();
                let tag = hmac(&key, &[id.as_bytes(), b".", time.as_bytes(), b".", body])?;
                Ok(vec![
                    ("webhook-id", id.to_owned()),
                    ("webhook-timestamp", time),
                    ("webhook-signature", format!("v1,{}", STANDARD.encode(tag))),
                ])
            }
        }
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| "the secret is no key for HMAC-SHA256".to_owned())?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_standard_scheme_signs_as_its_specification_shows() {
        let signer = Signer::Standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let headers = signer.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330_000,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            headers.unwrap().pop(),
            Some((
                "webhook-signature",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".to_owned()
            ))
        );
    }

    /// RFC 4231, test case 2.
    #[test]
    fn the_reltio_scheme_is_hmac_sha256_of_the_body_in_hex() {
        let headers = Signer::Reltio("Jefe").sign("", 0, b"what do ya want for nothing?");
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(
            headers.unwrap(),
            [("x-reltio-signature", format!("sha256={tag}"))]
        );
    }

    #[test]
    fn a_secret_of_the_other_scheme_is_refused() {
        assert!(Signer::Standard("Jefe").sign("id", 0, b"").is_err());
    }
}
