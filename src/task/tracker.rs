//! Which offsets of one partition are done, and up to where that may be committed.
//!
//! Guarantee (G2): the committable position never passes an offset that was started and not
//! completed. Offsets may have gaps: only what was started is tracked.

use std::collections::BTreeSet;

use crate::mutation::{self, Mutation};

/// Incomplete offsets of one partition.
#[derive(Debug, Clone)]
pub struct Tracker {
    incomplete: BTreeSet<u64>,
    reached: u64,
}

impl Tracker {
    /// A tracker that begins at `position`, the next offset to read.
    pub fn new(position: u64) -> Self {
        Self {
            incomplete: BTreeSet::new(),
            reached: position,
        }
    }

    /// The record at `offset` was read. Offsets below the highest one started are taken as read
    /// before and ignored.
    pub fn start(&mut self, offset: u64) {
        if offset >= self.reached {
            self.incomplete.insert(offset);
            self.reached = offset.saturating_add(1);
        }
    }

    /// The record at `offset` has its outcome.
    pub fn complete(&mut self, offset: u64) {
        self.incomplete.remove(&offset);
    }

    /// Reading goes on at `offset` at the earliest: what lies between is not there any more.
    pub fn skip_to(&mut self, offset: u64) {
        self.reached = self.reached.max(offset);
    }

    /// The position that may be committed: the lowest incomplete offset, else one past the
    /// highest started.
    pub fn committable(&self) -> u64 {
        if mutation::is(Mutation::HighestSeenCommitted) {
            return self.reached;
        }
        self.incomplete.first().copied().unwrap_or(self.reached)
    }

    /// One past the highest offset started: where reading goes on.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// How many offsets are started and not completed.
    pub fn in_flight(&self) -> usize {
        self.incomplete.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn g2_the_committable_position_never_passes_an_incomplete_offset(
            gaps in prop::collection::vec(1_u64..4, 1..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let mut tracker = Tracker::new(7);
            let mut offset = 7;
            let offsets: Vec<u64> = gaps.iter().map(|gap| { offset += gap; offset }).collect();
            for offset in &offsets {
                tracker.start(*offset);
            }
            let mut open: BTreeSet<u64> = offsets.iter().copied().collect();
            for index in order {
                let done = offsets[index.index(offsets.len())];
                tracker.complete(done);
                open.remove(&done);
                let expected = open.first().copied().unwrap_or(offset + 1);
                prop_assert_eq!(tracker.committable(), expected);
            }
        }
    }

    #[test]
    fn a_gap_in_the_offsets_does_not_hold_back_the_commit() {
        let mut tracker = Tracker::new(0);
        tracker.start(5);
        tracker.start(9);
        tracker.complete(5);
        assert_eq!(tracker.committable(), 9);
        tracker.complete(9);
        assert_eq!(tracker.committable(), 10);
    }
}
