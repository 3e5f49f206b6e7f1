//! What each partition of a topic holds, as far as it is known here.
//!
//! Guarantee: an end only grows, and never beyond what the brokers have: it is what was read,
//! acknowledged or told by them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::log::OffsetRange;

/// The offsets of all partitions.
#[derive(Debug)]
pub(super) struct Ranges {
    known: Vec<Known>,
    grown: Notify,
}

#[derive(Debug, Default)]
struct Known {
    start: AtomicU64,
    end: AtomicU64,
}

impl Ranges {
    pub(super) fn new(partitions: u16) -> Self {
        Self {
            known: (0..partitions).map(|_| Known::default()).collect(),
            grown: Notify::new(),
        }
    }

    pub(super) fn of(&self, partition: u16) -> OffsetRange {
        let known = self.known.get(usize::from(partition));
        known.map_or(OffsetRange { start: 0, end: 0 }, |known| OffsetRange {
            start: known.start.load(Ordering::Acquire),
            end: known.end.load(Ordering::Acquire),
        })
    }

    /// The partition goes at least so far.
    pub(super) fn reaches(&self, partition: u16, end: u64) {
        if let Some(known) = self.known.get(usize::from(partition))
            && known.end.fetch_max(end, Ordering::AcqRel) < end
        {
            self.grown.notify_waiters();
        }
    }

    /// What the brokers say.
    pub(super) fn told(&self, partition: u16, start: u64, end: u64) {
        if let Some(known) = self.known.get(usize::from(partition)) {
            known.start.fetch_max(start, Ordering::AcqRel);
        }
        self.reaches(partition, end);
    }

    /// Returns when the partition goes beyond `from`.
    pub(super) async fn wait(&self, partition: u16, from: u64) {
        loop {
            let grown = self.grown.notified();
            if self.of(partition).end > from {
                return;
            }
            grown.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_last_counts_and_not_what_was_told_before() {
        let ranges = Ranges::new(2);
        ranges.told(1, 3, 10);
        ranges.reaches(1, 12);
        ranges.told(1, 5, 11);
        assert_eq!(ranges.of(1), OffsetRange { start: 5, end: 12 });
        assert_eq!(ranges.of(0), OffsetRange { start: 0, end: 0 });
    }
}
