//! Taking the log and the state of a data directory over to Kafka.
//!
//! Guarantee (G2, G4): every record that the journal holds is in the topic, in its partition and
//! order; each sink goes on at the record where it stood, and knows of every subject what it knew. The
//! directory counts as copied only after all of it was: until then it is a journal as before.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;

use super::StartError;
use super::alone::Alone;
use super::in_kafka::InKafka;
use super::parts::Files;
use crate::changelog::{Changelog, Part};
use crate::dead_letter::{DeadLetters, Filter, LARGEST_PAGE, LetterName, StoredLetters};
use crate::engine::checkpoint::Witness;
use crate::log::{Log, ReadLimit};
use crate::store::{Batch, Cursor, MemoryStore, Pair, Store, StoreError, keys, store_blocking};
use crate::time::SharedClock;
use crate::topology::Config;

/// Records of one append.
const READ: ReadLimit = ReadLimit {
    records: 2000,
    bytes: 4 << 20,
};
/// Keys of one transaction.
const PART: usize = 5000;

/// Where a journal's records stand in the topic: by partition, the first offset of both.
type Moved = BTreeMap<u16, (u64, u64)>;

/// A sink whose state is copied.
#[derive(Debug)]
pub struct CopiedSink {
    name: String,
    group: String,
    /// Where its state goes.
    changelog: Arc<dyn Changelog>,
    /// The epochs of this process's assignments, by partition.
    epochs: BTreeMap<u16, u64>,
    /// While no one else has the sink's partitions.
    _alone: Option<Alone>,
}

impl CopiedSink {
    /// A sink whose partitions are this process's for other reasons.
    pub fn new(
        name: &str,
        group: &str,
        changelog: Arc<dyn Changelog>,
        epochs: BTreeMap<u16, u64>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            group: group.to_owned(),
            changelog,
            epochs,
            _alone: None,
        }
    }
}

/// What is copied, and where to.
#[derive(Debug)]
pub struct Copy {
    /// The store of the data directory.
    pub store: Arc<dyn Store>,
    /// Its event log.
    pub journal: Arc<dyn Log>,
    /// The topic, which is empty.
    pub topic: Arc<dyn Log>,
    /// Every configured sink.
    pub sinks: Vec<CopiedSink>,
    /// Where dead letters go.
    pub letters: Arc<dyn DeadLetters>,
}

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Records of the log.
    pub records: u64,
    /// Keys of the sinks' states.
    pub keys: u64,
    /// Dead letters.
    pub letters: u64,
}

impl Copy {
    /// Of the data directory of `config`, to its `log.kafka`. Waits for the brokers, and until no
    /// other instance has a partition of a sink.
    ///
    /// # Errors
    /// If there is no journal, something has it open, or the topics are not as they have to be.
    pub async fn open(config: &Config, clock: SharedClock) -> Result<Self, StartError> {
        let dir = config.data_dir.display();
        let Some(kafka) = &config.log.kafka else {
            let why = "log.kafka: missing; say where the log goes";
            return Err(StartError::Refused(why.to_owned()));
        };
        if !Files::are_in(&config.data_dir) || !config.data_dir.join("log").is_dir() {
            return Err(StartError::Refused(format!(
                "data_dir {dir}: there is no journal; correct the path"
            )));
        }
        let files = Files::with_journal(config, kafka.partitions)?;
        let there = InKafka::open(config, kafka).await?;
        let mut sinks = Vec::new();
        for name in config.sinks.keys() {
            let alone = Alone::at(&there, config, name, &files.store, &clock).await?;
            sinks.push(CopiedSink {
                name: name.clone(),
                group: alone.group.clone(),
                changelog: Arc::clone(&alone.changelog),
                epochs: alone.epochs.clone(),
                _alone: Some(alone),
            });
        }
        // What is read of the topic goes to a store of its own: the directory's letters stay.
        let read: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Ok(Self {
            letters: there.letters(&read, &clock)?,
            store: files.store,
            journal: files.log,
            topic: there.log,
            sinks,
        })
    }

    /// Copies all of it. `progress` hears what was copied so far.
    ///
    /// # Errors
    /// If something cannot be read or written, with the remedy; the directory is as it was.
    pub async fn run(&self, progress: &(dyn Fn(Copied) + Sync)) -> Result<Copied, StartError> {
        let mut copied = Copied::default();
        let moved = self.records(&mut copied, progress).await?;
        for sink in &self.sinks {
            for (partition, bases) in &moved {
                self.state(sink, (*partition, *bases), &mut copied).await?;
                progress(copied);
            }
        }
        self.dead_letters(&mut copied, progress).await?;
        let identity = self.topic.identity();
        let mut batch = Batch::default();
        let here = format!("{}/{}", identity.id, identity.partitions);
        batch.put(keys::log_identity("events"), here.into_bytes());
        self.store.commit(batch)?;
        Ok(copied)
    }

    async fn records(
        &self,
        copied: &mut Copied,
        progress: &(dyn Fn(Copied) + Sync),
    ) -> Result<Moved, StartError> {
        let (from, to) = (self.journal.identity(), self.topic.identity());
        if from.partitions != to.partitions {
            return Err(StartError::Refused(format!(
                "log.kafka.partitions: the journal has {}, and the topic {}; a key's partition must \
                 not change",
                from.partitions, to.partitions
            )));
        }
        let mut moved = Moved::new();
        for partition in 0..from.partitions {
            let there = self.topic.range(partition);
            if there.start != there.end {
                return Err(not_empty(&to.id));
            }
            let range = self.journal.range(partition);
            moved.insert(partition, (range.start, there.end));
            let (mut next, mut expected) = (range.start, there.end);
            while next < range.end {
                let read = self.journal.read(partition, next, READ).await?;
                let Some(last) = read.last() else { break };
                next = last.offset + 1;
                let count = u64::try_from(read.len()).unwrap_or_default();
                let bytes = read.into_iter().map(|it| it.bytes).collect();
                let first = self.topic.append(partition, bytes).await?;
                if first != expected {
                    return Err(not_empty(&to.id));
                }
                expected += count;
                copied.records += count;
                progress(*copied);
            }
        }
        Ok(moved)
    }

    /// The state of a sink in one partition; its position last.
    async fn state(
        &self,
        sink: &CopiedSink,
        (partition, bases): (u16, (u64, u64)),
        copied: &mut Copied,
    ) -> Result<(), StartError> {
        let changelog = sink.changelog.as_ref();
        let there = changelog.committed(partition).await;
        if there
            .map_err(|error| StartError::Refused(error.to_string()))?
            .is_some()
        {
            return Err(StartError::Refused(format!(
                "group {} has positions already; delete it, or give the app another name",
                sink.group
            )));
        }
        let of = (
            partition,
            sink.epochs.get(&partition).copied().unwrap_or_default(),
        );
        let mut position = None;
        let cursor = keys::cursor(&sink.group, partition);
        for prefix in keys::of_task(&sink.name, &sink.group, partition) {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let (prefix, from) = (prefix.clone(), after.clone());
                let scan = move |store: &dyn Store| store.scan(&prefix, from.as_deref(), PART);
                let page = store_blocking(&self.store, scan).await?;
                let whole = page.len() == PART;
                after = page.last().map(|(key, _)| key.clone());
                let mut changes = Batch::default();
                for (key, value) in page {
                    if key == cursor {
                        let moved = moved_cursor(&value, bases)?;
                        position = Some(moved.position);
                        continue;
                    }
                    let (key, value) =
                        moved_pair((&sink.name, &sink.group), partition, bases, (key, value));
                    changes.put(key, value);
                }
                copied.keys += u64::try_from(changes.changes.len()).unwrap_or_default();
                if !changes.is_empty() {
                    transact(changelog, of, changes, None).await?;
                }
                if !whole {
                    break;
                }
            }
        }
        let Some(position) = position else {
            return Ok(());
        };
        let value = self.store.get(&cursor)?.unwrap_or_default();
        let mut changes = Batch::default();
        changes.put(cursor, moved_cursor(&value, bases)?.encode_to_vec());
        copied.keys += 1;
        transact(changelog, of, changes, Some(position)).await
    }

    async fn dead_letters(
        &self,
        copied: &mut Copied,
        progress: &(dyn Fn(Copied) + Sync),
    ) -> Result<(), StartError> {
        let here = StoredLetters::new(Arc::clone(&self.store));
        let (all, mut after) = (Filter::default(), None::<LetterName>);
        loop {
            let page = here.page(&all, after.as_ref(), LARGEST_PAGE).await?;
            for head in &page.letters {
                let Some(letter) = here.show(&LetterName::of(head)).await? else {
                    continue;
                };
                self.letters.put(&[letter]).await?;
                copied.letters += 1;
                progress(*copied);
            }
            let Some(next) = page.next else {
                return Ok(());
            };
            after = Some(next);
        }
    }
}

async fn transact(
    changelog: &dyn Changelog,
    (partition, epoch): (u16, u64),
    changes: Batch,
    position: Option<u64>,
) -> Result<(), StartError> {
    let part = Part {
        partition,
        epoch,
        changes,
        closed: Vec::new(),
        position,
    };
    let done = changelog.transact(std::slice::from_ref(&part)).await;
    done.map(drop)
        .map_err(|error| StartError::Refused(format!("{error}; {AGAIN}")))
}

const AGAIN: &str = "delete the topics of log.kafka, and run it again";

fn not_empty(topic: &str) -> StartError {
    StartError::Refused(format!("the topic {topic} holds records already; {AGAIN}"))
}

/// Where an offset of the journal is in the topic.
fn moved(offset: u64, (from, to): (u64, u64)) -> u64 {
    offset.saturating_sub(from).saturating_add(to)
}

fn moved_cursor(value: &[u8], bases: (u64, u64)) -> Result<Cursor, StoreError> {
    let cursor = Cursor::decode(value).map_err(|error| StoreError::Corrupt {
        key: "a cursor".to_owned(),
        why: error.to_string(),
    })?;
    Ok(Cursor {
        position: moved(cursor.position, bases),
        reached: moved(cursor.reached, bases),
        ..cursor
    })
}

/// A pair whose offsets, if it has any, are those of the topic.
fn moved_pair(
    (sink, group): (&str, &str),
    partition: u16,
    bases: (u64, u64),
    (key, value): Pair,
) -> Pair {
    let attempts = keys::attempts_of(sink, partition);
    if let Some(offset) = key.strip_prefix(attempts.as_slice())
        && let Ok(offset) = offset.try_into()
    {
        let offset = moved(u64::from_be_bytes(offset), bases);
        return (keys::attempts(sink, partition, offset), value);
    }
    if key == keys::gap(group, partition) {
        let text = String::from_utf8_lossy(&value).parse().unwrap_or_default();
        return (key, moved(text, bases).to_string().into_bytes());
    }
    if key == keys::witness(group, partition)
        && let Some(witness) = Witness::decode(&value)
    {
        // One that the journal has deleted is not in the topic.
        let offset = if witness.offset < bases.0 {
            return (key, Vec::new());
        } else {
            moved(witness.offset, bases)
        };
        return (key, Witness { offset, ..witness }.encode());
    }
    (key, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g2_offsets_are_those_of_the_topic_wherever_they_stand() {
        let bases = (100, 0);
        let cursor = Cursor {
            position: 140,
            reached: 10_140,
            ..Cursor::default()
        };
        let cursor = moved_cursor(&cursor.encode_to_vec(), bases).unwrap();
        assert_eq!((cursor.position, cursor.reached), (40, 10_040));
        let pair = |key, value| moved_pair(("crm", "app.crm"), 3, bases, (key, value));
        let note = pair(keys::attempts("crm", 3, 141), b"2".to_vec());
        assert_eq!(note, (keys::attempts("crm", 3, 41), b"2".to_vec()));
        let gap = pair(keys::gap("app.crm", 3), b"120".to_vec());
        assert_eq!(gap.1, b"20");
        let witness = |offset| Witness {
            offset,
            checksum: 7,
        };
        let key = keys::witness("app.crm", 3);
        let known = pair(key.clone(), witness(139).encode());
        assert_eq!(Witness::decode(&known.1), Some(witness(39)));
        assert_eq!(Witness::decode(&pair(key, witness(99).encode()).1), None);
        let other = (keys::dates_of("crm", 3), b"value".to_vec());
        assert_eq!(pair(other.0.clone(), other.1.clone()), other);
    }
}
