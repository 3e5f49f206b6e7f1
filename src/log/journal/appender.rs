//! The end of a partition's newest segment, where the writer appends.
//!
//! Guarantee (G1): a frame is published to readers after its fsync, or cut off again.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::files::io_error;
use super::frame;
use super::recover::Found;
use super::segment::{HEADER, Header, Sealed, Segment};
use super::view::Held;
use super::{JournalDeps, Shared};
use crate::log::LogError;
use crate::time::Millis;

/// What stands after the last durable frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing, or the frame being appended.
    Clean,
    /// Part of a frame whose write failed: to be cut.
    Torn,
    /// A frame whose fsync failed. The kernel may have dropped its pages and marked them clean,
    /// so that a second fsync of the same file succeeds without having written anything. Hence
    /// nothing is tried again: the frame is cut, and what follows goes to a file of its own. Also
    /// after a roll that failed: its file may be there and says where this one ends.
    Distrusted,
}

/// A frame written and not yet durable.
#[derive(Debug)]
pub(super) struct Written {
    records: Vec<Bytes>,
    length: u64,
    time: Millis,
}

/// Where a partition grows.
#[derive(Debug)]
pub(super) struct Appender {
    dir: PathBuf,
    shared: Arc<Shared>,
    deps: JournalDeps,
    /// Bytes after which a new segment begins.
    roll_at: u64,
    file: Arc<File>,
    segment: Arc<Segment>,
    header: Header,
    /// Durable bytes of the file.
    length: u64,
    last: Millis,
    /// Next offset.
    next: u64,
    after: After,
}

impl Appender {
    /// Goes on after what was found; nothing if no segment was.
    pub(super) fn new(
        dir: PathBuf,
        shared: Arc<Shared>,
        deps: JournalDeps,
        roll_at: u64,
        found: Found,
    ) -> Option<Self> {
        let newest = found.segments.back()?;
        Some(Self {
            dir,
            shared,
            deps,
            roll_at,
            segment: Arc::clone(&newest.segment),
            length: newest.length,
            last: newest.last,
            file: found.file,
            header: found.header,
            next: found.end,
            after: After::Clean,
        })
    }

    /// The next offset to be given out.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// When the newest segment was last appended to, if it holds anything.
    pub(super) fn last(&self) -> Option<Millis> {
        (self.next > self.segment.base).then_some(self.last)
    }

    /// Writes one frame after the last durable one, in pieces put together in `piece`. Nothing is
    /// durable yet, and nothing else may be written to this partition before [`Self::synced`].
    pub(super) fn write(
        &mut self,
        piece: &mut Vec<u8>,
        records: Vec<Bytes>,
        time: Millis,
    ) -> Result<Written, LogError> {
        self.mend()?;
        let length = frame::length(&records).ok_or_else(|| {
            LogError::Refused("an append of more than 1 GiB; split it".to_owned())
        })?;
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        if self.length > HEADER && self.length.saturating_add(length) > self.roll_at {
            self.roll()?;
        }
        let (place, marker) = ((&*self.file, self.length), self.header.marker);
        let written = (self.deps.before_write)()
            .and_then(|()| frame::write(place, piece, marker, (self.next, time), &records));
        if let Err(error) = written {
            self.after = After::Torn;
            // If the cut fails as well, the next append begins with it.
            drop(self.mend());
            return Err(self.shared.failed(&error));
        }
        Ok(Written {
            records,
            length,
            time,
        })
    }

    /// The file that the last frame was written to.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Takes the answer of the frame's fsync: shows the frame to readers and returns its first
    /// offset, or cuts it off again.
    pub(super) fn synced(
        &mut self,
        written: Written,
        answer: io::Result<()>,
    ) -> Result<u64, LogError> {
        if let Err(error) = answer {
            self.after = After::Distrusted;
            // Only what is surely cut off may be called not stored.
            self.mend()?;
            return Err(self.shared.failed(&error));
        }
        self.shared.syncs.fetch_add(1, Ordering::Relaxed);
        let (first, position) = (self.next, self.length);
        let Written {
            records,
            length,
            time,
        } = written;
        self.next = first.saturating_add(u64::try_from(records.len()).unwrap_or(u64::MAX));
        self.length = position.saturating_add(length);
        self.last = time;
        self.segment.note(first, position);
        self.shared.used.fetch_add(length, Ordering::Relaxed);
        if let Some(view) = self.shared.views.get(usize::from(self.header.partition)) {
            view.publish(records, length, time);
        }
        Ok(first)
    }

    /// Cuts off what a failed append left behind.
    fn mend(&mut self) -> Result<(), LogError> {
        if self.after == After::Clean {
            return Ok(());
        }
        let cut = self.file.set_len(self.length);
        let cut = cut
            .and_then(|()| (self.deps.before_sync)())
            .and_then(|()| self.file.sync_all());
        cut.map_err(|error| io_error(&error))?;
        if self.after == After::Distrusted {
            self.roll()?;
        }
        self.after = After::Clean;
        Ok(())
    }

    /// Seals the newest segment, so that it can be deleted.
    pub(super) fn seal(&mut self) -> Result<(), LogError> {
        self.mend()?;
        self.roll()
    }

    /// Goes on in a new segment. All of the old one is durable, and it holds nothing else.
    fn roll(&mut self) -> Result<(), LogError> {
        // A segment without records gives its place to the new one of the same name.
        let empty = self.segment.base == self.next;
        let before = if empty {
            self.header.before
        } else {
            Sealed {
                base: self.segment.base,
                length: self.length,
                last: self.last,
            }
        };
        let header = Header {
            base: self.next,
            before,
            ..self.header
        };
        let segment = Segment::at(&self.dir, self.next);
        let created = segment.create(&header, || (self.deps.before_sync)());
        if created.is_err() {
            self.after = After::Distrusted;
        }
        self.file = Arc::new(created.map_err(|error| self.shared.failed(&error))?);
        self.segment = Arc::new(segment);
        (self.header, self.length) = (header, HEADER);
        if !empty {
            self.shared.used.fetch_add(HEADER, Ordering::Relaxed);
        }
        if let Some(view) = self.shared.views.get(usize::from(header.partition)) {
            let segment = Arc::clone(&self.segment);
            view.rolled(Held {
                segment,
                length: HEADER,
                last: self.last,
            });
        }
        Ok(())
    }
}

/// Whether an error means that the disk, or this user's share of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
