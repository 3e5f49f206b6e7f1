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
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes};
use rustix::buffer::spare_capacity;

use crate::log::LogRecord;
use crate::time::Millis;

/// Eight bytes that no outsider knows: a payload cannot pretend to be a frame.
pub(super) type Marker = [u8; 8];

/// Bytes before a frame's body.
pub(super) const HEAD: usize = 36;
/// Bytes before each record.
pub(super) const RECORD_HEAD: usize = 4;
/// The most a body may hold: lengths are 32 bits, and a frame is read as a whole.
pub(super) const LARGEST_BODY: usize = 1 << 30;
/// The most a record may hold: what a round collects before it fits into the same body.
pub(super) const LARGEST_RECORD: usize = LARGEST_BODY - (8 << 20);
/// Bytes read from a file or written to it at a time.
const CHUNK: usize = 256 << 10;

/// What the head of a frame says whose checksum matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Offset of the first record.
    pub(super) first: u64,
    /// Number of records.
    pub(super) count: u32,
    /// When it was appended.
    pub(super) time: Millis,
    /// Bytes of the frame in the file.
    pub(super) length: u64,
}

impl Head {
    /// One past the offset of the last record.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(u64::from(self.count))
    }
}

/// The records of a frame, as parts of the bytes that were read: nothing is copied.
#[derive(Debug, Clone, Default)]
pub(super) struct Records {
    body: Bytes,
    at: usize,
    /// The next record's.
    offset: u64,
}

impl Records {
    /// Bytes of the next record.
    pub(super) fn peek(&self) -> Option<usize> {
        let (record, _) = split_record(self.body.get(self.at..)?)?;
        Some(record.len())
    }

    /// Leaves out the records before an offset.
    pub(super) fn skip_to(&mut self, offset: u64) {
        while self.offset < offset
            && let Some(length) = self.peek()
        {
            self.at = self.after(length);
            self.offset = self.offset.saturating_add(1);
        }
    }

    fn after(&self, length: usize) -> usize {
        self.at.saturating_add(RECORD_HEAD).saturating_add(length)
    }
}

impl Iterator for Records {
    type Item = LogRecord;

    fn next(&mut self) -> Option<LogRecord> {
        let length = self.peek()?;
        let (offset, end) = (self.offset, self.after(length));
        let bytes = self.body.slice(self.at.saturating_add(RECORD_HEAD)..end);
        self.at = end;
        self.offset = offset.saturating_add(1);
        Some(LogRecord { offset, bytes })
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

/// Bytes of the frame of these records; nothing if they are more than [`LARGEST_BODY`].
pub(super) fn length(records: &[Bytes]) -> Option<usize> {
    let body = body_length(records);
    (body <= LARGEST_BODY).then(|| HEAD.saturating_add(body))
}

/// Writes the frame of these records to a file, in pieces put together in `piece`: each byte is
/// copied once, and is still in the processor's cache when it is summed and written. Until the last
/// write, which is that of the checksum, there is no good frame.
pub(super) fn write(
    (file, position): (&File, u64),
    piece: &mut Vec<u8>,
    marker: Marker,
    (first, time): (u64, Millis),
    records: &[Bytes],
) -> io::Result<()> {
    let number = |length: usize| u32::try_from(length).map_err(io::Error::other);
    piece.clear();
    piece.put_slice(&marker);
    piece.put_u32(number(body_length(records))?);
    // the checksum's place
    piece.put_u32(0);
    piece.put_u64(first);
    piece.put_u32(number(records.len())?);
    piece.put_i64(time);
    let mut crc = crc32c::crc32c(piece.get(8..12).unwrap_or_default());
    let (mut summed, mut at) = (16, position);
    for record in records {
        piece.put_u32(number(record.len())?);
        piece.put_slice(record);
        if piece.len() >= CHUNK {
            crc = crc32c::crc32c_append(crc, piece.get(summed..).unwrap_or_default());
            file.write_all_at(piece, at)?;
            at = at.saturating_add(u64::try_from(piece.len()).map_err(io::Error::other)?);
            piece.clear();
            summed = 0;
        }
    }
    crc = crc32c::crc32c_append(crc, piece.get(summed..).unwrap_or_default());
    if let Some(place) = piece.get_mut(12..16)
        && at == position
    {
        // A small frame is one write.
        place.copy_from_slice(&crc.to_be_bytes());
        return file.write_all_at(piece, at);
    }
    file.write_all_at(piece, at)?;
    file.write_all_at(&crc.to_be_bytes(), position.saturating_add(12))
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

/// The head of the frame at the start of `bytes`, if that is whole and its checksum matches.
pub(super) fn decode(marker: Marker, bytes: &[u8]) -> Option<Head> {
    let length = claimed_length(marker, bytes)?;
    let frame = bytes.get(..length)?;
    let (mut head, mut body) = frame.split_at_checked(HEAD)?;
    head.advance(12);
    let crc = head.get_u32();
    let (first, count, time) = (head.get_u64(), head.get_u32(), head.get_i64());
    if checksum(frame)? != crc {
        return None;
    }
    let mut records = 0_u32;
    while let Some((_, rest)) = split_record(body) {
        records = records.saturating_add(1);
        body = rest;
    }
    let length = u64::try_from(length).ok()?;
    (records == count).then_some(Head {
        first,
        count,
        time,
        length,
    })
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
#[derive(Debug, Clone)]
pub(super) struct Frames {
    file: Arc<File>,
    marker: Marker,
    /// Where the file's frames end.
    size: u64,
    position: u64,
    /// Bytes of the file from `position` on.
    block: Bytes,
}

impl Frames {
    /// Frames of `file` between the bytes `position` and `size`.
    pub(super) fn new(file: Arc<File>, marker: Marker, position: u64, size: u64) -> Self {
        Self {
            file,
            marker,
            size,
            position,
            block: Bytes::new(),
        }
    }

    /// Where the next frame begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes at hand.
    pub(super) fn held(&self) -> usize {
        self.block.len()
    }

    /// The file has become longer.
    pub(super) fn grown(&mut self, size: u64) {
        self.size = size;
    }

    /// The next frame; nothing at the end, or if what is there is no good frame.
    pub(super) fn next(&mut self) -> io::Result<Option<(Head, Records)>> {
        if !self.fill(HEAD)? {
            return Ok(None);
        }
        let Some(length) = claimed_length(self.marker, &self.block) else {
            return Ok(None);
        };
        if !self.fill(length)? {
            return Ok(None);
        }
        let Some(head) = decode(self.marker, &self.block) else {
            return Ok(None);
        };
        let mut body = self.block.split_to(length);
        body.advance(HEAD);
        self.position = self.position.saturating_add(head.length);
        let records = Records {
            body,
            at: 0,
            offset: head.first,
        };
        Ok(Some((head, records)))
    }

    /// Has `length` bytes at hand, if the file has them. Each block is memory of its own, since
    /// records of the one before may be in use.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        if self.block.len() >= length {
            return Ok(true);
        }
        // Checked before memory is taken: a damaged length must not take a gigabyte of it.
        let left = usize::try_from(self.size.saturating_sub(self.position)).unwrap_or(usize::MAX);
        if left < length {
            return Ok(false);
        }
        let mut block = Vec::with_capacity(length.max(CHUNK).min(left));
        while block.len() < length {
            let read = u64::try_from(block.len()).unwrap_or(u64::MAX);
            let at = self.position.saturating_add(read);
            if rustix::io::pread(&*self.file, spare_capacity(&mut block), at)? == 0 {
                return Ok(false);
            }
        }
        block.truncate(left);
        self.block = Bytes::from(block);
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

    /// The frame of these records, with so many bytes before it in its file.
    fn encoded_after(before: u64, records: &[Bytes]) -> Vec<u8> {
        let (_dir, file, _) = file(b"");
        let mut piece = b"what was there before".to_vec();
        write((&file, before), &mut piece, MARKER, (7, 1_000), records).unwrap();
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len() - before).unwrap()];
        file.read_exact_at(&mut bytes, before).unwrap();
        assert_eq!(length(records), Some(bytes.len()));
        bytes
    }

    fn encoded(records: &[Bytes]) -> Vec<u8> {
        encoded_after(0, records)
    }

    /// A file with these bytes.
    fn file(bytes: &[u8]) -> (tempfile::TempDir, Arc<File>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, bytes).unwrap();
        let length = u64::try_from(bytes.len()).unwrap();
        let file = File::options().read(true).write(true).open(path).unwrap();
        (dir, Arc::new(file), length)
    }

    #[test]
    fn a_frame_decodes_to_what_was_encoded() {
        let bytes = encoded(&records());
        let frame = decode(MARKER, &bytes).unwrap();
        assert_eq!(
            (frame.first, frame.count, frame.time, frame.end()),
            (7, 3, 1_000, 10)
        );
        let (_dir, file, length) = file(&bytes);
        let mut frames = Frames::new(file, MARKER, 0, length);
        let (_, read) = frames.next().unwrap().unwrap();
        assert_eq!(
            read.clone().map(|it| it.bytes).collect::<Vec<_>>(),
            records()
        );
        assert_eq!(read.map(|it| it.offset).collect::<Vec<_>>(), [7, 8, 9]);
        assert!(frames.next().unwrap().is_none());
    }

    #[test]
    fn a_frame_written_in_pieces_is_one_frame() {
        let large = |size: usize| Bytes::from(vec![7; size]);
        for sizes in [
            vec![1500; 1000],
            vec![CHUNK],
            vec![CHUNK - HEAD - RECORD_HEAD],
            vec![CHUNK - HEAD - RECORD_HEAD - 1, 0, 5],
            vec![3 * CHUNK, 0, CHUNK, 1],
        ] {
            let records: Vec<_> = sizes.into_iter().map(large).collect();
            let bytes = encoded_after(52, &records);
            let head = decode(MARKER, &bytes).unwrap();
            assert_eq!(usize::try_from(head.count), Ok(records.len()));
            let (_dir, file, length) = file(&bytes);
            let (_, read) = Frames::new(file, MARKER, 0, length)
                .next()
                .unwrap()
                .unwrap();
            assert_eq!(read.map(|it| it.bytes).collect::<Vec<_>>(), records);
        }
    }

    #[test]
    fn records_are_parts_of_what_was_read_and_nothing_beyond_the_end_is_read() {
        let bytes = encoded(&records());
        let (_dir, file, length) = file(&[bytes.clone(), bytes].concat());
        let mut frames = Frames::new(Arc::clone(&file), MARKER, 0, length);
        let (_, first) = frames.next().unwrap().unwrap();
        let (_, mut second) = frames.next().unwrap().unwrap();
        let place = |record: LogRecord| record.bytes.as_ptr().addr();
        let first = place(first.last().unwrap());
        second.skip_to(9);
        assert_eq!(second.peek(), Some(5));
        assert_eq!(
            place(second.next().unwrap()) - first,
            HEAD + 3 * RECORD_HEAD + 8
        );
        assert!(second.next().is_none());
        let mut shorter = Frames::new(file, MARKER, 0, length - 1);
        assert!(shorter.next().unwrap().is_some());
        assert!(shorter.next().unwrap().is_none());
    }

    #[test]
    fn any_flipped_bit_and_any_missing_byte_is_seen() {
        let bytes = encoded(&records());
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
        let frame = encoded(&records());
        let mut bytes = MARKER.to_vec();
        bytes.extend_from_slice(b"garbage");
        bytes.extend_from_slice(&frame);
        assert!(any_in(MARKER, &bytes));
        assert!(!any_in(*b"another!", &bytes));
        assert!(!any_in(MARKER, &bytes[..bytes.len() - 1]));
    }
}
