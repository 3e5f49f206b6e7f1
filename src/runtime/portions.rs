//! What part of its target's quota each sink has in this process.
//!
//! Guarantee: the parts of all instances come to no more than the whole. A partition that is given
//! back is counted as long as its task may still write, and no longer once another may have it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::pace::Portion;

/// The portions of sinks, by their names.
#[derive(Debug, Clone, Default)]
pub struct Portions(BTreeMap<String, Portion>);

impl Portions {
    /// Those of sinks that have all of their quotas until partitions are counted.
    pub fn of<'a>(sinks: impl IntoIterator<Item = &'a String>) -> Self {
        let whole = |name: &String| (name.clone(), Portion::whole());
        Self(sinks.into_iter().map(whole).collect())
    }

    /// That of a sink; all of it, for one that is not known.
    pub fn get(&self, sink: &str) -> Portion {
        self.0.get(sink).cloned().unwrap_or_else(Portion::whole)
    }

    /// Those of all sinks.
    pub(super) fn all(&self) -> Vec<Portion> {
        self.0.values().cloned().collect()
    }
}

/// The partitions of a sink's group that this process has, counted in the sink's portion.
#[derive(Debug, Clone)]
pub(super) struct Owned {
    portion: Portion,
    of: u16,
    held: Arc<Mutex<BTreeSet<u16>>>,
}

impl Owned {
    /// None yet, of `of`. The portion stays what it is until [`take`](Self::take) is called.
    pub(super) fn of(portion: Portion, of: u16) -> Self {
        Self {
            portion,
            of,
            held: Arc::default(),
        }
    }

    /// These are this process's.
    pub(super) fn take(&self, partitions: impl IntoIterator<Item = u16>) {
        self.change(|held| held.extend(partitions));
    }

    /// These are, or may be, somebody else's.
    pub(super) fn leave(&self, partitions: &[u16]) {
        self.change(|held| held.retain(|partition| !partitions.contains(partition)));
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<u16>)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut held);
        let owned = u16::try_from(held.len()).unwrap_or(u16::MAX);
        self.portion.set(owned, self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sink_has_its_partitions_part_of_the_quota_and_the_journal_all_of_it() {
        let names = ["crm".to_owned(), "lake".to_owned()];
        let portions = Portions::of(&names);
        let owned = Owned::of(portions.get("crm"), 4);
        assert_eq!(portions.get("crm").part().to_string(), "1");
        owned.take([0, 1, 2, 3]);
        assert_eq!(portions.get("crm").part().to_string(), "1");
        owned.leave(&[1, 9]);
        owned.take([3]);
        assert_eq!(portions.get("crm").part().to_string(), "0.75");
        owned.leave(&[0, 2, 3]);
        assert_eq!(portions.get("crm").part().to_string(), "0");
        assert_eq!(portions.get("lake").part().to_string(), "1");
        assert_eq!(portions.get("unknown").part().to_string(), "1");
    }
}
