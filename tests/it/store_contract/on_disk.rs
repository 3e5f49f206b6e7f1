//! The store's directory: reopened, held by another, of another format.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use goldwire::store::{Batch, SledStore, Store as _, StoreError, keys};
use tokio::time::Instant;

use super::{ENGINES, Engine, puts};

fn refused(engine: Engine, dir: &Path) -> String {
    match engine.open(dir) {
        Err(StoreError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_reopened_store_holds_everything_committed() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..5_u8 {
            let store = engine.open(dir.path()).unwrap();
            for known in 0..round {
                assert_eq!(store.get(&[b'k', known]).unwrap(), Some(vec![known; 3000]));
            }
            let mut batch = puts(&[]);
            batch.put(vec![b'k', round], vec![round; 3000]);
            store.commit(batch).unwrap();
        }
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_has_ended() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let store = engine.open(dir.path()).unwrap();
        let why = refused(engine, dir.path());
        assert!(
            why.contains("in use") && why.contains(&dir.path().display().to_string()),
            "{why}"
        );
        drop(store);
        engine.open(dir.path()).unwrap();
    }
}

#[test]
fn the_store_of_one_engine_is_refused_by_the_other_and_left_as_it_is() {
    for (made, name, asked, other) in [
        (Engine::Sled, "sled", Engine::Fjall, "fjall"),
        (Engine::Fjall, "fjall", Engine::Sled, "sled"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let store = made.open(dir.path()).unwrap();
        store.commit(puts(&[("a", "1")])).unwrap();
        drop(store);
        let why = refused(asked, dir.path());
        assert!(
            why.contains(&format!("was made with `store: {name}`"))
                && why.contains(&format!("asks for `store: {other}`"))
                && why.contains(&format!("write `store: {name}`")),
            "{why}"
        );
        let store = made.open(dir.path()).unwrap();
        assert_eq!(store.get(b"a").unwrap(), Some(b"1".to_vec()));
    }
}

#[test]
fn another_format_is_refused_and_an_unreadable_one_is_corrupt() {
    let format = str::from_utf8(keys::FORMAT).unwrap();
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let store = engine.open(dir.path()).unwrap();
        assert_eq!(store.get(keys::FORMAT).unwrap(), Some(b"2".to_vec()));
        store.commit(puts(&[(format, "3")])).unwrap();
        drop(store);
        let why = refused(engine, dir.path());
        assert!(
            why.contains("format 3") && why.contains("run the version"),
            "{why}"
        );

        insert(engine, dir.path(), format, "two");
        let corrupt = engine.open(dir.path()).unwrap_err();
        assert!(
            matches!(&corrupt, StoreError::Corrupt { key, .. } if key == format),
            "{corrupt}"
        );
    }
}

#[test]
fn an_older_format_is_read_as_it_is_and_marked_so_that_its_program_refuses_it() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        let store = engine.open(dir.path()).unwrap();
        let format = str::from_utf8(keys::FORMAT).unwrap();
        store.commit(puts(&[(format, "1"), ("a", "kept")])).unwrap();
        drop(store);
        let store = engine.open(dir.path()).unwrap();
        assert_eq!(store.get(b"a").unwrap(), Some(b"kept".to_vec()));
        assert_eq!(store.get(keys::FORMAT).unwrap(), Some(b"2".to_vec()));
        store.commit(puts(&[(format, "0")])).unwrap();
        drop(store);
        assert!(refused(engine, dir.path()).contains("format 0"));
    }
}

/// sled without goldwire. Of a store that was dropped a thread of sled's may hold the lock for a
/// moment yet, and sled does not wait for it.
fn sled_alone(dir: &Path) -> sled::Db {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        match sled::open(dir) {
            Err(sled::Error::Io(_)) if Instant::now() < end => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Sets a key past goldwire, with the engine alone.
fn insert(engine: Engine, dir: &Path, key: &str, value: &str) {
    match engine {
        Engine::Sled => {
            let db = sled_alone(dir);
            db.insert(key, value).unwrap();
            db.flush().unwrap();
        }
        Engine::Fjall => {
            let db = fjall::Database::builder(dir.join("fjall")).open().unwrap();
            let ledger = db.keyspace("ledger", Default::default).unwrap();
            ledger.insert(key, value).unwrap();
            db.persist(fjall::PersistMode::SyncAll).unwrap();
        }
    }
}

#[test]
fn a_store_of_something_else_is_refused() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().unwrap();
        insert(engine, dir.path(), "theirs", "1");
        assert!(refused(engine, dir.path()).contains("not made by goldwire"));
    }
}

/// A value that says where it is from.
fn value(number: u8, length: usize) -> Vec<u8> {
    (0..=u8::MAX)
        .cycle()
        .skip(number.into())
        .take(length)
        .collect()
}

#[test]
fn g3_no_value_however_large_goes_to_a_file_that_is_not_synced() {
    let lengths = [0, 1, 4095, 4096, 4097, 8192, 9000, 100_000, 1_500_000];
    let dir = tempfile::tempdir().unwrap();
    let mut store = SledStore::open(dir.path()).unwrap();
    for round in 0..3_u8 {
        for (number, length) in (0_u8..).zip(lengths) {
            // Shorter, longer and the same again over what is there.
            let length = if round == 1 {
                1_500_000 - length
            } else {
                length
            };
            let mut batch = Batch::default();
            for copy in 0..20 {
                batch.put(vec![b'k', number, copy], value(copy, length.min(20_000)));
            }
            batch.put(vec![b'k', number, 20], value(round, length));
            store.commit(batch).unwrap();
            let held = store.get(&[b'k', number, 20]).unwrap();
            assert!(held == Some(value(round, length)), "{length}");
            let page = store.scan(&[b'k', number], None, 100).unwrap();
            assert!(page.len() == 21 && page[3].1 == value(3, length.min(20_000)));
        }
        drop(store);
        store = SledStore::open(dir.path()).unwrap();
    }
    let blobs = std::fs::read_dir(dir.path().join("blobs")).unwrap();
    assert_eq!(blobs.count(), 0);
    let mut batch = Batch::default();
    for (key, _) in store.scan(b"k", None, usize::MAX).unwrap() {
        batch.remove(key);
    }
    store.commit(batch).unwrap();
    drop(store);
    let db = sled_alone(dir.path());
    assert!(db.open_tree("pieces").unwrap().is_empty(), "no piece stays");
}

#[test]
fn a_value_that_looks_like_the_store_s_own_mark_is_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let mark = [b"\0pieces\0".as_slice(), &[0; 12]].concat();
    let mut batch = Batch::default();
    batch.put(b"a".to_vec(), mark.clone());
    store.commit(batch).unwrap();
    assert_eq!(store.get(b"a").unwrap(), Some(mark));
}

#[test]
fn g3_a_commit_is_answered_after_the_disk_s_own_sync_and_goes_on_after_one_that_failed() {
    for engine in ENGINES {
        goes_on_after_a_sync_that_failed(engine);
    }
}

fn goes_on_after_a_sync_that_failed(engine: Engine) {
    let failing = Arc::new(AtomicBool::new(false));
    let syncs = Arc::new(AtomicU32::new(0));
    let (fails, counted) = (Arc::clone(&failing), Arc::clone(&syncs));
    let before_sync = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        if fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    };
    let dir = tempfile::tempdir().unwrap();
    let store = engine.open_with(dir.path(), Arc::new(before_sync)).unwrap();
    let before = syncs.load(Ordering::Relaxed);
    store.commit(puts(&[("a", "1")])).unwrap();
    assert_eq!(syncs.load(Ordering::Relaxed), before + 1);
    failing.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let failed = store.commit(puts(&[("a", "2")])).unwrap_err();
        assert!(matches!(failed, StoreError::Io(_)), "{failed}");
    }
    failing.store(false, Ordering::Relaxed);
    for round in ["3", "4"] {
        store.commit(puts(&[("b", round)])).unwrap();
        assert_eq!(store.get(b"b").unwrap(), Some(round.into()));
        assert!(store.get(b"a").unwrap().is_some());
    }
    drop(store);
    let store = engine.open(dir.path()).unwrap();
    assert_eq!(store.get(b"b").unwrap(), Some(b"4".to_vec()));
}
