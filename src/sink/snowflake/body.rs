//! The rows of a piece, compressed as they come.
//!
//! Guarantee (G8): what [`Body::finish`] gives is no larger than Snowflake takes in one request, since
//! no row is taken that could make it so.

use std::io::{self, Write as _};

use bytes::Bytes;
use zstd::Encoder;

/// Bytes of a request at most, after compression (4 MB, hard):
/// <https://docs.snowflake.com/en/user-guide/snowpipe-streaming/snowpipe-streaming-high-performance-limitations>.
const HARD: usize = 4_000_000;
/// The same, with room for what is only estimated.
pub(super) const MOST: usize = HARD - (64 << 10);
/// Bytes of rows that wait until they are compressed together.
pub(super) const PACK: usize = 512 << 10;
/// Quick, and as good as others are when they are slow: rows of JSON repeat their names.
const LEVEL: i32 = 3;

/// Rows, one frame of zstd.
pub(super) struct Body {
    /// Lines of JSON.
    waiting: Vec<u8>,
    encoder: Encoder<'static, Vec<u8>>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}

impl Body {
    /// An empty one.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            waiting: Vec::new(),
            encoder: Encoder::new(Vec::new(), LEVEL)?,
        })
    }

    /// The size that it has at most once it is finished, bytes.
    pub(super) fn most(&self) -> usize {
        self.encoder
            .get_ref()
            .len()
            .saturating_add(bound(self.waiting.len()))
    }

    /// Whether so many bytes more fit, however badly they compress.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let waiting = bound(self.waiting.len().saturating_add(bytes));
        self.encoder.get_ref().len().saturating_add(waiting) <= MOST
    }

    /// Adds rows, which fit; whether so many wait that they are to be compressed.
    pub(super) fn add(&mut self, rows: &[u8]) -> bool {
        self.waiting.extend_from_slice(rows);
        self.waiting.len() >= PACK
    }

    /// Compresses what waits: then its size is known. Takes a processor for a while.
    ///
    /// # Errors
    /// If the body cannot be made; it is of no use any more then.
    pub(super) fn pack(&mut self) -> io::Result<()> {
        self.encoder.write_all(&self.waiting)?;
        self.encoder.flush()?;
        self.waiting.clear();
        Ok(())
    }

    /// Adds rows if they fit once they are compressed, and tells whether they did. Takes a
    /// processor for a while.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub(super) fn squeeze(&mut self, rows: &[u8]) -> io::Result<bool> {
        self.pack()?;
        let alone = zstd::bulk::compress(rows, LEVEL)?.len();
        // Among others they are hardly larger than alone.
        let packed = self.encoder.get_ref().len();
        if packed + alone + alone / 16 + bound(0) > MOST {
            return Ok(false);
        }
        self.waiting.extend_from_slice(rows);
        self.pack()?;
        Ok(true)
    }

    /// The whole of it. Takes a processor for a while.
    ///
    /// # Errors
    /// As [`Self::pack`].
    pub(super) fn finish(mut self) -> io::Result<Bytes> {
        self.encoder.write_all(&self.waiting)?;
        let whole = self.encoder.finish()?;
        if whole.len() > HARD {
            return Err(io::Error::other("the rows are larger than was estimated"));
        }
        Ok(whole.into())
    }
}

/// What so many bytes take at most, with the frame's own: a block that does not compress is kept as
/// it is.
fn bound(bytes: usize) -> usize {
    bytes.saturating_add(bytes >> 8).saturating_add(64)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn noise(bytes: usize, chance: &mut ChaCha8Rng) -> Vec<u8> {
        (0..bytes).map(|_| chance.random()).collect()
    }

    #[test]
    fn g8_noise_fills_a_piece_to_the_limit_and_never_beyond() {
        let mut chance = ChaCha8Rng::seed_from_u64(3);
        let (mut body, mut sent) = (Body::new().unwrap(), Vec::new());
        loop {
            let size = chance.random_range(1..60_000);
            let rows = noise(size, &mut chance);
            if body.has_room(rows.len()) {
                if body.add(&rows) {
                    body.pack().unwrap();
                }
            } else if !body.squeeze(&rows).unwrap() {
                break;
            }
            sent.extend(rows);
        }
        let most = body.most();
        let whole = body.finish().unwrap();
        assert!(whole.len() <= most && whole.len() <= HARD);
        assert!(whole.len() > MOST - 100_000, "{}", whole.len());
        assert_eq!(zstd::decode_all(whole.as_ref()).unwrap(), sent);
    }

    #[test]
    fn rows_that_compress_well_fit_though_they_are_larger_than_the_limit() {
        let mut body = Body::new().unwrap();
        let rows = b"{\"a\":\"the same again and again\"}\n".repeat(1 << 19);
        assert!(!body.has_room(rows.len()));
        assert!(body.squeeze(&rows).unwrap());
        let whole = body.finish().unwrap();
        assert_eq!(zstd::decode_all(whole.as_ref()).unwrap(), rows);
    }

    #[test]
    fn g8_rows_that_do_not_fit_are_not_taken() {
        let mut chance = ChaCha8Rng::seed_from_u64(4);
        let mut body = Body::new().unwrap();
        let rows = noise(MOST, &mut chance);
        assert!(!body.has_room(rows.len()) && !body.squeeze(&rows).unwrap());
        body.add(b"{}\n");
        assert_eq!(
            zstd::decode_all(body.finish().unwrap().as_ref()).unwrap(),
            b"{}\n"
        );
    }
}
