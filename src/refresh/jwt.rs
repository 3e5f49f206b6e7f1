//! The token of a Tableau connected app: HS256 over who asks, for which user, to do what
//! (<https://help.tableau.com/current/online/en-us/connected_apps_direct.htm>).
//!
//! Guarantee (G10): the secret stays here; neither an error nor a log shows any of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::config::ConnectedApp;
use crate::time::Millis;

/// How long a token is good, ms: Tableau takes none that ends later than in 10 minutes.
const LIFE: Millis = 5 * 60 * 1000;
/// To read what the content is called, to refresh it, to find its jobs.
const SCOPES: [&str; 3] = [
    "tableau:content:read",
    "tableau:tasks:run",
    "tableau:jobs:read",
];

/// A token of the time `now`, which no one has seen before; `None` if the secret cannot be a key.
pub(super) fn token(app: &ConnectedApp, now: Millis) -> Option<String> {
    let part = |text: String| URL_SAFE_NO_PAD.encode(text);
    let head = json!({
        "alg": "HS256", "typ": "JWT", "kid": app.secret_id, "iss": app.client_id,
    });
    let claims = json!({
        "iss": app.client_id, "sub": app.username, "aud": "tableau",
        "jti": uuid::Uuid::new_v4().to_string(),
        "exp": now.saturating_add(LIFE) / 1000, "scp": SCOPES,
    });
    let signed = format!("{}.{}", part(head.to_string()), part(claims.to_string()));
    let mut mac = Hmac::<Sha256>::new_from_slice(app.secret.reveal().as_bytes()).ok()?;
    mac.update(signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    Some(format!("{signed}.{signature}"))
}
