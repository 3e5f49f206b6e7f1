//! A tally of keys that is kept as they come and go: counting is no scan.
//!
//! Guarantee: [`Tallied::tally`] is what a scan of the keys would count, whoever commits, as long as
//! it is through this store. A key that is put twice counts once.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{Batch, Pair, Store, StoreError, Tally};

/// Keys read in one go.
const PAGE: usize = 1000;

/// A store that keeps the tally of one prefix.
#[derive(Debug)]
pub struct Tallied<S> {
    store: S,
    prefix: &'static [u8],
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Not known at first, and after a commit of which no one knows whether it was stored.
    tally: Option<Tally>,
    /// Keys that are being changed: whether one is there must not change before it is counted.
    changing: BTreeSet<Vec<u8>>,
}

impl<S: Store> Tallied<S> {
    /// Counts the keys of `store` that start with `prefix`, by themselves. Blocks on the disk.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn over(store: S, prefix: &'static [u8]) -> Result<Self, StoreError> {
        let state = State {
            tally: Some(count(&store, prefix)?),
            ..State::default()
        };
        Ok(Self {
            store,
            prefix,
            state: Mutex::new(state),
            ended: Condvar::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while `busy`.
    fn until<'a>(
        &self,
        state: MutexGuard<'a, State>,
        busy: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let waited = self.ended.wait_while(state, |state| busy(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds keys until the answer is dropped: who changes one of them meanwhile waits.
    fn hold(&self, keys: BTreeSet<Vec<u8>>) -> Held<'_, S> {
        let mut state = self.until(self.state(), |state| !state.changing.is_disjoint(&keys));
        state.changing.extend(keys.iter().cloned());
        Held { of: self, keys }
    }

    fn is_there(&self, key: &[u8]) -> Result<bool, StoreError> {
        let first = self.store.scan_keys(key, None, 1)?;
        Ok(first.first().is_some_and(|first| first == key))
    }
}

/// Keys that are being changed.
struct Held<'a, S: Store> {
    of: &'a Tallied<S>,
    keys: BTreeSet<Vec<u8>>,
}

impl<S: Store> Drop for Held<'_, S> {
    fn drop(&mut self) {
        let mut state = self.of.state();
        state.changing.retain(|key| !self.keys.contains(key));
        drop(state);
        self.of.ended.notify_all();
    }
}

impl<S: Store> Store for Tallied<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.store.scan(prefix, after, limit)
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.scan_keys(prefix, after, limit)
    }

    fn tally(&self, prefix: &[u8]) -> Result<Tally, StoreError> {
        if prefix != self.prefix {
            return count(&self.store, prefix);
        }
        let state = self.state();
        if let Some(tally) = &state.tally {
            return Ok(tally.clone());
        }
        // Counted again, while no one changes what is counted.
        let mut state = self.until(state, |state| !state.changing.is_empty());
        if state.tally.is_none() {
            state.tally = Some(count(&self.store, prefix)?);
        }
        Ok(state.tally.clone().unwrap_or_default())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let changes = batch.changes.range(self.prefix.to_vec()..);
        let changes = changes.take_while(|(key, _)| key.starts_with(self.prefix));
        let wanted: Vec<_> = changes
            .map(|(key, to)| (key.clone(), to.is_some()))
            .collect();
        if wanted.is_empty() {
            return self.store.commit(batch);
        }
        let held = self.hold(wanted.iter().map(|(key, _)| key.clone()).collect());
        let mut moved = Vec::new();
        for (key, to_hold) in wanted {
            if self.is_there(&key)? != to_hold {
                moved.push((name(&key, self.prefix), to_hold));
            }
        }
        let result = self.store.commit(batch);
        let mut state = self.state();
        if result.is_err() {
            state.tally = None;
        }
        for (name, put) in moved {
            let Some(tally) = &mut state.tally else { break };
            let count = tally.entry(name.clone()).or_default();
            *count = if put {
                count.saturating_add(1)
            } else {
                count.saturating_sub(1)
            };
            if *count == 0 {
                tally.remove(&name);
            }
        }
        drop(state);
        drop(held);
        result
    }

    fn blocks(&self) -> bool {
        self.store.blocks()
    }
}

/// Counts the keys that start with `prefix` by reading them.
pub(super) fn count<S: Store + ?Sized>(store: &S, prefix: &[u8]) -> Result<Tally, StoreError> {
    let (mut tally, mut after) = (Tally::new(), None::<Vec<u8>>);
    loop {
        let page = store.scan_keys(prefix, after.as_deref(), PAGE)?;
        for key in &page {
            *tally.entry(name(key, prefix)).or_default() += 1;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.clone()),
            _ => return Ok(tally),
        }
    }
}

fn name(key: &[u8], prefix: &[u8]) -> String {
    let rest = key.get(prefix.len()..).unwrap_or_default();
    let name = rest.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
