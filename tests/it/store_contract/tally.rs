//! The tally of dead letters: what a count of the keys would say, without one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use goldwire::store::{Batch, MemoryStore, Pair, Store, StoreError, Tallied, Tally, keys};
use proptest::prelude::*;

/// Counts the scans, and may store a batch and say that it failed.
#[derive(Debug, Default)]
struct Watched {
    store: MemoryStore,
    scans: AtomicUsize,
    unsure: AtomicBool,
}

impl Store for &Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(key)
    }

    fn scan(&self, _: &[u8], _: Option<&[u8]>, _: usize) -> Result<Vec<Pair>, StoreError> {
        panic!("no value is loaded to count keys")
    }

    fn scan_keys(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        if prefix == keys::DEAD_LETTERS {
            self.scans.fetch_add(1, Ordering::SeqCst);
        }
        self.store.scan_keys(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.store.commit(batch)?;
        if self.unsure.load(Ordering::SeqCst) {
            return Err(StoreError::Io("the disk did not say".to_owned()));
        }
        Ok(())
    }
}

fn letter(sink: &str, id: u8) -> Vec<u8> {
    keys::dead_letter(sink, &id.to_string(), 0)
}

fn open(store: &impl Store) -> Tally {
    store.tally(keys::DEAD_LETTERS).unwrap()
}

fn tally<const N: usize>(of: [(&str, u64); N]) -> Tally {
    of.map(|(sink, letters)| (sink.to_owned(), letters)).into()
}

#[test]
fn letters_are_counted_once_at_open_and_then_as_they_are_put_and_closed() {
    let watched = Watched::default();
    let mut batch = Batch::default();
    batch.put(letter("crm", 1), vec![7; 4096]);
    batch.put(letter("", 1), Vec::new());
    batch.put(b"e/not a letter".to_vec(), Vec::new());
    (&watched).commit(batch).unwrap();
    let store = Tallied::over(&watched, keys::DEAD_LETTERS).unwrap();
    assert_eq!(open(&store), tally([("", 1), ("crm", 1)]));
    for _ in 0..2 {
        let mut batch = Batch::default();
        batch.put(letter("crm", 2), Vec::new());
        batch.put(letter("lake", 2), Vec::new());
        batch.remove(letter("", 1));
        batch.remove(letter("", 2));
        store.commit(batch).unwrap();
        assert_eq!(open(&store), tally([("crm", 2), ("lake", 1)]));
    }
    assert_eq!(watched.scans.load(Ordering::SeqCst), 1);
}

#[test]
fn after_a_commit_of_which_nobody_knows_what_became_they_are_counted_again() {
    let watched = Watched::default();
    let store = Tallied::over(&watched, keys::DEAD_LETTERS).unwrap();
    let mut batch = Batch::default();
    batch.put(letter("crm", 1), Vec::new());
    watched.unsure.store(true, Ordering::SeqCst);
    store.commit(batch.clone()).unwrap_err();
    assert_eq!(open(&store), tally([("crm", 1)]), "it was stored");
    watched.unsure.store(false, Ordering::SeqCst);
    store.commit(batch).unwrap();
    assert_eq!(open(&store), tally([("crm", 1)]));
    assert_eq!(watched.scans.load(Ordering::SeqCst), 2);
}

#[test]
fn a_letter_that_many_put_and_close_at_once_counts_once_or_not_at_all() {
    let watched = Watched::default();
    let store = Tallied::over(&watched, keys::DEAD_LETTERS).unwrap();
    thread::scope(|scope| {
        for thread in 0..8_u8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..100_u8 {
                    let mut batch = Batch::default();
                    for id in 0..4 {
                        match (thread + round + id) % 3 {
                            0 => batch.remove(letter("crm", id)),
                            _ => batch.put(letter("crm", id), Vec::new()),
                        }
                    }
                    store.commit(batch).unwrap();
                }
            });
        }
    });
    assert_eq!(open(&store), (&watched).tally(keys::DEAD_LETTERS).unwrap());
}

proptest! {
    #[test]
    fn the_tally_is_what_a_count_would_say(
        batches in prop::collection::vec(
            prop::collection::vec((0_u8..3, 0_u8..5, any::<bool>()), 0..8), 0..12
        ),
    ) {
        let watched = Watched::default();
        let store = Tallied::over(&watched, keys::DEAD_LETTERS).unwrap();
        for changes in batches {
            let mut batch = Batch::default();
            for (sink, id, put) in changes {
                let key = letter(["", "crm", "lake"][usize::from(sink)], id);
                if put { batch.put(key, Vec::new()) } else { batch.remove(key) }
            }
            store.commit(batch).unwrap();
            prop_assert_eq!(open(&store), (&watched).tally(keys::DEAD_LETTERS).unwrap());
        }
    }
}
