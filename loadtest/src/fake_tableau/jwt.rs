//! The token of a connected app, as the sign-in checks it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::Value;

use super::{APP_CLIENT, APP_SECRET, APP_SECRET_ID, APP_USER};
use crate::time::Millis;

/// The longest that a token may be good, s.
const LONGEST: i64 = 600;

/// Checks a token; its `jti`.
pub(super) fn verify(token: &str, now: Millis) -> Option<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else {
        return None;
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let key = hmac::Key::new(hmac::HMAC_SHA256, APP_SECRET.as_bytes());
    hmac::verify(
        &key,
        format!("{head}.{claims}").as_bytes(),
        &decoded(signature)?,
    )
    .ok()?;
    let head: Value = serde_json::from_slice(&decoded(head)?).ok()?;
    let claims: Value = serde_json::from_slice(&decoded(claims)?).ok()?;
    let is = |of: &Value, name: &str, wanted: &str| {
        of.get(name)?.as_str().filter(|it| *it == wanted).map(drop)
    };
    is(&head, "alg", "HS256")?;
    is(&head, "kid", APP_SECRET_ID)?;
    is(&head, "iss", APP_CLIENT)?;
    is(&claims, "iss", APP_CLIENT)?;
    is(&claims, "sub", APP_USER)?;
    is(&claims, "aud", "tableau")?;
    let scopes = claims.get("scp")?.as_array()?;
    scopes.iter().find(|scope| *scope == "tableau:tasks:run")?;
    let (ends, now) = (claims.get("exp")?.as_i64()?, now / 1000);
    let jti = claims.get("jti")?.as_str()?;
    (ends > now && ends <= now + LONGEST).then(|| jti.to_owned())
}
