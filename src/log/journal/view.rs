//! What readers see of a partition: durable records only, the newest of them from memory.
//!
//! Guarantee (G1): `end` moves after the fsync, and nothing at or after it is read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::files::io_error;
use super::frame::{Frames, Marker, Records};
use super::segment::Segment;
use crate::log::{LogError, LogRecord, OffsetRange, ReadLimit};
use crate::time::Millis;

/// What a record in memory costs besides its bytes.
const RECORD_COST: usize = 64;
/// Readers behind the tail that find their place again.
const CURSORS: usize = 4;

/// A segment and how much of it is durable.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    /// Bytes.
    pub(super) length: u64,
    /// When it was last appended to.
    pub(super) last: Millis,
}

/// The newest records, in memory: who keeps up reads no disk.
#[derive(Debug, Default)]
struct Tail {
    records: VecDeque<Bytes>,
    bytes: usize,
}

impl Tail {
    fn push(&mut self, record: Bytes, room: usize) {
        self.bytes = self
            .bytes
            .saturating_add(record.len())
            .saturating_add(RECORD_COST);
        self.records.push_back(record);
        while self.bytes > room {
            let Some(oldest) = self.records.pop_front() else {
                break;
            };
            self.bytes = self
                .bytes
                .saturating_sub(oldest.len())
                .saturating_sub(RECORD_COST);
        }
    }
}

#[derive(Debug)]
struct State {
    segments: VecDeque<Held>,
    end: u64,
    tail: Tail,
}

impl State {
    fn start(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.end, |held| held.segment.base)
    }
}

/// Counts what a read may still return.
#[derive(Debug)]
struct Room {
    limit: ReadLimit,
    records: usize,
    bytes: usize,
}

impl Room {
    fn new(limit: ReadLimit) -> Self {
        Self {
            limit,
            records: 0,
            bytes: 0,
        }
    }

    /// Whether a record of so many bytes still fits; the first always does.
    fn takes(&mut self, bytes: usize) -> bool {
        let after = self.bytes.saturating_add(bytes);
        let fits =
            self.records == 0 || (self.records < self.limit.records && after <= self.limit.bytes);
        self.bytes = after;
        self.records = self.records.saturating_add(1);
        fits
    }
}

/// Where a read of the disk ended: the next one goes on there, with the file open and the rest of
/// what was read at hand.
#[derive(Debug, Clone)]
struct Cursor {
    segment: Arc<Segment>,
    frames: Frames,
    /// What is left of the last frame, and its bytes.
    records: Records,
    frame: usize,
    /// The offset after the last record given out.
    next: u64,
    /// The offset after the last frame.
    until: u64,
}

impl Cursor {
    /// Memory that it keeps from being freed.
    fn bytes(&self) -> usize {
        self.frames.held().saturating_add(self.frame)
    }
}

/// A partition, as readers see it. The writer changes it.
#[derive(Debug)]
pub(super) struct View {
    partition: u16,
    marker: Marker,
    /// Bytes of the tail at most, and of what cursors keep.
    room: usize,
    state: Mutex<State>,
    /// Of the last readers that are behind the tail.
    cursors: Mutex<VecDeque<Cursor>>,
    end: watch::Sender<u64>,
}

/// Where a read goes on after the tail was asked.
#[derive(Debug)]
pub(super) enum Lookup {
    /// Answered from memory.
    Found(Vec<LogRecord>),
    /// In this segment, and its durable part ends before the offset.
    OnDisk(Held, u64),
}

impl View {
    pub(super) fn new(
        partition: u16,
        marker: Marker,
        room: usize,
        segments: VecDeque<Held>,
        end: u64,
    ) -> Self {
        let state = Mutex::new(State {
            segments,
            end,
            tail: Tail::default(),
        });
        Self {
            partition,
            marker,
            room,
            state,
            cursors: Mutex::default(),
            end: watch::Sender::new(end),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn range(&self) -> OffsetRange {
        let state = self.state();
        OffsetRange {
            start: state.start(),
            end: state.end,
        }
    }

    /// Returns when there is a record at or after `from`.
    pub(super) async fn wait(&self, from: u64) {
        let mut end = self.end.subscribe();
        if end.wait_for(|end| *end > from).await.is_err() {
            // The sender lives in `self`, so this cannot be; never is then the true answer.
            std::future::pending::<()>().await;
        }
    }

    /// Records from `from` on, or where they are.
    pub(super) fn lookup(&self, from: u64, limit: ReadLimit) -> Result<Lookup, LogError> {
        let state = self.state();
        let (start, end) = (state.start(), state.end);
        if from < start || from > end {
            return Err(LogError::OutOfRange {
                partition: self.partition,
                asked: from,
                start,
                end,
            });
        }
        let behind = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
        if let Some(skip) = state.tail.records.len().checked_sub(behind) {
            let mut room = Room::new(limit);
            let records = state.tail.records.iter().skip(skip).zip(from..);
            let records = records.take_while(|(record, _)| room.takes(record.len()));
            return Ok(Lookup::Found(
                records
                    .map(|(bytes, offset)| LogRecord {
                        offset,
                        bytes: bytes.clone(),
                    })
                    .collect(),
            ));
        }
        let after = state
            .segments
            .partition_point(|held| held.segment.base <= from);
        let until = state
            .segments
            .get(after)
            .map_or(end, |next| next.segment.base);
        let held = after.checked_sub(1).and_then(|at| state.segments.get(at));
        Ok(held.map_or(Lookup::Found(Vec::new()), |held| {
            Lookup::OnDisk(held.clone(), until)
        }))
    }

    /// Records of one segment from `from` on. Blocks on the disk.
    pub(super) fn read_disk(
        &self,
        held: &Held,
        (from, until): (u64, u64),
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        let mut cursor = self.cursor(held, from)?;
        let (mut records, mut room) = (Vec::new(), Room::new(limit));
        loop {
            while let Some(bytes) = cursor.records.peek() {
                if !room.takes(bytes) {
                    self.keep(cursor);
                    return Ok(records);
                }
                records.extend(cursor.records.next());
                cursor.next = cursor.next.saturating_add(1);
            }
            if cursor.until >= until {
                self.keep(cursor);
                return Ok(records);
            }
            let at = cursor.frames.position();
            // What is durable must be there, whole and in order: anything else is damage.
            let frame = cursor.frames.next().map_err(|error| io_error(&error))?;
            let frame = frame.filter(|(head, _)| head.first == cursor.until && head.count > 0);
            let Some((header, body)) = frame else {
                // What is whole before it is read first; the next read meets the damage alone.
                if !records.is_empty() {
                    return Ok(records);
                }
                return Err(LogError::Damaged {
                    file: held.segment.name(),
                    at,
                });
            };
            held.segment.note(header.first, at);
            cursor.until = header.end();
            cursor.frame = usize::try_from(header.length).unwrap_or(usize::MAX);
            cursor.records = body;
            cursor.records.skip_to(from);
        }
    }

    /// Where to read on at `from`: where another read ended, or after a walk from the last frame
    /// before it that is known.
    fn cursor(&self, held: &Held, from: u64) -> Result<Cursor, LogError> {
        let here =
            |cursor: &&Cursor| cursor.next == from && Arc::ptr_eq(&cursor.segment, &held.segment);
        let known = self.cursors().iter().find(here).cloned();
        if let Some(mut cursor) = known {
            cursor.frames.grown(held.length);
            return Ok(cursor);
        }
        let segment = &held.segment;
        let file = match File::open(&segment.path) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.gone(segment, from));
            }
            Err(error) => return Err(io_error(&error)),
        };
        let (until, position) = segment.near(from);
        Ok(Cursor {
            segment: Arc::clone(segment),
            frames: Frames::new(file, self.marker, position, held.length),
            records: Records::default(),
            frame: 0,
            next: from,
            until,
        })
    }

    /// Keeps a cursor for the next read, instead of the oldest ones if need be (G8).
    fn keep(&self, mut cursor: Cursor) {
        if cursor.records.peek().is_none() {
            (cursor.records, cursor.frame) = (Records::default(), 0);
        }
        let mut cursors = self.cursors();
        // Two readers at one place share the rest of what was read.
        cursors.retain(|other| other.next != cursor.next);
        cursors.push_back(cursor);
        let mut bytes: usize = cursors.iter().map(Cursor::bytes).sum();
        while (cursors.len() > CURSORS || bytes > self.room)
            && let Some(oldest) = cursors.pop_front()
        {
            bytes = bytes.saturating_sub(oldest.bytes());
        }
    }

    fn cursors(&self) -> MutexGuard<'_, VecDeque<Cursor>> {
        self.cursors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that is not there was trimmed while it was being read, or somebody took it away.
    fn gone(&self, segment: &Segment, asked: u64) -> LogError {
        let OffsetRange { start, end } = self.range();
        if asked < start {
            return LogError::OutOfRange {
                partition: self.partition,
                asked,
                start,
                end,
            };
        }
        LogError::Damaged {
            file: segment.name(),
            at: 0,
        }
    }

    /// The writer made these records durable in the newest segment.
    pub(super) fn publish(&self, records: Vec<Bytes>, bytes: u64, now: Millis) {
        let end = {
            let mut state = self.state();
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            state.end = state.end.saturating_add(count);
            if let Some(newest) = state.segments.back_mut() {
                newest.length = newest.length.saturating_add(bytes);
                newest.last = now;
            }
            for record in records {
                state.tail.push(record, self.room);
            }
            state.end
        };
        self.end.send_replace(end);
    }

    /// The writer goes on in this segment. One that begins at the same offset is replaced.
    pub(super) fn rolled(&self, held: Held) {
        let mut state = self.state();
        if state
            .segments
            .back()
            .is_some_and(|newest| newest.segment.base == held.segment.base)
        {
            state.segments.pop_back();
        }
        state.segments.push_back(held);
    }

    /// The oldest segment and the offset that it ends before, unless it is the newest, too.
    pub(super) fn oldest(&self) -> Option<(Held, u64)> {
        let state = self.state();
        let until = state.segments.get(1)?.segment.base;
        Some((state.segments.front()?.clone(), until))
    }

    /// The oldest segment is to be deleted: readers no longer see it.
    pub(super) fn forget_oldest(&self) {
        let oldest = self.state().segments.pop_front();
        let gone = |cursor: &Cursor| {
            oldest
                .as_ref()
                .is_some_and(|held| Arc::ptr_eq(&held.segment, &cursor.segment))
        };
        // Else a file that is deleted would keep its disk.
        self.cursors().retain(|cursor| !gone(cursor));
    }

    /// It could not be deleted.
    pub(super) fn restore_oldest(&self, held: Held) {
        self.state().segments.push_front(held);
    }
}
