//! What a task holds: the one place that says whether more may be read.
//!
//! Guarantee (G2, G8): the committable position never passes a record without an outcome, and
//! records in flight stay within their number and their bytes, save for the first.

use super::lane::Pending;
use super::outcome::{Counts, Outcome};
use super::read_budget::ReadBudget;
use super::tracker::Tracker;
use super::work::NO_OFFSET;
use crate::log::ReadLimit;
use crate::mutation::{self, Mutation};

/// Records in flight, their bytes, and what became of those that are not any more.
#[derive(Debug)]
pub(crate) struct InFlight {
    tracker: Tracker,
    bytes: usize,
    most: usize,
    most_bytes: usize,
    /// Writes and reads that have not ended.
    works: usize,
    /// Writes that ended, since the start.
    done: u64,
    counts: Counts,
    /// Room for what Reltio answers.
    pub(super) reads: ReadBudget,
}

impl InFlight {
    pub(crate) fn new(position: u64, most: usize, most_bytes: usize) -> Self {
        Self {
            tracker: Tracker::new(position),
            bytes: 0,
            most,
            most_bytes,
            works: 0,
            done: 0,
            counts: Counts::default(),
            reads: ReadBudget::new(most_bytes),
        }
    }

    /// Records in flight.
    pub(crate) fn records(&self) -> usize {
        self.tracker.in_flight()
    }

    /// The position that may be committed.
    pub(crate) fn committable(&self) -> u64 {
        self.tracker.committable()
    }

    /// Where reading goes on.
    pub(crate) fn reached(&self) -> u64 {
        self.tracker.reached()
    }

    /// Reading goes on here: what lies between is not there any more.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.tracker.skip_to(offset);
    }

    /// Bytes that may still be held.
    pub(crate) fn bytes_left(&self) -> usize {
        self.most_bytes.saturating_sub(self.bytes)
    }

    /// What may be taken now; nothing if there is no room.
    pub(crate) fn room(&self) -> Option<ReadLimit> {
        let bytes = self.bytes_left();
        let mut records = self.most.saturating_sub(self.records());
        if mutation::is(Mutation::BackPressureIgnored) {
            records = records.max(500);
        }
        (records > 0 && bytes > 0).then_some(ReadLimit { records, bytes })
    }

    /// A record was read that is not for this sink.
    pub(crate) fn filtered(&mut self, offset: u64) {
        self.tracker.start(offset);
        self.tracker.complete(offset);
        self.counts.add(Outcome::Filtered);
    }

    /// A record was read.
    pub(crate) fn start(&mut self, pending: &Pending) {
        self.tracker.start(pending.offset);
        self.bytes += pending.size();
    }

    /// A record has its outcome.
    pub(crate) fn complete(&mut self, pending: &Pending, outcome: Outcome) {
        if pending.offset == NO_OFFSET {
            return;
        }
        self.counts.add(outcome);
        self.bytes = self.bytes.saturating_sub(pending.size());
        self.tracker.complete(pending.offset);
    }

    /// Only the offset, for the mutation that completes too early.
    pub(crate) fn complete_early(&mut self, offset: u64) {
        self.tracker.complete(offset);
    }

    /// A write or a read begins.
    pub(crate) fn begin_work(&mut self) {
        self.works += 1;
    }

    /// It ended.
    pub(crate) fn end_work(&mut self) {
        self.works = self.works.saturating_sub(1);
        self.done += 1;
    }

    /// Writes and reads that have not ended.
    pub(crate) fn works(&self) -> usize {
        self.works
    }

    /// Writes that ended, since the start.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Outcomes since the last call.
    pub(crate) fn outcomes(&mut self) -> impl Iterator<Item = (Outcome, u64)> {
        self.counts.take()
    }
}
