//! Which partitions of a group are this process's.
//!
//! Guarantee (G2): a partition's epoch ends when it is lost, or once it is given back and no
//! transaction has it any more. Nothing of an ended epoch enters a transaction: the broker checks
//! the generation of a member, not its partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::kafka::Owners;
use crate::mutation::{self, Mutation};

/// The partitions that a group's member has, each with the epoch of its assignment.
#[derive(Debug, Default)]
pub struct Ownership(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// By partition; none is zero.
    epochs: BTreeMap<u16, u64>,
    last: u64,
    /// Partitions that are given back: no transaction begins with one.
    ending: BTreeSet<u16>,
    /// How many transactions under way have a partition.
    under_way: BTreeMap<u16, u32>,
}

/// Partitions in a transaction that is under way.
#[derive(Debug)]
pub(super) struct Entered {
    ownership: Arc<Ownership>,
    parts: Vec<(u16, u64)>,
}

impl Ownership {
    /// A partition was assigned: its epoch.
    pub fn take(&self, partition: u16) -> u64 {
        let mut state = self.held();
        state.last += 1;
        let epoch = state.last;
        state.epochs.insert(partition, epoch);
        state.ending.remove(&partition);
        epoch
    }

    /// Whether the partition is still this process's, and was all along.
    pub fn owns(&self, partition: u16, epoch: u64) -> bool {
        let state = self.held();
        mutation::is(Mutation::EpochUnchecked) || state.epochs.get(&partition) == Some(&epoch)
    }

    /// Partitions are somebody else's already.
    pub fn lose(&self, partitions: &[u16]) {
        let mut state = self.held();
        for partition in partitions {
            state.epochs.remove(partition);
            state.ending.remove(partition);
        }
    }

    /// Partitions are given back, now that their tasks have ended. False while a transaction has one
    /// of them: ask again. No other begins with them meanwhile.
    pub fn give_back(&self, partitions: &[u16]) -> bool {
        let mut state = self.held();
        if partitions.iter().any(|of| state.under_way.contains_key(of)) {
            state.ending.extend(partitions);
            return false;
        }
        for partition in partitions {
            state.epochs.remove(partition);
            state.ending.remove(partition);
        }
        true
    }

    /// How many partitions this process has.
    pub fn count(&self) -> usize {
        self.held().epochs.len()
    }

    /// Begins a transaction with those of `parts` that may be in one.
    pub(super) fn enter(self: &Arc<Self>, parts: &[(u16, u64)]) -> Entered {
        let mut state = self.held();
        let unchecked = mutation::is(Mutation::RevokedInTransaction);
        let may = |(partition, epoch): &&(u16, u64)| {
            unchecked
                || state.epochs.get(partition) == Some(epoch) && !state.ending.contains(partition)
        };
        let parts: Vec<_> = parts.iter().filter(may).copied().collect();
        for (partition, _) in &parts {
            *state.under_way.entry(*partition).or_default() += 1;
        }
        drop(state);
        let ownership = Arc::clone(self);
        Entered { ownership, parts }
    }

    fn held(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owners for Ownership {
    fn take(&self, partition: u16) -> u64 {
        Self::take(self, partition)
    }

    fn lose(&self, partitions: &[u16]) {
        Self::lose(self, partitions);
    }

    fn give_back(&self, partitions: &[u16]) -> bool {
        Self::give_back(self, partitions)
    }
}

impl Entered {
    /// Whether the partition is in the transaction, as it was assigned then.
    pub(super) fn has(&self, partition: u16, epoch: u64) -> bool {
        self.parts.contains(&(partition, epoch))
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.ownership.held();
        for (partition, _) in &self.parts {
            let left = state.under_way.get_mut(partition);
            if let Some(left) = left {
                *left -= 1;
                if *left == 0 {
                    state.under_way.remove(partition);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_a_partition_that_is_given_back_waits_for_its_transaction_and_is_in_no_later_one() {
        let ownership = Arc::new(Ownership::default());
        let (zero, one) = (ownership.take(0), ownership.take(1));
        let entered = ownership.enter(&[(0, zero), (1, one)]);
        assert!(entered.has(0, zero) && entered.has(1, one));
        assert!(!ownership.give_back(&[1]), "a transaction has it");
        assert!(
            !ownership.enter(&[(1, one)]).has(1, one),
            "it is being given back"
        );
        assert!(ownership.owns(1, one), "until the transaction has ended");
        drop(entered);
        assert!(ownership.give_back(&[1]));
        assert!(!ownership.owns(1, one) && ownership.owns(0, zero));
    }

    #[test]
    fn g2_a_partition_that_comes_again_has_another_epoch() {
        let ownership = Arc::new(Ownership::default());
        let before = ownership.take(3);
        ownership.lose(&[3]);
        assert!(!ownership.owns(3, before));
        let after = ownership.take(3);
        assert!(ownership.owns(3, after) && !ownership.owns(3, before));
        let entered = ownership.enter(&[(3, before), (3, after)]);
        assert!(!entered.has(3, before) && entered.has(3, after));
    }
}
