//! Who sent a webhook request, as a pure function of its head, its bytes and the time.
//!
//! Guarantee: only the raw bytes as received are hashed; every live secret is tried, without
//! leaving early; signatures are compared in constant time; and the answer says nothing about what
//! was wrong. The log does ([`Doubt`]).
//!
//! | scheme | header | signed | encoding |
//! |---|---|---|---|
//! | `reltio` | `X-Reltio-Signature` | body | hex or base64, with or without `sha256=` |
//! | `standard` | `webhook-id`, `webhook-timestamp`, `webhook-signature` | `{id}.{timestamp}.{body}` | `v1,` and base64, several by spaces |
//!
//! Scheme `standard` takes the same three headers as `svix-…` where none is there as `webhook-…`: the
//! names that Svix, which the specification comes from, sends by default.
//!
//! INT-004 section 3.2 names the first header and HMAC-SHA256, and leaves the encoding open. The
//! second is the Standard Webhooks specification 1.0: seconds since 1970, five minutes both ways.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::config::SignatureScheme;
use super::doubt::Doubt;
use crate::config::Secret;
use crate::time::Millis;

/// The header of scheme `reltio`.
pub const RELTIO_SIGNATURE: &str = "x-reltio-signature";
/// The message's id in scheme `standard`: the same over all retries.
pub const STANDARD_ID: &str = "webhook-id";
/// The time of the attempt in scheme `standard`, in seconds.
pub const STANDARD_TIMESTAMP: &str = "webhook-timestamp";
/// The signatures in scheme `standard`.
pub const STANDARD_SIGNATURE: &str = "webhook-signature";

/// Id, time and signatures as Svix names them.
const SVIX: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];

/// How far the sender's clock may be from ours, in seconds, both ways, the last second included.
const WINDOW_SECONDS: i64 = 300;

/// Base64 as senders write it: padded or not. The URL-safe letters are replaced before.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A live secret, ready to sign with. It does not print.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<key>")
    }
}

impl Key {
    /// The key that `secret` stands for: its UTF-8 bytes in scheme `reltio`, the decoded base64
    /// behind `whsec_` in scheme `standard`.
    ///
    /// # Errors
    /// A sentence with the remedy, without the secret, if it is none of that scheme.
    pub fn new(scheme: SignatureScheme, secret: &Secret) -> Result<Self, String> {
        let bytes = match scheme {
            SignatureScheme::Reltio => secret.reveal().as_bytes().to_vec(),
            SignatureScheme::Standard => standard_secret(secret)?,
        };
        if bytes.is_empty() {
            return Err("the secret is empty; set the one the sender signs with".to_owned());
        }
        Hmac::new_from_slice(&bytes)
            .map(Self)
            .map_err(|_| "the secret is no key for HMAC-SHA256".to_owned())
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

fn standard_secret(secret: &Secret) -> Result<Vec<u8>, String> {
    let Some(text) = secret.reveal().strip_prefix("whsec_") else {
        return Err(
            "a secret of scheme `standard` begins with `whsec_`; copy it whole, or set \
                    `scheme: reltio` if the sender signs with a plain secret"
                .to_owned(),
        );
    };
    let bytes = decode_base64(text).ok_or(
        "what follows `whsec_` is not base64; copy the secret again from the sender, whole",
    )?;
    if (24..=64).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(format!(
            "the secret holds {} bytes; Standard Webhooks asks for 24 to 64: have the sender make \
             a new one",
            bytes.len()
        ))
    }
}

/// Whether `secret` can be a secret of `scheme`.
///
/// # Errors
/// A sentence with the remedy, without the secret, if it cannot.
pub fn check_secret(scheme: SignatureScheme, secret: &Secret) -> Result<(), String> {
    Key::new(scheme, secret).map(drop)
}

/// The names of scheme `standard` that this head uses: id, time, signatures. Never some of each.
pub(super) fn standard_names(headers: &HeaderMap) -> [&'static str; 3] {
    let standard = [STANDARD_ID, STANDARD_TIMESTAMP, STANDARD_SIGNATURE];
    let has_any = |names: &[&str]| names.iter().any(|name| headers.contains_key(*name));
    if !has_any(&standard) && has_any(&SVIX) {
        SVIX
    } else {
        standard
    }
}

/// Whether a request with this head and body was signed with one of `keys`, at `now` or within
/// the scheme's window around it.
pub fn is_signed(
    scheme: SignatureScheme,
    keys: &[Key],
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
) -> bool {
    verify(scheme, keys, headers, body, now).is_ok()
}

/// The same, with what is wrong with it.
///
/// # Errors
/// The first thing, whatever the signature is.
pub(super) fn verify(
    scheme: SignatureScheme,
    keys: &[Key],
    headers: &HeaderMap,
    body: &[u8],
    now: Millis,
) -> Result<(), Doubt> {
    match scheme {
        SignatureScheme::Reltio => {
            let header = single(headers, RELTIO_SIGNATURE);
            let given: Vec<_> = header.and_then(reltio_signature).into_iter().collect();
            let matches = any_matches(keys, &[body], &given);
            header.ok_or(Doubt::Missing(RELTIO_SIGNATURE))?;
            settle(matches, given.is_empty(), RELTIO_SIGNATURE)
        }
        SignatureScheme::Standard => {
            let [id_name, time_name, signature_name] = standard_names(headers);
            let id = single(headers, id_name);
            let time = single(headers, time_name);
            let signatures = single(headers, signature_name);
            let given = standard_signatures(signatures);
            let (said_id, said_time) = (id.unwrap_or_default(), time.unwrap_or_default());
            let said = [said_id.as_bytes(), b".", said_time.as_bytes(), b".", body];
            // Hashed first and in any case: the time taken does not tell a bad time from a bad
            // signature.
            let matches = any_matches(keys, &said, &given);
            let id = id.filter(|id| !id.is_empty());
            let id = id.ok_or(Doubt::Missing(id_name))?;
            // A dot in the id would let its end pass for the timestamp.
            if id.contains('.') {
                return Err(Doubt::Unreadable(id_name));
            }
            let time = time.ok_or(Doubt::Missing(time_name))?;
            signatures.ok_or(Doubt::Missing(signature_name))?;
            let sent = time_of(time).ok_or(Doubt::Unreadable(time_name))?;
            let behind = seconds(now).saturating_sub(sent);
            if behind.unsigned_abs() > WINDOW_SECONDS.unsigned_abs() {
                return Err(Doubt::Stale {
                    header: time_name,
                    behind,
                });
            }
            settle(matches, given.is_empty(), signature_name)
        }
    }
}

fn settle(matches: bool, none: bool, header: &'static str) -> Result<(), Doubt> {
    match (matches, none) {
        (true, _) => Ok(()),
        (false, true) => Err(Doubt::Unreadable(header)),
        (false, false) => Err(Doubt::Mismatch(header)),
    }
}

/// Whether the request carries `Authorization: Bearer` with the expected token.
pub fn has_bearer(headers: &HeaderMap, expected: &Secret) -> bool {
    bears(headers, expected).is_ok()
}

/// The same, with what is wrong with it.
pub(super) fn bears(headers: &HeaderMap, expected: &Secret) -> Result<(), Doubt> {
    let given = single(headers, header::AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    });
    let equal = expected.is(given.unwrap_or_default());
    match given {
        None | Some("") => Err(Doubt::Missing("authorization")),
        Some(_) if equal => Ok(()),
        Some(_) => Err(Doubt::Mismatch("authorization")),
    }
}

/// The headers that sign `body`, as the sender sends them. `id` and `now` are used by scheme
/// `standard` alone.
pub fn sign(
    scheme: SignatureScheme,
    key: &Key,
    id: &str,
    now: Millis,
    body: &[u8],
) -> Vec<(&'static str, String)> {
    match scheme {
        SignatureScheme::Reltio => {
            let tag = key.mac(&[body]).finalize().into_bytes();
            vec![(RELTIO_SIGNATURE, format!("sha256={}", hex::encode(tag)))]
        }
        SignatureScheme::Standard => {
            let timestamp = seconds(now).to_string();
            let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
            let tag = key.mac(&parts).finalize().into_bytes();
            let signature = format!("v1,{}", general_purpose::STANDARD.encode(tag));
            vec![
                (STANDARD_ID, id.to_owned()),
                (STANDARD_TIMESTAMP, timestamp),
                (STANDARD_SIGNATURE, signature),
            ]
        }
    }
}

/// `|` and not `||`: every key and every signature is tried, whichever matches.
fn any_matches(keys: &[Key], parts: &[&[u8]], given: &[Vec<u8>]) -> bool {
    keys.iter().fold(false, |found, key| {
        let mac = key.mac(parts);
        given.iter().fold(found, |found, tag| {
            found | mac.clone().verify_slice(tag).is_ok()
        })
    })
}

/// A header that is there exactly once: two leave open which of them counts.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}

fn reltio_signature(value: &str) -> Option<Vec<u8>> {
    let text = value.strip_prefix("sha256=").unwrap_or(value);
    // 64 letters are hex: 32 bytes take 43 or 44 letters of base64.
    if text.len() == 64 {
        hex::decode(text).ok()
    } else {
        decode_base64(text)
    }
}

/// Signatures of other versions (`v1a` is asymmetric) are passed over, as the specification says.
fn standard_signatures(value: Option<&str>) -> Vec<Vec<u8>> {
    let listed = value.unwrap_or_default().split_ascii_whitespace();
    listed
        .filter_map(|one| decode_base64(one.strip_prefix("v1,")?))
        .collect()
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    LENIENT
        .decode(text.replace('-', "+").replace('_', "/"))
        .ok()
}

/// Seconds since 1970. `parse` alone would take a sign.
fn time_of(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn seconds(now: Millis) -> i64 {
    now.div_euclid(1000)
}

#[cfg(test)]
#[path = "signature_tests.rs"]
mod tests;
