//! Opening a partition: what is in its folder, and where its last durable record ends.
//!
//! Guarantee: only bytes after the last good frame of the last segment are cut, and only if no
//! good frame follows them; everything else that is not as written is refused as damaged.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use super::files::{io_error, sync_dir};
use super::frame::{self, Frames, Marker};
use super::segment::{HEADER, Header, Sealed, Segment};
use super::view::Held;
use crate::log::LogError;

/// A partition as found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segments: VecDeque<Held>,
    /// The newest segment's file.
    pub(super) file: Arc<File>,
    /// What the newest segment's header says.
    pub(super) header: Header,
    /// Next offset.
    pub(super) end: u64,
}

/// Finds a partition's segments and repairs the tail of the newest.
pub(super) fn recover(dir: &Path, partition: u16, marker: Marker) -> Result<Found, LogError> {
    let (mut segments, header) = chain(dir, partition, marker)?;
    let lost = || LogError::Damaged {
        file: partition.to_string(),
        at: 0,
    };
    let newest = segments.back_mut().ok_or_else(lost)?;
    let header = header.ok_or_else(lost)?;
    let file = File::options()
        .read(true)
        .write(true)
        .open(&newest.segment.path);
    let file = Arc::new(file.map_err(|error| io_error(&error))?);
    let end = tail(&file, newest, marker)?;
    // What a killed process wrote may be read here and yet be in memory only: readers must see
    // nothing that a loss of power can take back.
    file.sync_all()
        .and_then(|()| sync_dir(dir))
        .map_err(|error| io_error(&error))?;
    Ok(Found {
        segments,
        file,
        header,
        end,
    })
}

/// The segments in order. Only headers are read; frames are checked when they are read.
fn chain(
    dir: &Path,
    partition: u16,
    marker: Marker,
) -> Result<(VecDeque<Held>, Option<Header>), LogError> {
    let mut segments: VecDeque<Held> = VecDeque::new();
    let mut newest = None;
    for base in bases(dir).map_err(|error| io_error(&error))? {
        let segment = Segment::at(dir, base);
        let damaged = |name| LogError::Damaged { file: name, at: 0 };
        let file = File::open(&segment.path).map_err(|error| io_error(&error))?;
        let length = file.metadata().map_err(|error| io_error(&error))?.len();
        let header = Header::read(&file).map_err(|error| io_error(&error))?;
        let belongs = |header: &Header| {
            (header.marker, header.partition, header.base) == (marker, partition, base)
        };
        let header = header
            .filter(belongs)
            .ok_or_else(|| damaged(segment.name()))?;
        if let Some(before) = segments.back_mut() {
            let Sealed { base, length, last } = header.before;
            if before.segment.base != base {
                // the one between them is not there
                return Err(damaged(segment.name()));
            }
            if before.length != length {
                let at = length.min(before.length);
                return Err(LogError::Damaged {
                    file: before.segment.name(),
                    at,
                });
            }
            before.last = last;
        }
        segments.push_back(Held {
            segment: Arc::new(segment),
            length,
            last: 0,
        });
        newest = Some(header);
    }
    Ok((segments, newest))
}

fn bases(dir: &Path) -> io::Result<Vec<u64>> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir)? {
        bases.extend(Segment::base_of(&entry?.file_name().to_string_lossy()));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// Walks the newest segment, cuts a torn tail and returns the next offset.
fn tail(file: &Arc<File>, newest: &mut Held, marker: Marker) -> Result<u64, LogError> {
    let segment = &newest.segment;
    let size = file.metadata().map_err(|error| io_error(&error))?.len();
    let mut frames = Frames::new(Arc::clone(file), marker, HEADER, size);
    let mut next = segment.base;
    let mut good = HEADER;
    while let Some((frame, _)) = frames.next().map_err(|error| io_error(&error))? {
        if frame.first != next || frame.count == 0 {
            return Err(LogError::Damaged {
                file: segment.name(),
                at: good,
            });
        }
        segment.note(frame.first, good);
        next = frame.end();
        newest.last = frame.time;
        good = good.saturating_add(frame.length);
    }
    if good < size {
        if followed(file, good, size, marker).map_err(|error| io_error(&error))? {
            return Err(LogError::Damaged {
                file: segment.name(),
                at: good,
            });
        }
        // A group commit is one frame, and the next is written after its fsync: a bad frame at
        // the end was never acknowledged.
        tracing::warn!(
            file = segment.name(),
            at = good,
            bytes = size.saturating_sub(good),
            "cut the last append: it is torn, or was damaged since"
        );
        file.set_len(good).map_err(|error| io_error(&error))?;
    }
    newest.length = good;
    Ok(next)
}

/// Whether a good frame begins anywhere between the two positions.
fn followed(file: &File, from: u64, until: u64, marker: Marker) -> io::Result<bool> {
    let length = usize::try_from(until.saturating_sub(from)).map_err(io::Error::other)?;
    let mut rest = vec![0; length];
    file.read_exact_at(&mut rest, from)?;
    Ok(frame::any_in(marker, &rest))
}
