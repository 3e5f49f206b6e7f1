//! The token of key-pair authentication, as the control host checks it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::Value;

use super::{ACCOUNT, USER};
use crate::time::Millis;

/// The private key whose public half the user has. It opens nothing but the fake.
pub const PRIVATE_KEY: &str = include_str!("key.pem");
/// As `DESC USER` shows it in `RSA_PUBLIC_KEY_FP`; of `openssl`, and not of the client under test.
const FINGERPRINT: &str = "SHA256:pA2Y+uGrgo3E0K39qA6U54DE/NiVZuPVy3/u66kIYdM=";
/// The longest that a token may be good, s.
const LONGEST: i64 = 3600;

/// Checks a token of the time `now`; why not, in Snowflake's words.
pub(super) fn verify(token: &str, now: Millis) -> Result<(), &'static str> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return Err("JWT_TOKEN_INVALID_FORMAT");
    };
    let json = |part: &str| -> Option<Value> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
    };
    let (Some(header), Some(body)) = (json(head), json(claims)) else {
        return Err("JWT_TOKEN_INVALID_FORMAT");
    };
    let rs256 = header.get("alg").and_then(Value::as_str) == Some("RS256");
    if !rs256 || !is_signed(&format!("{head}.{claims}"), signature) {
        return Err("JWT_TOKEN_INVALID_SIGNATURE");
    }
    let text = |claim: &str| body.get(claim).and_then(Value::as_str).unwrap_or_default();
    let user = format!("{ACCOUNT}.{USER}");
    if text("sub") != user {
        return Err("JWT_TOKEN_INVALID_USER_IN_SUBJECT");
    }
    let Some(fingerprint) = text("iss").strip_prefix(&format!("{user}.")) else {
        return Err("JWT_TOKEN_INVALID_USER_IN_ISSUER");
    };
    if fingerprint != FINGERPRINT {
        return Err("JWT_TOKEN_INVALID_PUBLIC_KEY_FINGERPRINT_MISMATCH");
    }
    let time = |claim: &str| body.get(claim).and_then(Value::as_i64).unwrap_or_default();
    let (issued, now) = (time("iat"), now / 1000);
    if issued > now + 60 || issued < now - LONGEST {
        return Err("JWT_TOKEN_INVALID_ISSUE_TIME");
    }
    if time("exp").min(issued + LONGEST) <= now {
        return Err("JWT_TOKEN_EXPIRED");
    }
    Ok(())
}

fn is_signed(text: &str, signature: &str) -> bool {
    let lines = PRIVATE_KEY.lines().filter(|line| !line.starts_with('-'));
    let der = STANDARD.decode(lines.collect::<String>()).ok();
    let key = der.and_then(|der| RsaKeyPair::from_pkcs8(&der).ok());
    let (Some(key), Ok(signature)) = (key, URL_SAFE_NO_PAD.decode(signature)) else {
        return false;
    };
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key());
    public.verify(text.as_bytes(), &signature).is_ok()
}
