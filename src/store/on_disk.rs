//! The files of the store, and large values in pieces.
//!
//! Guarantee (G3): what [`OnDisk::flush`] returned for survives a loss of power. sled alone does
//! not promise that: its flush hands pages to the disk and leaves them in the disk's own cache, and
//! a value larger than a page takes goes to a file that it never syncs. So the file is synced here,
//! and such a value is cut into pieces that stay in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;

use sled::transaction::{
    ConflictableTransactionError as Conflict, TransactionError, Transactional as _,
};

use crate::store::Pair;

/// Bytes of pages that sled keeps in memory.
const CACHE: u64 = 64 << 20;
/// Bytes of one piece. sled's pages hold some twenty values, and 128 KiB before they get a file.
const PIECE: usize = 4 << 10;
/// What the entry of a value in pieces begins with. Length and checksum follow.
const IN_PIECES: &[u8] = b"\0pieces\0";
/// A value that is being replaced while it is read is read again, so often at most.
const READS: usize = 5;

/// An open database.
#[derive(Debug)]
pub(super) struct OnDisk {
    entries: sled::Db,
    /// By the value's key and the piece's number.
    pieces: sled::Tree,
    file: File,
}

/// The entry of a value in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct InPieces {
    length: u64,
    checksum: u32,
}

impl OnDisk {
    /// Opens the database in `dir`. Blocks on the disk.
    pub(super) fn open(dir: &Path) -> sled::Result<Self> {
        let config = sled::Config::new().path(dir).cache_capacity(CACHE);
        let entries = config.open()?;
        // Not synced by sled: without its name, or with an empty `conf`, nothing can be read.
        for name in ["conf", "db", ""] {
            File::open(dir.join(name))?.sync_all()?;
        }
        Ok(Self {
            pieces: entries.open_tree("pieces")?,
            entries,
            file: File::open(dir.join("db"))?,
        })
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> sled::Result<Option<Vec<u8>>> {
        for _ in 0..READS {
            let Some(entry) = self.entries.get(key)? else {
                return Ok(None);
            };
            let Some(of) = InPieces::read(&entry) else {
                return Ok(Some(entry.to_vec()));
            };
            if let Some(value) = self.joined(key, of)? {
                return Ok(Some(value));
            }
        }
        let what = "a large value lacks a piece".to_owned();
        Err(sled::Error::Io(io::Error::other(what)))
    }

    /// Up to `limit` pairs whose key starts with `prefix`, after the key `after`.
    pub(super) fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> sled::Result<Vec<Pair>> {
        let from = super::scan_start(prefix, after);
        let mut found = Vec::new();
        for pair in self.entries.range::<&[u8], _>((from, Bound::Unbounded)) {
            let (key, entry) = pair?;
            if found.len() == limit || !key.starts_with(prefix) {
                break;
            }
            let value = match InPieces::read(&entry) {
                None => Some(entry.to_vec()),
                Some(_) => self.get(&key)?,
            };
            found.extend(value.map(|value| (key.to_vec(), value)));
        }
        Ok(found)
    }

    /// As [`Self::scan`], without the values: no piece of a large one is read.
    pub(super) fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> sled::Result<Vec<Vec<u8>>> {
        let from = super::scan_start(prefix, after);
        let range = self.entries.range::<&[u8], _>((from, Bound::Unbounded));
        let mut found = Vec::new();
        for key in range.keys().take(limit) {
            let key = key?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push(key.to_vec());
        }
        Ok(found)
    }

    /// Applies changes, all of them or none.
    pub(super) fn apply(&self, changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> sled::Result<()> {
        let (mut entries, mut pieces) = (sled::Batch::default(), sled::Batch::default());
        let had_pieces = !self.pieces.is_empty();
        let mut in_pieces = false;
        for (key, change) in changes {
            if had_pieces && let Some(old) = self.entries.get(&key)? {
                let old = InPieces::read(&old);
                for number in 0..old.map_or(0, InPieces::count) {
                    pieces.remove(piece_key(&key, number));
                    in_pieces = true;
                }
            }
            match change {
                None => entries.remove(key),
                Some(value) if value.len() <= PIECE && !value.starts_with(IN_PIECES) => {
                    entries.insert(key, value);
                }
                Some(value) => {
                    for (number, piece) in (0..).zip(value.chunks(PIECE)) {
                        pieces.insert(piece_key(&key, number), piece);
                    }
                    in_pieces = true;
                    entries.insert(key, InPieces::of(&value).entry());
                }
            }
        }
        if !in_pieces {
            return self.entries.apply_batch(entries);
        }
        let both = (&*self.entries, &self.pieces);
        let applied = both.transaction(|(to_entries, to_pieces)| {
            to_pieces.apply_batch(&pieces)?;
            to_entries.apply_batch(&entries)?;
            Ok::<(), Conflict<()>>(())
        });
        applied.map_err(|error| match error {
            TransactionError::Storage(error) => error,
            TransactionError::Abort(()) => sled::Error::ReportableBug("nothing aborts".to_owned()),
        })
    }

    /// Makes what was applied durable. Blocks on the disk.
    pub(super) fn flush(&self) -> sled::Result<()> {
        self.entries.flush()?;
        Ok(self.file.sync_data()?)
    }

    /// The whole value; nothing if it was replaced meanwhile.
    fn joined(&self, key: &[u8], of: InPieces) -> sled::Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        for number in 0..of.count() {
            let Some(piece) = self.pieces.get(piece_key(key, number))? else {
                return Ok(None);
            };
            value.extend_from_slice(&piece);
        }
        Ok((InPieces::of(&value) == of).then_some(value))
    }
}

/// Lets the system forget what it holds of the file in memory. After an error of the disk that
/// may be more than is on the disk, and what is built on it would be lost with it.
pub(super) fn forget_pages(dir: &Path) -> io::Result<()> {
    let file = File::open(dir.join("db"))?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    Ok(())
}

impl InPieces {
    fn of(value: &[u8]) -> Self {
        Self {
            length: u64::try_from(value.len()).unwrap_or(u64::MAX),
            checksum: crc32c::crc32c(value),
        }
    }

    fn entry(self) -> Vec<u8> {
        let length = self.length.to_be_bytes();
        [IN_PIECES, &length, &self.checksum.to_be_bytes()].concat()
    }

    /// What an entry says, if it is of a value in pieces.
    fn read(entry: &[u8]) -> Option<Self> {
        let (length, checksum) = entry.strip_prefix(IN_PIECES)?.split_first_chunk()?;
        Some(Self {
            length: u64::from_be_bytes(*length),
            checksum: u32::from_be_bytes(checksum.try_into().ok()?),
        })
    }

    fn count(self) -> u64 {
        self.length
            .div_ceil(u64::try_from(PIECE).unwrap_or(u64::MAX))
    }
}

fn piece_key(key: &[u8], number: u64) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}
