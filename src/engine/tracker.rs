//! Which offsets of one partition are done, and up to where that may be committed.
//!
//! Guarantee (G2): the committable position never passes an offset that was started and not
//! completed. Offsets may have gaps: only what was started is tracked.

use std::collections::VecDeque;

use crate::mutation::{self, Mutation};

/// Offsets of one partition from the first incomplete one on.
#[derive(Debug, Clone)]
pub struct Tracker {
    /// Started offsets in order, and whether each is complete. The first is not.
    started: VecDeque<(u64, bool)>,
    incomplete: usize,
    reached: u64,
}

impl Tracker {
    /// A tracker that begins at `position`, the next offset to read.
    pub fn new(position: u64) -> Self {
        Self {
            started: VecDeque::new(),
            incomplete: 0,
            reached: position,
        }
    }

    /// The record at `offset` was read. Offsets below the highest one started are taken as read
    /// before and ignored.
    pub fn start(&mut self, offset: u64) {
        if offset >= self.reached {
            self.started.push_back((offset, false));
            self.incomplete += 1;
            self.reached = offset.saturating_add(1);
        }
    }

    /// The record at `offset` has its outcome.
    pub fn complete(&mut self, offset: u64) {
        let place = self.started.binary_search_by_key(&offset, |(of, _)| *of);
        let Some((_, done)) = place.ok().and_then(|place| self.started.get_mut(place)) else {
            return;
        };
        if !std::mem::replace(done, true) {
            self.incomplete -= 1;
        }
        while let Some((_, true)) = self.started.front() {
            self.started.pop_front();
        }
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
        let first = self.started.front();
        first.map_or(self.reached, |(offset, _)| *offset)
    }

    /// One past the highest offset started: where reading goes on.
    pub fn reached(&self) -> u64 {
        self.reached
    }

    /// How many offsets are started and not completed.
    pub fn in_flight(&self) -> usize {
        self.incomplete
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
