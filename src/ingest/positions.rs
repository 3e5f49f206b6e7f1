//! The partitions of a source: what is under way in each, and what may be committed.
//!
//! Guarantee (G1, G2): a position passes only work that is complete. Work of an assignment that
//! ended says nothing about the one that followed.

use std::collections::BTreeMap;

use crate::engine::tracker::Tracker;
use crate::mutation::{self, Mutation};

#[derive(Debug)]
struct Assigned {
    epoch: u64,
    tracker: Tracker,
    committed: u64,
}

/// Something under way: a record, or all records of a batch that are appended together. Its offset
/// is the lowest of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    partition: i32,
    epoch: u64,
    offset: u64,
}

/// A position on its way to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) partition: i32,
    epoch: u64,
    pub(super) position: u64,
}

/// The partitions that are ours.
#[derive(Debug, Default)]
pub(super) struct Positions {
    partitions: BTreeMap<i32, Assigned>,
    epoch: u64,
}

impl Positions {
    /// Partitions read from now on are of another assignment.
    pub(super) fn assigned(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
    }

    /// The record at `offset` begins. Nothing, if it was read before: it holds no position back.
    pub(super) fn start(&mut self, partition: i32, offset: u64) -> Option<Work> {
        let epoch = self.epoch;
        let assigned = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Assigned {
                epoch,
                tracker: Tracker::new(offset),
                committed: offset,
            });
        if offset < assigned.tracker.reached() {
            return None;
        }
        assigned.tracker.start(offset);
        if mutation::is(Mutation::PositionBeforeAppend) {
            assigned.tracker.complete(offset);
        }
        Some(Work {
            partition,
            epoch: assigned.epoch,
            offset,
        })
    }

    /// The record at `offset` goes together with `work`, which began below it; without any, it
    /// begins some.
    pub(super) fn join(&mut self, work: Option<Work>, partition: i32, offset: u64) -> Option<Work> {
        if work.is_none() {
            return self.start(partition, offset);
        }
        if let Some(assigned) = self.partitions.get_mut(&partition) {
            assigned.tracker.skip_to(offset.saturating_add(1));
        }
        work
    }

    /// Everything below `position` was read and begun: what lies behind the last record is none.
    pub(super) fn reached(&mut self, partition: i32, position: u64) {
        let epoch = self.epoch;
        let assigned = self
            .partitions
            .entry(partition)
            .or_insert_with(|| Assigned {
                epoch,
                tracker: Tracker::new(position),
                // Where the assignment began is not known here; this is above it.
                committed: 0,
            });
        assigned.tracker.skip_to(position);
    }

    /// All of it is durable elsewhere.
    pub(super) fn complete(&mut self, work: Work) {
        if let Some(assigned) = self.partitions.get_mut(&work.partition)
            && assigned.epoch == work.epoch
        {
            assigned.tracker.complete(work.offset);
        }
    }

    /// What may be committed and is not.
    pub(super) fn uncommitted(&self) -> Vec<Sent> {
        let sent = |(partition, assigned): (&i32, &Assigned)| {
            let position = assigned.tracker.committable();
            (position > assigned.committed).then_some(Sent {
                partition: *partition,
                epoch: assigned.epoch,
                position,
            })
        };
        self.partitions.iter().filter_map(sent).collect()
    }

    /// The source took these positions.
    pub(super) fn committed(&mut self, sent: &[Sent]) {
        for sent in sent {
            if let Some(assigned) = self.partitions.get_mut(&sent.partition)
                && assigned.epoch == sent.epoch
            {
                assigned.committed = sent.position;
            }
        }
    }

    /// Whether nothing of these partitions is under way.
    pub(super) fn are_drained(&self, partitions: &[i32]) -> bool {
        let of = |partition: &i32| self.partitions.get(partition);
        let mut ours = partitions.iter().filter_map(of);
        ours.all(|assigned| assigned.tracker.in_flight() == 0)
    }

    /// These partitions are not ours any more.
    pub(super) fn remove(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn positions_of(positions: &Positions) -> Vec<(i32, u64)> {
        let sent = positions.uncommitted();
        sent.iter()
            .map(|sent| (sent.partition, sent.position))
            .collect()
    }

    #[test]
    fn g2_a_batch_holds_the_position_at_its_lowest_offset_until_all_of_it_is_durable() {
        let mut positions = Positions::default();
        positions.assigned();
        let batch = positions.start(0, 5);
        let alone = positions.start(0, 6).unwrap();
        assert_eq!(positions.join(batch, 0, 7), batch);
        assert_eq!(positions.join(batch, 0, 9), batch);
        assert_eq!(positions_of(&positions), []);
        positions.complete(batch.unwrap());
        assert_eq!(positions_of(&positions), [(0, 6)]);
        positions.complete(alone);
        assert_eq!(positions_of(&positions), [(0, 10)]);
    }

    #[test]
    fn g2_what_was_read_before_neither_holds_a_position_nor_stands_for_what_is_new() {
        let mut positions = Positions::default();
        positions.assigned();
        let first = positions.start(0, 5).unwrap();
        // Read again, with something new behind it.
        let again = positions.start(0, 5);
        assert_eq!(again, None);
        let new = positions.join(again, 0, 6).unwrap();
        positions.complete(first);
        assert_eq!(positions_of(&positions), [(0, 6)]);
        positions.complete(new);
        assert_eq!(positions_of(&positions), [(0, 7)]);
    }

    #[test]
    fn g2_what_is_no_record_is_passed_once_everything_before_it_is_durable() {
        let mut positions = Positions::default();
        positions.assigned();
        let record = positions.start(0, 5).unwrap();
        positions.reached(0, 7);
        assert_eq!(positions_of(&positions), []);
        positions.complete(record);
        assert_eq!(positions_of(&positions), [(0, 7)]);
        positions.committed(&positions.uncommitted());
        // Told late, it takes nothing back.
        positions.reached(0, 6);
        assert_eq!(positions_of(&positions), []);
        // Nothing but markers since the assignment.
        positions.reached(1, 3);
        assert_eq!(positions_of(&positions), [(1, 3)]);
        let next = positions.start(1, 3).unwrap();
        positions.complete(next);
        assert_eq!(positions_of(&positions), [(1, 4)]);
    }

    #[test]
    fn g2_work_and_commits_of_an_assignment_that_ended_say_nothing_of_the_next() {
        let mut positions = Positions::default();
        positions.assigned();
        let before = positions.start(0, 5).unwrap();
        let done = positions.start(1, 0).unwrap();
        positions.complete(done);
        let sent = positions.uncommitted();
        positions.remove(&[0, 1]);
        positions.assigned();
        let after = positions.start(0, 5).unwrap();
        let more = positions.start(1, 0).unwrap();
        positions.complete(more);
        positions.complete(before);
        positions.committed(&sent);
        assert!(!positions.are_drained(&[0]));
        assert!(positions.are_drained(&[1, 2]));
        assert_eq!(positions_of(&positions), [(1, 1)]);
        positions.complete(after);
        assert_eq!(positions_of(&positions), [(0, 6), (1, 1)]);
    }
}
