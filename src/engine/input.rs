//! Where a task reads: its place in the log, what is read ahead, and what an earlier life of the
//! process may have sent.
//!
//! Guarantee (G4, G8): records at or above the durable `reached` were never handed to a lane
//! before; below it, after an unclean stop, an earlier send may still land: such records are
//! suspect. What is read ahead and what is in flight stay together within the bytes in flight, but
//! for one record.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::checkpoint::Opened;
use super::isolation::Blame;
use super::witness::{Witness, Witnesses};
use crate::event::Record;
use crate::log::{LogError, LogRecord, OffsetRange, PartitionReader, ReadLimit};
use crate::store::Cursor;

/// How far beyond what was read the durable `reached` is set.
pub(crate) const WINDOW: u64 = 10_000;
/// What one read may go beyond the room there was.
const MARGIN: u64 = 1000;
/// Records and bytes of one read: what is read ahead stays in memory, in every task.
const READ: ReadLimit = ReadLimit {
    records: 1000,
    bytes: 1 << 20,
};
/// A read that the file system failed is repeated after this.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) type Reading = BoxFuture<'static, Result<Vec<LogRecord>, LogError>>;

/// Where a task begins.
#[derive(Debug, Clone)]
pub(crate) struct ResumePoint {
    /// The next offset to read.
    pub(crate) position: u64,
    /// Records below it are suspect.
    pub(crate) suspect_below: u64,
    /// Unclean starts since the position last moved.
    pub(crate) restarts: u32,
    /// What was being sent when the process died, and how often as a suspect.
    notes: BTreeMap<u64, u32>,
    /// Records that were found to kill the process, by id and round: ingest that died with it may
    /// have appended each of them again at every start.
    killers: HashSet<(String, u32)>,
}

impl ResumePoint {
    /// What the cursor says; a new group begins at the log's start. What the log does not hold yet
    /// was never handed to a lane, and where nothing was, no record can have stopped the process.
    pub(crate) fn of(cursor: Option<&Cursor>, log: OffsetRange) -> Self {
        let clean = |position| Self {
            position,
            suspect_below: 0,
            restarts: 0,
            notes: BTreeMap::new(),
            killers: HashSet::new(),
        };
        match cursor {
            None => clean(log.start),
            Some(cursor) if log.end <= cursor.position => clean(cursor.position),
            Some(cursor) if cursor.clean => Self {
                suspect_below: if cursor.cut_off {
                    cursor.reached.min(log.end)
                } else {
                    0
                },
                ..clean(cursor.position)
            },
            Some(cursor) => Self {
                suspect_below: cursor.reached.min(log.end),
                restarts: cursor.restarts.saturating_add(1),
                ..clean(cursor.position)
            },
        }
    }

    /// Whether what is sent while the position is at `position` has to be noted: a record that was
    /// in flight at an unclean stop may be what stopped the process.
    pub(crate) fn notes_sends(&self, position: u64) -> bool {
        self.restarts > 0 && position < self.suspect_below
    }

    /// This record was found to kill the process.
    pub(crate) fn kills(&mut self, record: &Record) {
        self.killers
            .insert((record.id().to_owned(), record.round()));
    }

    /// What is known of the record at `offset`.
    pub(crate) fn blame(&self, offset: u64, record: &Record) -> Blame {
        let is_known = |killers: &HashSet<(String, u32)>| {
            killers.contains(&(record.id().to_owned(), record.round()))
        };
        if !self.killers.is_empty() && is_known(&self.killers) {
            return Blame::KILLS;
        }
        let deaths = self.notes.get(&offset);
        Blame {
            suspect: deaths.is_some(),
            deaths: deaths.copied().unwrap_or_default(),
        }
    }
}

/// What a task reads.
#[derive(Debug)]
pub(crate) struct Input {
    reader: Arc<dyn PartitionReader>,
    pub(super) partition: u16,
    /// Read, and not yet on a lane.
    ahead: VecDeque<LogRecord>,
    witnesses: Witnesses,
    pub(super) resume: ResumePoint,
    /// Whether it goes on after records that are not in the log any more.
    pub(super) detach: bool,
    /// Where it went on after such records.
    pub(super) gap: Option<u64>,
}

impl Input {
    /// The place that was found in a partition, and the offsets whose notes are not needed.
    pub(crate) fn of(
        reader: Arc<dyn PartitionReader>,
        opened: &mut Opened,
        detach: bool,
    ) -> (Self, Vec<u64>) {
        let mut resume = ResumePoint::of(opened.cursor.as_ref(), reader.range());
        let mut old = std::mem::take(&mut opened.notes);
        if resume.restarts > 0 {
            resume.notes = old.split_off(&resume.position);
        }
        let input = Self {
            partition: reader.partition(),
            reader,
            ahead: VecDeque::new(),
            witnesses: Witnesses::default(),
            resume,
            detach,
            gap: opened.gap,
        };
        (input, old.into_keys().collect())
    }

    /// Why the position cannot be read from.
    pub(crate) fn unreadable(&self) -> Option<LogError> {
        let OffsetRange { start, end } = self.reader.range();
        let asked = self.resume.position;
        let outside = (asked < start && !self.detach) || asked > end;
        outside.then_some(LogError::OutOfRange {
            partition: self.partition,
            asked,
            start,
            end,
        })
    }

    /// A record below `position`, newer than the one given before.
    pub(super) fn witness(&mut self, position: u64) -> Option<Witness> {
        self.witnesses.below(position)
    }

    /// Refuses a log that is not the one that was read before.
    pub(super) async fn confirm(&self, witness: Option<Witness>) -> Result<(), LogError> {
        let Some(witness) = witness else {
            return Ok(());
        };
        loop {
            match witness.confirm(self.reader.as_ref()).await {
                Err(error @ LogError::Io(_)) => again(self.partition, &error).await,
                confirmed => return confirmed,
            }
        }
    }

    /// Whether everything that was read has been taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.ahead.is_empty()
    }

    /// Whether there is room below the durable `reached`.
    pub(crate) fn may_read(from: u64, reached: u64) -> bool {
        from.saturating_add(MARGIN) <= reached
    }

    /// What was read where there was nothing left.
    pub(crate) fn fill(&mut self, records: Vec<LogRecord>) {
        self.witnesses.saw(&records);
        self.ahead.extend(records);
    }

    /// The next ones within `limit`, at least one if there is one.
    pub(crate) fn take(&mut self, limit: ReadLimit) -> Vec<LogRecord> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.ahead.front()
            && (taken.is_empty()
                || taken.len() < limit.records && next.bytes.len() + bytes <= limit.bytes)
        {
            bytes += next.bytes.len();
            taken.extend(self.ahead.pop_front());
        }
        taken
    }

    /// Reads on where nothing is ahead any more. One read is under way at a time.
    pub(crate) fn read(&self, from: u64, bytes_left: usize) -> Reading {
        let (reader, partition) = (Arc::clone(&self.reader), self.partition);
        let limit = ReadLimit {
            bytes: READ.bytes.min(bytes_left),
            ..READ
        };
        Box::pin(async move {
            loop {
                match reader.read(from, limit).await {
                    Err(error @ LogError::Io(_)) => again(partition, &error).await,
                    read => return read,
                }
            }
        })
    }
}

/// Waits before a read that failed is repeated.
async fn again(partition: u16, error: &LogError) {
    tracing::error!(partition, "{error}; will be read again");
    tokio::time::sleep(AGAIN).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Log, MemoryLog, WholeLog};

    #[test]
    fn only_a_stop_that_was_unclean_or_cut_off_makes_records_suspect() {
        let mut cursor = Cursor {
            position: 5,
            clean: true,
            reached: 90,
            ..Cursor::default()
        };
        let log = |end| OffsetRange { start: 3, end };
        assert_eq!(ResumePoint::of(Some(&cursor), log(200)).suspect_below, 0);
        cursor.cut_off = true;
        let cut_off = ResumePoint::of(Some(&cursor), log(200));
        assert_eq!((cut_off.suspect_below, cut_off.restarts), (90, 0));
        assert!(!cut_off.notes_sends(5), "no record ended the process");
        cursor.clean = false;
        let unclean = ResumePoint::of(Some(&cursor), log(200));
        assert_eq!((unclean.suspect_below, unclean.restarts), (90, 1));
        assert!(unclean.notes_sends(5) && !unclean.notes_sends(90));
        assert_eq!(ResumePoint::of(Some(&cursor), log(20)).suspect_below, 20);
        let idle = ResumePoint::of(Some(&cursor), log(5));
        assert_eq!((idle.suspect_below, idle.restarts), (0, 0));
        assert_eq!(ResumePoint::of(None, log(200)).position, 3);
    }

    #[test]
    fn g8_no_more_is_taken_than_there_is_room_for_save_for_the_first() {
        let record = |offset| LogRecord {
            offset,
            bytes: vec![0; 100].into(),
        };
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(1));
        let (mut input, _) = Input::of(WholeLog::partition(&log, 0), &mut Opened::default(), false);
        input.fill((5..15).map(record).collect());
        let mut take = |records, bytes| {
            let taken = input.take(ReadLimit { records, bytes });
            taken.iter().map(|it| it.offset).collect::<Vec<_>>()
        };
        assert_eq!(take(3, 1000), [5, 6, 7]);
        assert_eq!(take(10, 250), [8, 9]);
        assert_eq!(take(10, 10), [10]);
        assert_eq!(take(10, 1000), [11, 12, 13, 14]);
        assert!(take(1, 1).is_empty());
    }
}
