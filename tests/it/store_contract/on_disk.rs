//! The store's directory: reopened, held by another, of another format.

use std::path::Path;

use goldwire::ledger::{SledStore, Store as _, StoreError, keys};

use super::puts;

fn refused(dir: &Path) -> String {
    match SledStore::open(dir) {
        Err(StoreError::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_reopened_store_holds_everything_committed() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5_u8 {
        let store = SledStore::open(dir.path()).unwrap();
        for known in 0..round {
            assert_eq!(store.get(&[b'k', known]).unwrap(), Some(vec![known; 3000]));
        }
        let mut batch = puts(&[]);
        batch.put(vec![b'k', round], vec![round; 3000]);
        store.commit(batch).unwrap();
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let why = refused(dir.path());
    assert!(
        why.contains("in use") && why.contains(&dir.path().display().to_string()),
        "{why}"
    );
    drop(store);
    SledStore::open(dir.path()).unwrap();
}

#[test]
fn another_format_is_refused_and_an_unreadable_one_is_corrupt() {
    let dir = tempfile::tempdir().unwrap();
    let format = str::from_utf8(keys::FORMAT).unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(store.get(keys::FORMAT).unwrap(), Some(b"1".to_vec()));
    store.commit(puts(&[(format, "2")])).unwrap();
    drop(store);
    let why = refused(dir.path());
    assert!(
        why.contains("format 2") && why.contains("run the version"),
        "{why}"
    );

    let db = sled::open(dir.path()).unwrap();
    db.insert(keys::FORMAT, b"two").unwrap();
    db.flush().unwrap();
    drop(db);
    let corrupt = SledStore::open(dir.path()).unwrap_err();
    assert!(
        matches!(&corrupt, StoreError::Corrupt { key, .. } if key == format),
        "{corrupt}"
    );
}

#[test]
fn a_store_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::open(dir.path()).unwrap();
    db.insert("theirs", "1").unwrap();
    db.flush().unwrap();
    drop(db);
    assert!(refused(dir.path()).contains("not made by goldwire"));
}
