//! Frames: what one group commit appends to one partition.
//!
//! Guarantee: a frame is whole and as it was written, or it is not decoded. All that is written
//! to a file between two fsyncs is one frame, so that a bad frame before a good one is damage,
//! never the trace of a crash.
//!
//! | bytes | content, big endian |
//! |---|---|
//! | 8 | marker: the first half of the log's uuid |
//! | 4 | length of the body |
//! | 4 | crc32c of everything else after the marker |
//! | 8 | offset of the first record |
//! | 4 | number of records |
//! | 8 | time of the append, ms |
//! | … | body: each record with its length, 4 bytes, before it |

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::{Buf as _, BufMut as _, Bytes};

use crate::time::Millis;

/// Eight bytes that no outsider knows: a payload cannot pretend to be a frame.
pub(super) type Marker = [u8; 8];

/// Bytes before a frame's body.
pub(super) const HEAD: usize = 36;
/// Bytes before each record.
pub(super) const RECORD_HEAD: usize = 4;
/// The most a body may hold: lengths are 32 bits, and a frame is read as a whole.
pub(super) const LARGEST_BODY: usize = 1 << 30;
/// Bytes read from a file at a time.
const CHUNK: usize = 256 << 10;

/// A frame whose checksum matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    /// Offset of the first record.
    pub(super) first: u64,
    /// Number of records.
    pub(super) count: u32,
    /// When it was appended.
    pub(super) time: Millis,
    /// Bytes of the frame in the file.
    pub(super) length: u64,
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// One past the offset of the last record.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }

    /// The records with their offsets.
    pub(super) fn records(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let mut rest = self.body;
        let first = self.first;
        (first..).map_while(move |offset| {
            let (record, after) = split_record(rest)?;
            rest = after;
            Some((offset, record))
        })
    }
}

fn split_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = body.split_first_chunk::<RECORD_HEAD>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

/// Bytes of a body of these records.
pub(super) fn body_length(records: &[Bytes]) -> usize {
    records.iter().fold(0, |sum, record| {
        sum.saturating_add(record.len()).saturating_add(RECORD_HEAD)
    })
}

/// The frame of these records; nothing if they are more than [`LARGEST_BODY`].
pub(super) fn encode(
    marker: Marker,
    first: u64,
    time: Millis,
    records: &[Bytes],
) -> Option<Vec<u8>> {
    let length = body_length(records);
    if length > LARGEST_BODY {
        return None;
    }
    let mut body = Vec::with_capacity(HEAD.saturating_add(length));
    body.put_slice(&marker);
    body.put_u32(u32::try_from(length).ok()?);
    // the checksum's place
    body.put_u32(0);
    body.put_u64(first);
    body.put_u32(u32::try_from(records.len()).ok()?);
    body.put_i64(time);
    for record in records {
        body.put_u32(u32::try_from(record.len()).ok()?);
        body.put_slice(record);
    }
    let crc = checksum(&body)?;
    body.get_mut(12..16)?.copy_from_slice(&crc.to_be_bytes());
    Some(body)
}

fn checksum(frame: &[u8]) -> Option<u32> {
    Some(crc32c::crc32c_append(
        crc32c::crc32c(frame.get(8..12)?),
        frame.get(16..)?,
    ))
}

/// Bytes of the frame that `head` begins, as far as it can be trusted without its checksum.
fn claimed_length(marker: Marker, head: &[u8]) -> Option<usize> {
    let length = head.strip_prefix(&marker)?.split_first_chunk::<4>()?.0;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    (length <= LARGEST_BODY).then(|| HEAD.saturating_add(length))
}

/// The frame at the start of `bytes`, if it is whole and its checksum matches.
pub(super) fn decode(marker: Marker, bytes: &[u8]) -> Option<Frame<'_>> {
    let length = claimed_length(marker, bytes)?;
    let frame = bytes.get(..length)?;
    let (mut head, body) = frame.split_at_checked(HEAD)?;
    head.advance(12);
    let crc = head.get_u32();
    let (first, count, time) = (head.get_u64(), head.get_u32(), head.get_i64());
    if checksum(frame)? != crc {
        return None;
    }
    let length = u64::try_from(length).ok()?;
    let frame = Frame {
        first,
        count,
        time,
        length,
        body,
    };
    (frame.records().count() == usize::try_from(count).ok()?).then_some(frame)
}

/// Whether a good frame begins anywhere in `bytes`.
pub(super) fn any_in(marker: Marker, bytes: &[u8]) -> bool {
    let starts = bytes
        .windows(marker.len())
        .enumerate()
        .filter(|(_, window)| *window == marker);
    starts.into_iter().any(|(at, _)| {
        bytes
            .get(at..)
            .is_some_and(|rest| decode(marker, rest).is_some())
    })
}

/// Walks the frames of a file, from a position on.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    file: &'a File,
    marker: Marker,
    size: u64,
    position: u64,
    buffer: Vec<u8>,
    read: usize,
}

impl<'a> Frames<'a> {
    /// Frames of `file` from the byte `position` on, as long as the file is now.
    pub(super) fn new(file: &'a File, marker: Marker, position: u64) -> io::Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            file,
            marker,
            size,
            position,
            buffer: Vec::new(),
            read: 0,
        })
    }

    /// Where the next frame begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next frame; nothing at the end of the file, or if what is there is no good frame.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        if !self.fill(HEAD)? {
            return Ok(None);
        }
        let head = self.buffer.get(self.read..).unwrap_or_default();
        let Some(length) = claimed_length(self.marker, head) else {
            return Ok(None);
        };
        if !self.fill(length)? {
            return Ok(None);
        }
        let bytes = self.buffer.get(self.read..).unwrap_or_default();
        let Some(frame) = decode(self.marker, bytes) else {
            return Ok(None);
        };
        self.read = self.read.saturating_add(length);
        self.position = self.position.saturating_add(frame.length);
        Ok(Some(frame))
    }

    /// Has `length` bytes at hand, if the file has them.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        let held = self.buffer.len().saturating_sub(self.read);
        if held >= length {
            return Ok(true);
        }
        // Checked before memory is taken: a damaged length must not take a gigabyte of it.
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        if left < length {
            return Ok(false);
        }
        self.buffer.drain(..self.read);
        self.read = 0;
        let mut at = self
            .position
            .saturating_add(u64::try_from(held).unwrap_or(u64::MAX));
        self.buffer.resize(length.max(CHUNK).min(left).max(held), 0);
        let mut free = self.buffer.get_mut(held..).unwrap_or_default();
        while !free.is_empty() {
            let read = self.file.read_at(free, at)?;
            if read == 0 {
                return Ok(false);
            }
            at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            free = free.get_mut(read..).unwrap_or_default();
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKER: Marker = *b"\x7fmarker\x01";

    fn records() -> Vec<Bytes> {
        vec![
            Bytes::from_static(b"one"),
            Bytes::new(),
            Bytes::from_static(b"three"),
        ]
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded() {
        let bytes = encode(MARKER, 7, 1_000, &records()).unwrap();
        let frame = decode(MARKER, &bytes).unwrap();
        assert_eq!(
            (frame.first, frame.count, frame.time, frame.end()),
            (7, 3, 1_000, 10)
        );
        let read: Vec<_> = frame
            .records()
            .map(|(at, bytes)| (at, bytes.to_vec()))
            .collect();
        assert_eq!(
            read,
            [(7, b"one".to_vec()), (8, vec![]), (9, b"three".to_vec())]
        );
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_seen() {
        let bytes = encode(MARKER, 7, 1_000, &records()).unwrap();
        for at in 0..bytes.len() {
            assert_eq!(decode(MARKER, &bytes[..at]), None, "cut at {at}");
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                assert_eq!(decode(MARKER, &flipped), None, "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_good_frame_is_found_behind_garbage_and_a_frame_of_another_log_is_not() {
        let frame = encode(MARKER, 7, 1_000, &records()).unwrap();
        let mut bytes = MARKER.to_vec();
        bytes.extend_from_slice(b"garbage");
        bytes.extend_from_slice(&frame);
        assert!(any_in(MARKER, &bytes));
        assert!(!any_in(*b"another!", &bytes));
        assert!(!any_in(MARKER, &bytes[..bytes.len() - 1]));
    }
}
