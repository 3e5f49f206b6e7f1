//! The store's directory: reopened, held by another, of another format.

use std::path::Path;

use goldwire::ledger::{StoreError, keys};

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
        assert_eq!(store.get(keys::FORMAT).unwrap(), Some(b"1".to_vec()));
        store.commit(puts(&[(format, "2")])).unwrap();
        drop(store);
        let why = refused(engine, dir.path());
        assert!(
            why.contains("format 2") && why.contains("run the version"),
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

/// Sets a key past goldwire, with the engine alone.
fn insert(engine: Engine, dir: &Path, key: &str, value: &str) {
    match engine {
        Engine::Sled => {
            let db = sled::open(dir).unwrap();
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
