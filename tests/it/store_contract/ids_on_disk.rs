//! Ids that expire give their space back: measured on disk.

use std::path::Path;

use goldwire::event::{ChangeId, Subject};
use goldwire::store::ids::{self, Noted};
use goldwire::store::{Batch, SledStore, Store as _, keys};

/// Ids of one window. `docs/reliability.md` has the figures of more of them.
const IDS: i64 = 5000;
const WINDOWS: i64 = 30;

/// Bytes that the files of a directory take on the disk.
fn on_disk(dir: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = std::fs::read_dir(dir).unwrap();
    let sizes = entries.map(|entry| {
        let entry = entry.unwrap();
        let kept = entry.metadata().unwrap().blocks() * 512;
        let below = entry.path().is_dir().then(|| on_disk(&entry.path()));
        kept + below.unwrap_or_default()
    });
    sizes.sum()
}

#[test]
fn g8_the_space_of_ids_that_expired_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    let mut sizes = Vec::new();
    for window in 0..WINDOWS {
        for page in 0..IDS / 1000 {
            let mut batch = Batch::default();
            for number in 0..1000 {
                let version = window * IDS + page * 1000 + number;
                let subject = Subject::new("acme", &format!("entities/{version}"));
                let id = ChangeId::of(&subject, version, version);
                let noted = Noted {
                    time: version,
                    observed: false,
                };
                ids::put(&mut batch, "events", 0, (id, noted));
            }
            store.commit(batch).unwrap();
            // One window is there at any time: as many go as come.
            let until = (window - 1) * IDS + (page + 1) * 1000;
            let mut removed = Batch::default();
            for key in ids::due(&store, ("events", 0), until, None).unwrap().keys {
                removed.remove(key);
            }
            let gone = removed.changes.len() / 2;
            assert_eq!(gone, if window == 0 { 0 } else { 1000 });
            store.commit(removed).unwrap();
        }
        sizes.push(on_disk(dir.path()));
    }
    let left = store.scan(&keys::ids("events", 0), None, 100_000).unwrap();
    assert_eq!(left.len(), usize::try_from(IDS).unwrap());
    println!("bytes on disk after each window of {IDS} ids: {sizes:?}");
    // Thirty windows went through. sled collects lazily: it rises, within a fraction of that, for
    // some hundred windows before it finds its level.
    let most = sizes.iter().max().copied().unwrap();
    assert!(most <= sizes[0] * 8, "it grew: {sizes:?}");
}
