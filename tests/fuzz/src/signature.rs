//! Whether a request is taken for signed.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use goldwire::config::Secret;
use goldwire::webhook::SignatureScheme;
use goldwire::webhook::signature::{
    Key, RELTIO_SIGNATURE, STANDARD_ID, STANDARD_SIGNATURE, STANDARD_TIMESTAMP, has_bearer,
    is_signed, sign,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::message;

/// The time at which the requests of the corpus were signed.
const NOW: i64 = 1_800_000_000_000;
const TOKEN: &str = "the-token";
/// In scheme `standard` the key is what this base64 stands for.
const SECRETS: [&str; 2] = [
    "Z29sZHdpcmUgY29ycHVzLCBub3QgYSBzZWNyZXQ=",
    "YW5vdGhlciBrZXkgb2YgdGhlIGNvcnB1cywgdG9v",
];
const OTHER: &str = "bmVpdGhlciBvZiB0aGUgbGl2ZSBzZWNyZXRzLCBubw==";

/// Lines of headers, an empty line, a body: asked of both schemes; then the body signed, and
/// damaged where the input says.
pub fn signature(input: &[u8]) {
    let (lines, body) = message::split(input);
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    for scheme in [SignatureScheme::Reltio, SignatureScheme::Standard] {
        as_received(scheme, &headers, body);
        as_sent(scheme, &headers, body);
    }
    let authorization = headers.get("authorization").map(HeaderValue::as_bytes);
    if has_bearer(&headers, &Secret::new(TOKEN)) {
        let given = authorization.expect("a token in a header");
        assert!(
            given.ends_with(TOKEN.as_bytes()) && given.len() <= "bearer  ".len() + TOKEN.len() + 64
        );
    }
}

fn text(scheme: SignatureScheme, secret: &str) -> String {
    match scheme {
        SignatureScheme::Reltio => secret.to_owned(),
        SignatureScheme::Standard => format!("whsec_{secret}"),
    }
}

fn key(scheme: SignatureScheme, secret: &str) -> Key {
    Key::new(scheme, &Secret::new(text(scheme, secret))).expect("a secret of its scheme")
}

fn taken(scheme: SignatureScheme, headers: &HeaderMap, body: &[u8], now: i64) -> bool {
    let keys = SECRETS.map(|secret| key(scheme, secret));
    is_signed(scheme, &keys, headers, body, now)
}

/// Taken only if one of the live secrets signed exactly this.
fn as_received(scheme: SignatureScheme, headers: &HeaderMap, body: &[u8]) {
    let accepted = taken(scheme, headers, body, NOW);
    assert!(
        !is_signed(scheme, &[], headers, body, NOW),
        "without a secret"
    );
    if !accepted {
        return;
    }
    assert!(
        holds_right_tag(scheme, headers, body),
        "taken without the right signature"
    );
    assert!(
        !is_signed(scheme, &[key(scheme, OTHER)], headers, body, NOW),
        "by another secret"
    );
    for at in 0..body.len().min(64) {
        let mut other = body.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(
            !taken(scheme, headers, &other, NOW),
            "with byte {at} changed"
        );
    }
    assert!(
        !taken(scheme, headers, &[body, b" "].concat(), NOW),
        "with a byte more"
    );
    if scheme == SignatureScheme::Standard {
        assert!(
            !taken(scheme, headers, body, NOW + 601_000),
            "after the window"
        );
        assert!(
            !taken(scheme, headers, body, NOW - 601_000),
            "before the window"
        );
    }
}

/// The tags are made here again, without goldwire's code: one of them stands in the header.
fn holds_right_tag(scheme: SignatureScheme, headers: &HeaderMap, body: &[u8]) -> bool {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let (signed, given) = match scheme {
        SignatureScheme::Reltio => (body.to_vec(), header(RELTIO_SIGNATURE)),
        SignatureScheme::Standard => {
            let standard = [STANDARD_ID, STANDARD_TIMESTAMP, STANDARD_SIGNATURE];
            let svix = ["svix-id", "svix-timestamp", "svix-signature"];
            let is_standard = standard.iter().any(|name| headers.contains_key(*name));
            let [id, time, signature] = if is_standard { standard } else { svix };
            let said = format!("{}.{}.", header(id).trim(), header(time).trim());
            ([said.as_bytes(), body].concat(), header(signature))
        }
    };
    let given = given.replace('-', "+").replace('_', "/");
    SECRETS.iter().any(|secret| {
        let key = match scheme {
            SignatureScheme::Reltio => secret.as_bytes().to_vec(),
            SignatureScheme::Standard => base64::engine::general_purpose::STANDARD
                .decode(secret)
                .expect("base64"),
        };
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key will do");
        mac.update(&signed);
        let tag = mac.finalize().into_bytes();
        given.contains(&STANDARD_NO_PAD.encode(tag))
            || scheme == SignatureScheme::Reltio
                && given.to_ascii_lowercase().contains(&hex::encode(tag))
    })
}

/// What was signed here is taken; with any other body, and in the other scheme, it is not.
fn as_sent(scheme: SignatureScheme, received: &HeaderMap, body: &[u8]) {
    let id = received
        .get(STANDARD_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or("msg_1")
        .trim();
    let signer = key(scheme, SECRETS[body.len() % 2]);
    let mut headers = HeaderMap::new();
    for (name, value) in sign(scheme, &signer, id, NOW, body) {
        headers.insert(
            name,
            HeaderValue::from_str(&value).expect("it was a header"),
        );
    }
    let fair = scheme == SignatureScheme::Reltio || !id.is_empty() && !id.contains('.');
    assert_eq!(taken(scheme, &headers, body, NOW), fair, "as it was signed");
    let (first, rest) = body.split_first().unwrap_or((&0, b""));
    let mut moved = rest.to_vec();
    moved.push(first.wrapping_add(1));
    assert!(!taken(scheme, &headers, &moved, NOW), "with another body");
    let other = match scheme {
        SignatureScheme::Reltio => SignatureScheme::Standard,
        SignatureScheme::Standard => SignatureScheme::Reltio,
    };
    assert!(!taken(other, &headers, body, NOW), "in the other scheme");
}
