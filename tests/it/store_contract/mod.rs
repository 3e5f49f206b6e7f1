//! The store's contract: one suite, over the store in memory, sled and fjall; then what only a
//! disk can do.

mod crash;
mod fjall_alone;
mod ids_on_disk;
mod on_disk;
mod tally;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use goldwire::store::{
    Batch, BeforeSync, FjallStore, MemoryStore, Pair, SledStore, Store, StoreError, keys,
};
use proptest::prelude::*;

/// An engine on disk, by the configuration's word for it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Engine {
    Sled,
    Fjall,
}

const ENGINES: [Engine; 2] = [Engine::Sled, Engine::Fjall];

impl Engine {
    fn open(self, dir: &Path) -> Result<Box<dyn Store>, StoreError> {
        self.open_with(dir, Arc::new(|| Ok(())))
    }

    fn open_with(self, dir: &Path, sync: BeforeSync) -> Result<Box<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sled => Box::new(SledStore::open_with(dir, sync)?),
            Self::Fjall => Box::new(FjallStore::open_with(dir, sync)?),
        })
    }
}

/// A store in memory, those on disk, and the directory of the latter.
fn stores() -> (tempfile::TempDir, Vec<Box<dyn Store>>) {
    let dir = tempfile::tempdir().unwrap();
    let mut stores: Vec<Box<dyn Store>> = vec![Box::new(MemoryStore::new())];
    for (number, engine) in ENGINES.into_iter().enumerate() {
        stores.push(engine.open(&dir.path().join(number.to_string())).unwrap());
    }
    (dir, stores)
}

fn pair(key: &str, value: &str) -> Pair {
    (key.as_bytes().to_vec(), value.as_bytes().to_vec())
}

fn puts(pairs: &[(&str, &str)]) -> Batch {
    let mut batch = Batch::default();
    for (key, value) in pairs {
        let (key, value) = pair(key, value);
        batch.put(key, value);
    }
    batch
}

#[test]
fn a_batch_is_seen_whole_and_later_changes_of_a_key_win() {
    let (_dir, stores) = stores();
    for store in stores {
        store.commit(puts(&[("a", "1"), ("b", "2")])).unwrap();
        let mut batch = puts(&[("b", "3"), ("c", ""), ("b", "4")]);
        batch.remove(b"a".to_vec());
        batch.remove(b"never there".to_vec());
        batch.remove(b"c".to_vec());
        batch.put(b"c".to_vec(), b"5".to_vec());
        store.commit(batch).unwrap();
        assert_eq!(store.get(b"a").unwrap(), None);
        assert_eq!(store.get(b"b").unwrap(), Some(b"4".to_vec()));
        assert_eq!(store.get(b"c").unwrap(), Some(b"5".to_vec()));
        store.commit(Batch::default()).unwrap();
        store.commit(puts(&[("c", "")])).unwrap();
        assert_eq!(store.get(b"c").unwrap(), Some(Vec::new()));
    }
}

#[test]
fn a_scan_returns_a_prefix_in_key_order() {
    let (_dir, stores) = stores();
    for store in stores {
        store
            .commit(puts(&[
                ("p/2", "b"),
                ("p/10", "c"),
                ("p", "-"),
                ("p/1", "a"),
                ("q", "-"),
            ]))
            .unwrap();
        let found = store.scan(b"p/", None, 10).unwrap();
        assert_eq!(
            found,
            [pair("p/1", "a"), pair("p/10", "c"), pair("p/2", "b")]
        );
        assert!(store.scan(b"p/", None, 0).unwrap().is_empty());
        assert!(store.scan(b"none", None, 10).unwrap().is_empty());
        let high = [0xFF, 0xFF];
        let mut batch = Batch::default();
        batch.put(high.to_vec(), Vec::new());
        store.commit(batch).unwrap();
        assert_eq!(
            store.scan(&high, None, 10).unwrap(),
            [(high.to_vec(), Vec::new())]
        );
    }
}

#[test]
fn pages_of_a_scan_follow_each_other_whatever_their_size() {
    let (_dir, stores) = stores();
    for store in stores {
        let mut batch = Batch::default();
        for number in 0..57_u32 {
            batch.put(
                keys::dead_letter("crm", "id", number),
                number.to_string().into_bytes(),
            );
            batch.put(keys::dead_letter("other", "id", number), Vec::new());
        }
        store.commit(batch).unwrap();
        let prefix = keys::dead_letters_of(Some("crm"));
        for limit in [1, 7, 19, 57, 100] {
            let (mut found, mut after): (Vec<Pair>, Option<Vec<u8>>) = (Vec::new(), None);
            loop {
                let page = store.scan(&prefix, after.as_deref(), limit).unwrap();
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                found.extend(page);
            }
            let values: Vec<String> = (0..57).map(|number| number.to_string()).collect();
            let read: Vec<_> = found
                .iter()
                .map(|(_, value)| String::from_utf8_lossy(value))
                .collect();
            assert_eq!(read, values);
        }
        assert_eq!(
            store
                .scan(&prefix, Some(b"a before the prefix"), 100)
                .unwrap()
                .len(),
            57
        );
        assert!(
            store
                .scan(&prefix, Some(b"z after the prefix"), 100)
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            store
                .scan(&keys::dead_letters_of(None), None, 200)
                .unwrap()
                .len(),
            114
        );
    }
}

#[test]
fn commits_of_many_threads_all_arrive() {
    let (_dir, stores) = stores();
    for store in stores {
        let store = store.as_ref();
        std::thread::scope(|scope| {
            for thread in 0..8_u8 {
                scope.spawn(move || {
                    for number in 0..20_u8 {
                        let mut batch = Batch::default();
                        batch.put(vec![b't', thread, number], vec![number]);
                        batch.put(vec![b'c', thread], vec![number]);
                        store.commit(batch).unwrap();
                        assert_eq!(store.get(&[b'c', thread]).unwrap(), Some(vec![number]));
                    }
                });
            }
        });
        assert_eq!(store.scan(b"t", None, 1000).unwrap().len(), 160);
    }
}

/// Few keys, so that batches meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 0xFE, 0xFF]), 1..4)
}

fn batches() -> impl Strategy<Value = Vec<BTreeMap<Vec<u8>, Option<Vec<u8>>>>> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..40));
    let batch = prop::collection::btree_map(key(), value, 0..20);
    prop::collection::vec(batch, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_store_on_disk_holds_what_the_reference_holds_through_reopens(
        engine in prop::sample::select(ENGINES.to_vec()),
        batches in batches(),
        prefix in prop::collection::vec(prop::sample::select(vec![0, b'a', 0xFF]), 0..2),
        after in prop::option::of(key()),
        limit in 0_usize..30,
        reopen in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let memory = MemoryStore::new();
        let mut store = engine.open(dir.path()).unwrap();
        for changes in batches {
            memory.commit(Batch { changes: changes.clone() }).unwrap();
            store.commit(Batch { changes: changes.clone() }).unwrap();
            if reopen {
                drop(store);
                store = engine.open(dir.path()).unwrap();
            }
            for key in changes.keys() {
                prop_assert_eq!(store.get(key).unwrap(), memory.get(key).unwrap());
            }
            let found = store.scan(&prefix, after.as_deref(), limit).unwrap();
            let keys: Vec<_> = found.iter().map(|(key, _)| key.clone()).collect();
            for store in [store.as_ref(), &memory as &dyn Store] {
                let alone = store.scan_keys(&prefix, after.as_deref(), limit).unwrap();
                prop_assert_eq!(&alone, &keys);
            }
            let expected = memory.scan(&prefix, after.as_deref(), limit).unwrap();
            prop_assert_eq!(found, expected);
        }
        let all = store.scan(b"", None, usize::MAX).unwrap();
        prop_assert_eq!(all, memory.scan(b"", None, usize::MAX).unwrap());
    }
}
