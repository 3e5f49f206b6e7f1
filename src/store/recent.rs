//! The newest registers of a store, in memory: most checks ask for what was recorded lately.
//!
//! Only commits put something in, one after the other and after they are durable. A value that was
//! read never does, so that it cannot replace a newer one.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// What a key and its value take besides their bytes, about.
const OVERHEAD: usize = 80;
/// Larger values are not kept.
const LARGEST: usize = 1 << 10;

/// Keys and their values. The hash is quicker than the standard library's, and seeded, too.
type Generation = HashMap<Box<[u8]>, Value, RandomState>;
/// What a key has; nothing if it was removed.
type Value = Option<Box<[u8]>>;

/// Two generations: a key stays if it is put again before the younger one is full.
#[derive(Debug)]
pub(super) struct Recent {
    young: Generation,
    old: Generation,
    /// Bytes of the younger one.
    bytes: usize,
    limit: usize,
}

impl Recent {
    /// Keeps about `bytes` at most.
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            bytes: 0,
            limit: bytes / 2,
        }
    }

    /// The value of a key, or that it has none; nothing if that is not known here.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    /// Takes what was committed.
    pub(super) fn put(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        let length = value.as_ref().map_or(0, Vec::len);
        if length > LARGEST {
            self.young.remove(key.as_slice());
            self.old.remove(key.as_slice());
            return;
        }
        self.bytes += key.len() + length + OVERHEAD;
        let value = value.map(Vec::into_boxed_slice);
        self.young.insert(key.into_boxed_slice(), value);
        if self.bytes > self.limit {
            self.bytes = 0;
            self.old = std::mem::take(&mut self.young);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn the_newest_are_kept_and_memory_stays_within_the_limit() {
        let mut recent = Recent::new(100 * (OVERHEAD + 9));
        for number in 0..10_000 {
            recent.put(key(number), Some(vec![1]));
            recent.put(key(0), Some(vec![2]));
            assert!(recent.young.len() + recent.old.len() <= 102);
        }
        assert_eq!(recent.get(&key(0)), Some(&Some(vec![2].into())));
        assert_eq!(recent.get(&key(9_999)), Some(&Some(vec![1].into())));
        assert_eq!(recent.get(&key(1)), None);
    }

    #[test]
    fn a_newer_value_hides_an_older_one_in_every_case() {
        for newer in [None, Some(vec![2]), Some(vec![2; LARGEST + 1])] {
            let mut recent = Recent::new(4 * (OVERHEAD + 9));
            recent.put(key(0), Some(vec![1]));
            for number in 1..4 {
                recent.put(key(number), Some(vec![1]));
            }
            recent.put(key(0), newer.clone());
            let kept = newer.as_ref().is_none_or(|value| value.len() == 1);
            assert_eq!(
                recent.get(&key(0)),
                kept.then_some(&newer.map(Vec::into_boxed_slice))
            );
        }
    }
}
