//! A data directory that is taken over to Kafka, and the topics of an earlier release.
//!
//! The brokers are in memory: what counts here is what stands in the records.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use goldwire::changelog::{
    Changelog, ChangelogCheckpoint, ChangelogError, ChangelogRecord, NotCommitted, Ownership, Page,
    Part, Transactor,
};
use goldwire::dead_letter::{DeadLetter, DeadLetters as _, Filter, LetterName, StoredLetters};
use goldwire::log::{Log, LogIdentity, MemoryLog, OffsetRange, ReadLimit};
use goldwire::runtime::copy::{Copied, CopiedSink, Copy};
use goldwire::runtime::parts::{self, SinkParts};
use goldwire::runtime::{Deps, Files, Instance, Parts, Portions};
use goldwire::store::{Batch, MemoryStore, Store};
use goldwire::telemetry::Metrics;
use goldwire::time::{SharedClock, SystemClock};
use goldwire::topology::Config;
use prost::Message as _;

use super::scenario::{self, caught_up};

const SINK: &str = "lake";
const GROUP: &str = "goldwire.lake";
const PARTITIONS: u16 = 2;
const ALL: ReadLimit = ReadLimit {
    records: usize::MAX,
    bytes: usize::MAX,
};

#[derive(Debug, Default)]
struct Partition {
    records: Vec<ChangelogRecord>,
    end: u64,
    committed: Option<u64>,
}

/// The changelog of the sink.
#[derive(Debug)]
struct Topic {
    identity: LogIdentity,
    partitions: Mutex<BTreeMap<u16, Partition>>,
}

impl Topic {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            identity: LogIdentity {
                id: "kafka:c/goldwire.lake.changelog".to_owned(),
                partitions: PARTITIONS,
            },
            partitions: Mutex::default(),
        })
    }

    fn with<T>(&self, partition: u16, look: impl FnOnce(&mut Partition) -> T) -> T {
        look(
            self.partitions
                .lock()
                .unwrap()
                .entry(partition)
                .or_default(),
        )
    }
}

impl Partition {
    fn append(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.records.push(ChangelogRecord {
            offset: self.end,
            key: Bytes::copy_from_slice(key),
            value: value.map(Bytes::copy_from_slice),
        });
        self.end += 1;
    }

    fn append_all(&mut self, changes: &Batch) {
        for (key, value) in &changes.changes {
            self.append(key, value.as_deref());
        }
    }
}

#[async_trait]
impl Changelog for Topic {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn committed(&self, partition: u16) -> Result<Option<u64>, ChangelogError> {
        Ok(self.with(partition, |it| it.committed))
    }

    async fn range(&self, partition: u16) -> Result<OffsetRange, ChangelogError> {
        let end = self.with(partition, |it| it.end);
        Ok(OffsetRange { start: 0, end })
    }

    async fn read(&self, partition: u16, from: u64, _: ReadLimit) -> Result<Page, ChangelogError> {
        Ok(self.with(partition, |it| {
            let records = it.records.iter().filter(|record| record.offset >= from);
            Page {
                records: records.cloned().collect(),
                next: it.end,
            }
        }))
    }

    async fn put(&self, partition: u16, changes: Batch) -> Result<u64, ChangelogError> {
        Ok(self.with(partition, |it| {
            it.append_all(&changes);
            it.end - 1
        }))
    }

    async fn transact(&self, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted> {
        let one = |part: &Part| {
            self.with(part.partition, |it| {
                it.append_all(&part.changes);
                it.committed = part.position.or(it.committed);
                Some(it.end).filter(|_| !part.changes.is_empty())
            })
        };
        Ok(parts.iter().map(one).collect())
    }
}

/// What a data directory became in Kafka.
struct Topics {
    events: Arc<dyn Log>,
    changelog: Arc<Topic>,
    letters: Arc<StoredLetters>,
    /// Where the letters are, in place of their topic.
    kept: Arc<dyn Store>,
}

impl Topics {
    fn new() -> Self {
        let kept: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self {
            events: Arc::new(MemoryLog::new(PARTITIONS)),
            changelog: Topic::new(),
            letters: Arc::new(StoredLetters::new(Arc::clone(&kept))),
            kept,
        }
    }

    async fn copied(files: &Files) -> (Self, Copied) {
        let topics = Self::new();
        let changelog = Arc::<Topic>::clone(&topics.changelog);
        let copy = Copy {
            store: Arc::clone(&files.store),
            journal: Arc::clone(&files.log),
            topic: Arc::clone(&topics.events),
            sinks: vec![CopiedSink::new(SINK, GROUP, changelog, BTreeMap::new())],
            letters: Arc::<StoredLetters>::clone(&topics.letters),
        };
        let copied = copy.run(&|_| ()).await.unwrap();
        (topics, copied)
    }

    /// Delivers what is left, from these topics, to the end.
    async fn go_on(&self, config: &Config, files: Files) {
        let clock: SharedClock = Arc::new(SystemClock);
        let metrics = Arc::new(Metrics::noop());
        let with = Deps {
            clock: Arc::clone(&clock),
            metrics: Arc::clone(&metrics),
            seed: 7,
            wrap: None,
        };
        let sink_parts = SinkParts {
            reltio: None,
            log: Arc::<dyn Log>::clone(&self.events),
            clock: Arc::clone(&clock),
            metrics,
            portions: Portions::default(),
        };
        let lake = &config.sinks[SINK];
        let sink = parts::sink(SINK, lake, config, &sink_parts).unwrap();
        let ownership = Arc::new(Ownership::default());
        let epochs: BTreeMap<u16, u64> = (0..PARTITIONS)
            .map(|partition| (partition, ownership.take(partition)))
            .collect();
        let changelog = Arc::<Topic>::clone(&self.changelog);
        let store = Arc::clone(&files.store);
        let transactor = Transactor::new(SINK, changelog, store, ownership, clock);
        let transactor = Arc::new(transactor);
        let parts = Parts {
            sinks: vec![(sink, lake.on_full)],
            commit: Arc::new(move |to_store, _| {
                let epoch = epochs[&to_store.partition];
                let transactor = Arc::clone(&transactor);
                Arc::new(ChangelogCheckpoint::new(to_store, transactor, epoch))
            }),
            letters: Arc::<StoredLetters>::clone(&self.letters),
            ..Parts::over(Files {
                log: Arc::clone(&self.events),
                ..files
            })
        };
        let instance = Instance::assemble(config, &with, parts).unwrap();
        caught_up(instance).await;
    }

    async fn letters(&self) -> std::collections::BTreeSet<String> {
        let files = Files {
            store: Arc::clone(&self.kept),
            inbox: Arc::new(MemoryLog::new(1)),
            log: Arc::clone(&self.events),
        };
        super::letters(&files).await
    }
}

async fn ends_right(dir: &Path, topics: &Topics) {
    let open = [
        "crm rejected entities/ada 2",
        "lake exhausted entities/exhausted 0",
        "needs_hydration  0",
        "undecodable  1",
        "unknown_tenant  0",
    ];
    assert_eq!(topics.letters().await, super::lines(&open));
    super::warehouse_ends_right(dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_g4_a_directory_that_was_copied_goes_on_from_the_topics_to_the_right_end() {
    let dir = super::copy("sled");
    let config = scenario::config("sled", dir.path());
    let files = Files::open(&config).unwrap();
    let (topics, copied) = Topics::copied(&files).await;
    assert!(
        copied.records > 0 && copied.keys > 0 && copied.letters == 4,
        "{copied:?}"
    );
    topics.go_on(&config, files).await;
    ends_right(dir.path(), &topics).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g2_g4_the_topics_of_format_1_are_gone_on_from_with_an_empty_directory() {
    let dir = super::copy("sled");
    let config = scenario::config("sled", dir.path());
    let files = Files::open(&config).unwrap();
    let fixture = super::fixture(1, "kafka", "topics.txt");
    let topics = read(&std::fs::read_to_string(fixture).unwrap()).await;
    // The inbox is the directory's own, as is where ingest stands in it.
    let store = Arc::new(MemoryStore::new());
    let mut inbox = Batch::default();
    for (key, value) in files.store.scan(b"c/goldwire.inbox", None, 10).unwrap() {
        inbox.put(key, value);
    }
    store.commit(inbox).unwrap();
    let empty = Files { store, ..files };
    topics.go_on(&config, empty).await;
    ends_right(dir.path(), &topics).await;
}

/// The topics as text: a record a line.
async fn text(topics: &Topics) -> String {
    let mut text = String::new();
    let encoded = |bytes: &[u8]| STANDARD.encode(bytes);
    for partition in 0..PARTITIONS {
        for record in topics.events.read(partition, 0, ALL).await.unwrap() {
            writeln!(text, "events {partition} {}", encoded(&record.bytes)).unwrap();
        }
    }
    for (partition, of) in topics.changelog.partitions.lock().unwrap().iter() {
        for record in &of.records {
            let value = record
                .value
                .as_deref()
                .map_or_else(|| "-".to_owned(), encoded);
            writeln!(
                text,
                "changelog {partition} {} {value}",
                encoded(&record.key)
            )
            .unwrap();
        }
        if let Some(committed) = of.committed {
            writeln!(text, "committed {partition} {committed}").unwrap();
        }
    }
    text
}

async fn with_letters(topics: &Topics, mut text: String) -> String {
    let page = topics.letters.page(&Filter::default(), None, 100).await;
    for head in page.unwrap().letters {
        let name = LetterName::of(&head);
        let letter = topics.letters.show(&name).await.unwrap().unwrap();
        writeln!(text, "letter {}", STANDARD.encode(letter.encode_to_vec())).unwrap();
    }
    text
}

async fn read(text: &str) -> Topics {
    let topics = Topics::new();
    let decoded = |text: &str| STANDARD.decode(text).unwrap();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["events", partition, bytes] => {
                let records = vec![Bytes::from(decoded(bytes))];
                let partition = partition.parse().unwrap();
                topics.events.append(partition, records).await.unwrap();
            }
            ["changelog", partition, key, value] => {
                let value = (value != "-").then(|| decoded(value));
                let key = decoded(key);
                topics.changelog.with(partition.parse().unwrap(), |it| {
                    it.append(&key, value.as_deref());
                });
            }
            ["committed", partition, position] => {
                let position = position.parse().unwrap();
                let partition = partition.parse().unwrap();
                topics
                    .changelog
                    .with(partition, |it| it.committed = Some(position));
            }
            ["letter", bytes] => {
                let letter = DeadLetter::decode(decoded(bytes).as_slice()).unwrap();
                topics.letters.put(&[letter]).await.unwrap();
            }
            _ => panic!("what is {line}?"),
        }
    }
    topics
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a fixture, which is done once a format"]
async fn write_the_fixture_of_the_topics() {
    let dir = super::copy("sled");
    let config = scenario::config("sled", dir.path());
    let (topics, _) = Topics::copied(&Files::open(&config).unwrap()).await;
    let text = with_letters(&topics, text(&topics).await).await;
    std::fs::create_dir_all(super::fixture(1, "kafka", "")).unwrap();
    std::fs::write(super::fixture(1, "kafka", "topics.txt"), text).unwrap();
}
