//! The bytes of a request: read, and decompressed, within bounds (G8).
//!
//! Guarantee: never more than `max_body` is held of one body, before decompression or after, and
//! every byte held is claimed from the budget first.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use futures::StreamExt as _;
use tokio::time::Instant;

use super::answer::Refusal;
use super::limit::Claim;

/// Decompressed in pieces of this size.
const PIECE: u64 = 64 << 10;

/// A body is copied together from parts of this size: one buffer that grows would be held twice and
/// more whenever it moves.
const PART: usize = 64 << 10;

/// Read and thrown away at most after an early refusal.
const LINGER: usize = 32 << 20;

/// Reads a body of at most `max` bytes. What is left of a longer one is not read.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut Body,
    max: usize,
    claim: &mut Claim,
) -> Result<Bytes, Refusal> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok());
    let announced = announced.and_then(|text| text.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > max)) {
        return Err(Refusal::TooLarge);
    }
    let mut whole = Parts::default();
    let mut pieces = std::mem::take(body).into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Refusal::Malformed)?;
        let fits = whole.len.saturating_add(piece.len()) <= max;
        let held = if fits {
            claim.grow(piece.len()).map_err(Refusal::from)
        } else {
            Err(Refusal::TooLarge)
        };
        if let Err(refusal) = held {
            *body = Body::from_stream(pieces);
            return Err(refusal);
        }
        whole.extend(&piece);
    }
    Ok(whole.join())
}

/// A body as it comes in.
#[derive(Default)]
struct Parts {
    full: Vec<Vec<u8>>,
    last: Vec<u8>,
    len: usize,
}

impl Parts {
    fn extend(&mut self, mut piece: &[u8]) {
        self.len += piece.len();
        while self.last.len() + piece.len() > PART {
            let (now, later) = piece.split_at(PART - self.last.len());
            self.last.extend_from_slice(now);
            let next = Vec::with_capacity(PART);
            self.full.push(std::mem::replace(&mut self.last, next));
            piece = later;
        }
        self.last.extend_from_slice(piece);
    }

    fn join(self) -> Bytes {
        if self.full.is_empty() {
            return self.last.into();
        }
        let mut whole = Vec::with_capacity(self.len);
        for part in self.full {
            whole.extend_from_slice(&part);
        }
        whole.extend_from_slice(&self.last);
        whole.into()
    }
}

/// Reads on, and throws away, so that a sender in the middle of its body comes to read the answer
/// instead of a reset connection.
pub(super) fn linger(body: Body, until: Instant) {
    tokio::spawn(tokio::time::timeout_at(until, async move {
        let mut left = LINGER;
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            let Some(rest) = left.checked_sub(piece.len()) else {
                return;
            };
            left = rest;
        }
    }));
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Not at all.
    Identity,
    /// gzip, of one member or several.
    Gzip,
    /// zlib, or bare deflate, which some senders mean by the same word.
    Deflate,
}

impl Encoding {
    /// The encoding that the head names; an unknown one, or several, are refused.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Ok(Self::Identity);
        };
        let name = value
            .to_str()
            .map_err(|_| Refusal::Encoding)?
            .trim()
            .to_ascii_lowercase();
        match (name.as_str(), values.next()) {
            ("" | "identity", None) => Ok(Self::Identity),
            ("gzip" | "x-gzip", None) => Ok(Self::Gzip),
            ("deflate", None) => Ok(Self::Deflate),
            _ => Err(Refusal::Encoding),
        }
    }
}

/// The body as it was before compression, of at most `max` bytes.
pub(super) fn inflate(
    encoding: Encoding,
    body: Bytes,
    max: usize,
    claim: &mut Claim,
) -> Result<Bytes, Refusal> {
    let packed = body.as_ref();
    match encoding {
        Encoding::Identity => Ok(body),
        Encoding::Gzip => drain(MultiGzDecoder::new(packed), max, claim),
        Encoding::Deflate if is_zlib(packed) => drain(ZlibDecoder::new(packed), max, claim),
        Encoding::Deflate => drain(DeflateDecoder::new(packed), max, claim),
    }
}

fn drain(mut unpacked: impl Read, max: usize, claim: &mut Claim) -> Result<Bytes, Refusal> {
    let mut whole = Vec::new();
    loop {
        let read = unpacked.by_ref().take(PIECE).read_to_end(&mut whole);
        let read = read.map_err(|_| Refusal::Malformed)?;
        if read == 0 {
            return Ok(whole.into());
        }
        if whole.len() > max {
            return Err(Refusal::TooLarge);
        }
        claim.grow(read)?;
    }
}

/// RFC 1950 section 2.2: method 8, and the first two bytes a multiple of 31.
fn is_zlib(packed: &[u8]) -> bool {
    let &[method, flags, ..] = packed else {
        return false;
    };
    method & 0x0f == 8 && u16::from_be_bytes([method, flags]) % 31 == 0
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::super::limit::Budget;
    use super::*;

    fn inflated(encoding: Encoding, body: Vec<u8>, max: usize) -> Result<Bytes, Refusal> {
        let mut claim = Budget::new(1 << 20).claim().unwrap();
        inflate(encoding, body.into(), max, &mut claim)
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn every_way_to_write_deflate_and_gzip_is_read() {
        let bytes = b"golden records, golden records";
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(bytes).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(bytes).unwrap();
        let members = [gzip(&bytes[..10]), gzip(&bytes[10..])].concat();
        for (encoding, packed) in [
            (Encoding::Gzip, members),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Deflate, bare.finish().unwrap()),
            (Encoding::Identity, bytes.to_vec()),
        ] {
            assert_eq!(inflated(encoding, packed, bytes.len()).unwrap(), &bytes[..]);
        }
    }

    #[test]
    fn a_body_that_expands_past_the_cap_is_too_large_g8() {
        let bomb = gzip(&vec![0; 500_000]);
        assert!(bomb.len() < 2000);
        assert!(matches!(
            inflated(Encoding::Gzip, bomb.clone(), 499_999),
            Err(Refusal::TooLarge)
        ));
        assert_eq!(
            inflated(Encoding::Gzip, bomb, 500_000).unwrap().len(),
            500_000
        );
    }

    #[test]
    fn expansion_is_claimed_from_the_budget_as_it_grows_g8() {
        let mut claim = Budget::new(100_000).claim().unwrap();
        let bomb = gzip(&vec![0; 500_000]).into();
        let refused = inflate(Encoding::Gzip, bomb, 1 << 20, &mut claim);
        assert!(matches!(refused, Err(Refusal::Unavailable)));
    }

    #[test]
    fn what_is_cut_off_or_not_compressed_is_malformed() {
        let whole = gzip(b"golden records");
        let cut = whole[..whole.len() - 5].to_vec();
        for packed in [cut, b"plain".to_vec(), Vec::new()] {
            assert!(matches!(
                inflated(Encoding::Gzip, packed, 100),
                Err(Refusal::Malformed)
            ));
        }
    }

    #[test]
    fn an_unknown_encoding_or_two_are_refused() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            Encoding::of(&headers)
        };
        assert!(matches!(of(&["GZIP"]), Ok(Encoding::Gzip)));
        assert!(matches!(of(&[]), Ok(Encoding::Identity)));
        for values in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"]] {
            assert!(matches!(of(values), Err(Refusal::Encoding)));
        }
    }
}
