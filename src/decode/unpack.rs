//! `JSON_ZIP_BASE64`: the whole body is base64 of gzip of JSON.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::read::GzDecoder;

use super::DecodeError;

/// The JSON of a body, decompressed if need be; never more than `max_bytes`.
pub(super) fn unpack(body: &Bytes, max_bytes: usize) -> Result<Bytes, DecodeError> {
    let text = std::str::from_utf8(body).map_err(|_| DecodeError::NotUtf8)?;
    let trimmed = text.trim_ascii();
    match trimmed.as_bytes().first() {
        None => Err(DecodeError::Empty),
        Some(b'{') => Ok(body.clone()),
        Some(b'[') => Err(DecodeError::NotAnEvent),
        Some(b'"') => {
            let quoted: String = serde_json::from_str(trimmed).map_err(|_| DecodeError::NotJson)?;
            unzip(quoted.trim_ascii(), max_bytes)
        }
        Some(_) => unzip(trimmed, max_bytes),
    }
}

fn unzip(text: &str, max_bytes: usize) -> Result<Bytes, DecodeError> {
    let zipped = STANDARD.decode(text).map_err(|_| DecodeError::NotJson)?;
    let limit = u64::try_from(max_bytes)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut json = Vec::new();
    GzDecoder::new(zipped.as_slice())
        .take(limit)
        .read_to_end(&mut json)
        .map_err(|_| DecodeError::BadZip)?;
    if json.len() > max_bytes {
        return Err(DecodeError::TooLarge);
    }
    std::str::from_utf8(&json).map_err(|_| DecodeError::NotUtf8)?;
    Ok(json.into())
}
