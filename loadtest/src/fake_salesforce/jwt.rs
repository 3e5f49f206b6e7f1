//! The JWT bearer flow's assertion, as the token endpoint checks it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;

use crate::time::{Clock as _, SystemClock};

/// The private key whose certificate the app holds. It opens nothing but the fake.
pub const JWT_KEY: &str = include_str!("jwt_key.pem");
/// The user for whom the app is pre-authorised.
pub const JWT_USER: &str = "goldwire@example.com";

/// Checks an assertion of the client `client`; why not, in Salesforce's words.
pub(super) fn verify(assertion: Option<&str>, client: &str) -> Result<(), &'static str> {
    let parts: Vec<&str> = assertion.unwrap_or_default().split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Err("invalid assertion");
    };
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let (header, body) = (json(head), json(claims));
    let (Some(header), Some(body)) = (header, body) else {
        return Err("invalid assertion");
    };
    let signed = format!("{head}.{claims}");
    if header.get("alg") != Some(&"RS256".into()) || !is_signed(&signed, signature) {
        return Err("invalid assertion");
    }
    let is = |claim: &str, wanted: &str| body.get(claim).and_then(Value::as_str) == Some(wanted);
    if !is("iss", client) {
        return Err("client identifier invalid");
    }
    if !is("aud", "https://login.salesforce.com") && !is("aud", "https://test.salesforce.com") {
        return Err("audience is invalid");
    }
    let now = SystemClock.now() / 1000;
    let exp = body.get("exp").and_then(Value::as_i64).unwrap_or_default();
    if exp <= now || exp > now + 300 {
        return Err("assertion is not valid: exp");
    }
    if !is("sub", JWT_USER) {
        return Err("user hasn't approved this consumer");
    }
    Ok(())
}

fn is_signed(text: &str, signature: &str) -> bool {
    let lines = JWT_KEY.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).ok();
    let key = der.and_then(|der| RsaKeyPair::from_der(&der).ok());
    let (Some(key), Ok(signature)) = (key, URL_SAFE_NO_PAD.decode(signature)) else {
        return false;
    };
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    public.verify(text.as_bytes(), &signature).is_ok()
}
