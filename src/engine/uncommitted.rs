//! What was acknowledged since the last commit, by its key.
//!
//! Guarantee (G3): what is being committed stays visible until it can be read from the store, and
//! what changed meanwhile is part of the next commit.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries that the store does not have yet.
#[derive(Debug)]
pub(crate) struct Uncommitted<K, V> {
    entries: HashMap<K, (u64, V)>,
    generation: u64,
    committing: Vec<(K, u64)>,
    /// What was committed since [`Self::hold`], while something may have been read before that,
    /// and what [`Self::keep`] was told.
    held: Option<HashMap<K, V>>,
}

impl<K, V> Default for Uncommitted<K, V> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
            generation: 0,
            committing: Vec::new(),
            held: None,
        }
    }
}

impl<K: Clone + Eq + Hash, V: Clone> Uncommitted<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let entry = self.entries.get(key).map(|(_, value)| value);
        entry.or_else(|| self.held.as_ref()?.get(key))
    }

    pub(crate) fn put(&mut self, key: K, value: V) {
        self.generation += 1;
        self.entries.insert(key, (self.generation, value));
    }

    pub(crate) fn hold(&mut self) {
        self.held = Some(HashMap::new());
    }

    /// Keeps the value of a key that was not looked up since [`Self::hold`], until
    /// [`Self::release`].
    pub(crate) fn keep(&mut self, key: K, value: V) {
        if let Some(held) = &mut self.held {
            held.insert(key, value);
        }
    }

    pub(crate) fn release(&mut self) {
        self.held = None;
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is to be committed now; stays visible until [`Self::committed`].
    pub(crate) fn begin(&mut self) -> Vec<(K, V)> {
        let entries = self.entries.iter();
        self.committing = entries
            .clone()
            .map(|(key, (generation, _))| (key.clone(), *generation))
            .collect();
        entries
            .map(|(key, (_, value))| (key.clone(), value.clone()))
            .collect()
    }

    /// It is durable: what has not changed since can be read from the store.
    pub(crate) fn committed(&mut self) {
        for (key, generation) in self.committing.drain(..) {
            let same = |(now, _): &(u64, V)| *now == generation;
            if !self.entries.get(&key).is_some_and(same) {
                continue;
            }
            if let (Some((_, value)), Some(held)) = (self.entries.remove(&key), &mut self.held) {
                held.insert(key, value);
            }
        }
    }
}
