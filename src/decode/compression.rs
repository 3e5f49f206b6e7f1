//! `JSON_ZIP_BASE64`: the body is base64 of gzip of UTF-8 JSON.
//!
//! Guarantee (G8): never holds more than the limit in decompressed bytes, whatever the stream
//! would grow to.

use std::io::Read as _;

use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;

use super::DecodeError;

/// How base64 of gzip begins: the magic number and the one method there is.
const BEGINNING: &str = "H4sI";

/// Whether a text that is not JSON may be a compressed body.
pub(super) fn is_compressed(text: &str) -> bool {
    text.starts_with(BEGINNING)
}

/// The bytes in `text`, `limit` at most.
pub(super) fn decompress(text: &str, limit: usize) -> Result<Bytes, DecodeError> {
    let base64 = DecoderReader::new(text.trim_ascii_end().as_bytes(), &STANDARD);
    let more_than_allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    MultiGzDecoder::new(base64)
        .take(more_than_allowed)
        .read_to_end(&mut bytes)
        .map_err(|_| DecodeError::BadZip)?;
    if bytes.len() > limit {
        return Err(DecodeError::TooLarge { limit });
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reltios_own_sample_is_read() {
        let sample = "H4sIAAAAAAAAAKtWKkmtKFGyUlDySM3JyVcozy/KSVGqBQD//REqFwAAAA==";
        assert_eq!(
            decompress(sample, 100),
            Ok(Bytes::from(r#"{"text": "Hello world"}"#))
        );
        assert_eq!(
            decompress(sample, 22),
            Err(DecodeError::TooLarge { limit: 22 })
        );
    }
}
