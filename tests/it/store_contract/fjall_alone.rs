//! What can happen to fjall's files alone: a making cut short, holes in its journal, a disk that
//! failed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use goldwire::store::{Batch, FjallStore, Store as _, StoreError};

use super::puts;

fn journal(dir: &Path) -> PathBuf {
    dir.join("fjall/0.jnl")
}

/// Ends the store and puts its files back to what they were before: as after a crash.
fn crash(store: FjallStore, dir: &Path) {
    let image = tempfile::tempdir().unwrap();
    copy(&dir.join("fjall"), &image.path().join("fjall"));
    drop(store);
    fs::remove_dir_all(dir.join("fjall")).unwrap();
    copy(&image.path().join("fjall"), &dir.join("fjall"));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A batch whose value is larger than several pages of a disk. Its bytes look random.
fn large(key: &str) -> Batch {
    let mut random = 1_u32;
    let value = (0..100_000).map(|_| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random.to_be_bytes()[0]
    });
    let mut batch = Batch::default();
    batch.put(key.as_bytes().to_vec(), value.collect());
    batch
}

/// Where the journal's last batch ends.
fn end(dir: &Path) -> usize {
    let bytes = fs::read(journal(dir)).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// A page that the disk had not yet written when the power failed.
fn hole(dir: &Path, at: usize) {
    let file = File::options().write(true).open(journal(dir)).unwrap();
    file.write_all_at(&[0; 4096], u64::try_from(at).unwrap())
        .unwrap();
}

#[test]
fn g3_a_last_batch_with_a_hole_in_it_is_dropped_whole_and_the_others_stay() {
    // From the middle of the large value to the end of the batch.
    for back in [50_000, 10_000, 4_200] {
        let dir = tempfile::tempdir().unwrap();
        let store = FjallStore::open(dir.path()).unwrap();
        store.commit(puts(&[("a", "1")])).unwrap();
        let mut batch = large("b");
        batch.put(b"a".to_vec(), b"2".to_vec());
        store.commit(batch).unwrap();
        crash(store, dir.path());
        hole(dir.path(), end(dir.path()) - back);
        for _ in 0..2 {
            let store = FjallStore::open(dir.path()).unwrap();
            assert_eq!(store.get(b"a").unwrap(), Some(b"1".to_vec()), "{back}");
            assert_eq!(store.get(b"b").unwrap(), None);
            store.commit(puts(&[("c", "3")])).unwrap();
        }
        let store = FjallStore::open(dir.path()).unwrap();
        assert_eq!(store.get(b"c").unwrap(), Some(b"3".to_vec()));
    }
}

#[test]
fn g3_damage_before_the_last_batch_is_refused_and_not_cut() {
    let dir = tempfile::tempdir().unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    store.commit(large("a")).unwrap();
    let damage = end(dir.path()) - 50_000;
    store.commit(puts(&[("b", "1")])).unwrap();
    store.commit(puts(&[("c", "1")])).unwrap();
    crash(store, dir.path());
    hole(dir.path(), damage);
    for _ in 0..2 {
        let refused = FjallStore::open(dir.path()).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Refused(why) if why.contains("damaged before its end")),
            "{refused}"
        );
    }
}

#[test]
fn a_store_that_was_closed_has_no_journal_to_read_and_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..5_u8 {
        let store = FjallStore::open(dir.path()).unwrap();
        let known = round.checked_sub(1).map(|round| vec![round]);
        assert_eq!(store.get(b"a").unwrap(), known);
        let mut batch = Batch::default();
        batch.put(b"a".to_vec(), vec![round]);
        store.commit(batch).unwrap();
        drop(store);
        assert_eq!(fs::metadata(journal(dir.path())).unwrap().len(), 0);
    }
}

#[test]
fn a_making_that_was_cut_short_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("fjall/keyspaces")).unwrap();
    File::create(dir.path().join("fjall/lock")).unwrap();
    File::create(journal(dir.path())).unwrap();
    File::create(dir.path().join("fjall/version")).unwrap();
    let store = FjallStore::open(dir.path()).unwrap();
    store.commit(puts(&[("a", "1")])).unwrap();
    drop(store);
    let store = FjallStore::open(dir.path()).unwrap();
    assert_eq!(store.get(b"a").unwrap(), Some(b"1".to_vec()));
}

#[test]
fn a_store_that_lost_its_version_is_not_taken_for_one_that_was_never_made() {
    let dir = tempfile::tempdir().unwrap();
    drop(FjallStore::open(dir.path()).unwrap());
    fs::remove_file(dir.path().join("fjall/version")).unwrap();
    FjallStore::open(dir.path()).unwrap_err();
    assert!(journal(dir.path()).exists());
}
