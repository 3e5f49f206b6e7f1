//! Letters in a store, and the logs that they go back to.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use goldwire::dead_letter::{DeadLetter, Redrive, StoredLetters};
use goldwire::event::EventRecord;
use goldwire::log::{Log, MemoryLog, ReadLimit};
use goldwire::store::{Batch, Store, keys};
use goldwire::telemetry::{self, Metrics};
use goldwire::time::TokioClock;
use prost::Message as _;

use super::store::TestStore;

pub(crate) const NOW: i64 = 1_772_000_000_000;

pub(crate) struct Fixture {
    pub(crate) store: Arc<TestStore>,
    pub(crate) inbox: Arc<MemoryLog>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) redrive: Redrive,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) registry: prometheus::Registry,
}

/// Letters in a store, and the logs that they go back to. Needs a runtime.
pub(crate) fn fixture(letters: &[DeadLetter]) -> Fixture {
    let store = Arc::new(TestStore::default());
    let (inbox, log) = (Arc::new(MemoryLog::new(1)), Arc::new(MemoryLog::new(8)));
    write(store.as_ref(), letters);
    let redrive = Redrive {
        letters: Arc::new(StoredLetters::new(Arc::<TestStore>::clone(&store))),
        inbox: Arc::<MemoryLog>::clone(&inbox),
        log: Arc::<MemoryLog>::clone(&log),
        sinks: BTreeSet::from(["crm".to_owned(), "lake".to_owned()]),
        clock: Arc::new(TokioClock::starting_at(NOW)),
    };
    let (metrics, registry) = telemetry::instruments().unwrap();
    Fixture {
        store,
        inbox,
        log,
        redrive,
        metrics,
        registry,
    }
}

pub(crate) fn write(store: &dyn Store, letters: &[DeadLetter]) {
    let mut batch = Batch::default();
    for letter in letters {
        let key = keys::dead_letter(&letter.sink, &letter.id, letter.round);
        batch.put(key, letter.encode_to_vec());
    }
    store.commit(batch).unwrap();
}

/// A letter of `sink` about `entities/{id}`.
pub(crate) fn letter(sink: &str, id: &str, reason: &str) -> DeadLetter {
    let record = EventRecord {
        id: id.to_owned(),
        tenant: "t".to_owned(),
        subject: format!("entities/{id}"),
        payload: Bytes::from_static(b"Ada Lovelace"),
        ..EventRecord::default()
    };
    DeadLetter {
        id: id.to_owned(),
        sink: sink.to_owned(),
        tenant: "t".to_owned(),
        subject: record.subject.clone(),
        stage: "deliver".to_owned(),
        reason: reason.to_owned(),
        code: "REQUIRED_FIELD_MISSING".to_owned(),
        first_time: NOW - 2000,
        last_time: NOW - 1000,
        original: record.encode_to_vec().into(),
        ..DeadLetter::default()
    }
}

/// A letter of ingest.
pub(crate) fn undecodable(id: &str) -> DeadLetter {
    DeadLetter {
        sink: String::new(),
        source: "hook".to_owned(),
        topic: "/reltio-webhook".to_owned(),
        subject: String::new(),
        headers: [("content-type".to_owned(), "application/json".to_owned())].into(),
        original: Bytes::from_static(b"{not json"),
        ..letter("", id, "undecodable")
    }
}

pub(crate) async fn records(log: &dyn Log) -> Vec<(u16, Bytes)> {
    let mut all = Vec::new();
    for partition in 0..log.identity().partitions {
        let limit = ReadLimit {
            records: 1000,
            bytes: usize::MAX,
        };
        let read = log.read(partition, 0, limit).await.unwrap();
        all.extend(read.into_iter().map(|record| (partition, record.bytes)));
    }
    all
}
