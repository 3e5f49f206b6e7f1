//! Segment files: a header, then frames. The name is the offset of the first record.
//!
//! Guarantee: a segment is there with a durable header, or it is not there. The header names the
//! segment before it and its length, so that a lost or shortened one is seen at open.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::{Buf as _, BufMut as _};

use super::files::sync_dir;
use super::frame::Marker;
use crate::dir_lock::private;
use crate::time::Millis;

/// Bytes of a segment's header, where its first frame begins.
pub(super) const HEADER: u64 = 52;
const HEADER_BYTES: usize = 52;
/// Version of the layout of segments and frames.
pub(super) const FORMAT: u16 = 1;
/// Bytes between two entries of an index.
const STRIDE: u64 = 64 << 10;

/// What the next segment's header says of a sealed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sealed {
    /// Its first offset.
    pub(super) base: u64,
    /// Bytes of its file; 0 if there was none.
    pub(super) length: u64,
    /// When it was last appended to.
    pub(super) last: Millis,
}

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) marker: Marker,
    pub(super) partition: u16,
    /// Offset of the first record.
    pub(super) base: u64,
    /// The segment before.
    pub(super) before: Sealed,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.put_slice(&self.marker);
        bytes.put_u16(FORMAT);
        bytes.put_u16(self.partition);
        bytes.put_u32(0);
        bytes.put_u64(self.base);
        bytes.put_u64(self.before.base);
        bytes.put_u64(self.before.length);
        bytes.put_i64(self.before.last);
        bytes.put_u32(crc32c::crc32c(&bytes));
        bytes
    }

    /// The header of a file; nothing if it is not one of this format.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEADER_BYTES];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let Some((said, crc)) = bytes.split_last_chunk::<4>() else {
            return Ok(None);
        };
        if crc32c::crc32c(said) != u32::from_be_bytes(*crc) {
            return Ok(None);
        }
        let mut said = said;
        let mut marker = Marker::default();
        said.copy_to_slice(&mut marker);
        let (format, partition, _) = (said.get_u16(), said.get_u16(), said.get_u32());
        let base = said.get_u64();
        let (before, length, last) = (said.get_u64(), said.get_u64(), said.get_i64());
        let before = Sealed {
            base: before,
            length,
            last,
        };
        Ok((format == FORMAT).then_some(Self {
            marker,
            partition,
            base,
            before,
        }))
    }
}

/// One segment, as readers know it.
#[derive(Debug)]
pub(super) struct Segment {
    /// Offset of the first record.
    pub(super) base: u64,
    /// Its file.
    pub(super) path: PathBuf,
    /// Offsets and where their frames begin, one about every [`STRIDE`] bytes, in order. It grows
    /// with appends and as readers walk the file; it never has gaps before its last entry.
    index: Mutex<Vec<(u64, u64)>>,
}

impl Segment {
    /// The segment of a partition's folder that begins at `base`.
    pub(super) fn at(dir: &Path, base: u64) -> Self {
        Self {
            base,
            path: dir.join(format!("{base:020}.log")),
            index: Mutex::default(),
        }
    }

    /// The offset that a file's name says, if it is a segment's.
    pub(super) fn base_of(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".log")?;
        (digits.len() == 20).then(|| digits.parse().ok())?
    }

    /// Its folder and file name, for messages.
    pub(super) fn name(&self) -> String {
        let parts = [
            self.path.parent().and_then(Path::file_name),
            self.path.file_name(),
        ];
        let names = parts
            .into_iter()
            .flatten()
            .map(|part| part.to_string_lossy());
        names.collect::<Vec<_>>().join("/")
    }

    /// Makes its file, durably: under another name first, so that no half header is ever seen.
    /// After an error the file may be there all the same.
    pub(super) fn create(
        &self,
        header: &Header,
        before_sync: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<File> {
        let draft = self.path.with_extension("new");
        let file = private()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&draft)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_all()?;
        fs::rename(&draft, &self.path)?;
        before_sync()?;
        self.path.parent().map_or(Ok(()), sync_dir)?;
        Ok(file)
    }

    /// Where to begin to walk for `offset`.
    pub(super) fn near(&self, offset: u64) -> (u64, u64) {
        let index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let after = index.partition_point(|(known, _)| *known <= offset);
        let entry = after.checked_sub(1).and_then(|last| index.get(last));
        entry.copied().unwrap_or((self.base, HEADER))
    }

    /// Tells that the frame of `offset` begins at `position`. Only of durable frames, and without
    /// leaving out any part of the file before it.
    pub(super) fn note(&self, offset: u64, position: u64) {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let last = index.last().map_or(HEADER, |(_, position)| *position);
        if position >= last.saturating_add(STRIDE) {
            index.push((offset, position));
        }
    }
}
