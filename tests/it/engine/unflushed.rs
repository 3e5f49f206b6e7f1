//! A store that shows what it has not flushed, as sled does, and loses it with the power.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use goldwire::event::SourceRecord;
use goldwire::runtime::{Files, Instance};
use goldwire::sink::Mode;
use goldwire::store::{Batch, Cursor, MemoryStore, Pair, Store, StoreError, keys};
use prost::Message as _;
use serde_json::json;

use super::runtime::{config, files, parts, pass, to_store, with};
use super::scripted::Scripted;
use super::tenant::person;

/// What it shows, and what is on its disk.
#[derive(Debug, Default)]
struct Showing {
    shown: MemoryStore,
    flushed: MemoryStore,
    /// Nothing is flushed any more.
    stuck: AtomicBool,
}

impl Store for Showing {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shown.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.shown.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.shown.commit(batch.clone())?;
        if self.stuck.load(Ordering::Relaxed) {
            return Err(StoreError::Io("the flush failed".to_owned()));
        }
        self.flushed.commit(batch)
    }

    fn blocks(&self) -> bool {
        false
    }
}

fn start(files: &Files) -> Instance {
    let sink = Arc::new(Scripted::new("crm", Mode::Latest, None));
    let parts = parts(files, sink, to_store());
    Instance::assemble(&config("1s"), &with(), parts).unwrap()
}

/// A webhook's request in the inbox.
async fn request(files: &Files, version: i64) {
    let object = person("entities/a", &version.to_string());
    let body = json!({ "type": "ENTITY_CHANGED", "object": object }).to_string();
    let record = SourceRecord {
        source: "hook".to_owned(),
        body: body.into_bytes().into(),
        ..SourceRecord::default()
    };
    let bytes = record.encode_to_vec().into();
    files.inbox.append(0, vec![bytes]).await.unwrap();
}

fn position(store: &dyn Store) -> u64 {
    let cursor = store.get(&keys::cursor("goldwire.inbox", 0)).unwrap();
    Cursor::decode(cursor.unwrap().as_slice()).unwrap().position
}

/// A power cut between a commit's apply and its flush, with the inbox trimmed meanwhile, once left
/// a position that was not in the inbox: the program did not start again.
#[tokio::test(start_paused = true)]
async fn g1_g2_the_inbox_is_trimmed_by_what_is_flushed_never_by_what_the_store_shows() {
    let store = Arc::new(Showing::default());
    let before = files(Arc::<Showing>::clone(&store));
    let instance = start(&before);
    for version in 1..=3 {
        request(&before, version).await;
    }
    pass(5).await;
    assert_eq!(
        (position(store.as_ref()), before.inbox.range(0).start),
        (3, 3)
    );
    store.stuck.store(true, Ordering::Relaxed);
    for version in 4..=6 {
        request(&before, version).await;
    }
    pass(5).await;
    assert_eq!((position(store.as_ref()), position(&store.flushed)), (6, 3));
    assert_eq!(before.inbox.range(0).start, 3);

    drop(instance);
    let disk = MemoryStore::new();
    let mut left = Batch::default();
    for (key, value) in store.flushed.scan(b"", None, usize::MAX).unwrap() {
        left.put(key, value);
    }
    disk.commit(left).unwrap();
    let after = Files {
        store: Arc::new(disk),
        ..before
    };
    let instance = start(&after);
    pass(5).await;
    assert_eq!(
        (position(after.store.as_ref()), after.inbox.range(0).start),
        (6, 6)
    );
    instance.stop().await;
}
