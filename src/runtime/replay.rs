//! Delivering what the log holds once more, to a target that was set back to an earlier state.
//!
//! Guarantee (G4): nothing older overwrites what is newer. A rewind makes the sink forget what it has
//! of the subjects it is about, and sets its position back, so that all of their records since then
//! pass the fence again in their order. Without one, each subject is asked once more, and its newest
//! state asserted. Nothing is touched that the plan does not name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::StartError;
use super::alone::Alone;
use super::parts::Files;
use super::tell::LogTell;
use crate::engine;
use crate::engine::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Opened, StoreCheckpoint, TakeoverError,
};
use crate::event::{ChangeId, Record, Subject, short_name};
use crate::log::{Log, LogAppender, LogError, ReadLimit};
use crate::sink::Tell as _;
use crate::store::{Cursor, StoreError, keys};
use crate::time::{Millis, SharedClock};
use crate::topology::Config;

/// Records read in one go.
const READ: ReadLimit = ReadLimit {
    records: 5000,
    bytes: 8 << 20,
};
/// Subjects forgotten in one go.
const PART: usize = 5000;

/// What is to be delivered once more.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// To this sink.
    pub sink: String,
    /// What was received at or after this time, ms.
    pub from: Millis,
    /// Only this entity or relation, by its URI.
    pub subject: Option<String>,
    /// Only entities or relations of this type.
    pub object_type: Option<String>,
}

/// What there is of it in one partition.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Where the sink stands.
    pub position: u64,
    /// The first record that is meant.
    pub first: Option<u64>,
    /// Records that are meant.
    pub records: u64,
    /// The subjects that they are about, each with the changes that are told.
    pub subjects: BTreeMap<Subject, BTreeSet<ChangeId>>,
    /// When the oldest record that the log holds was received, if older ones were deleted.
    pub oldest: Option<Millis>,
}

/// What a replay works on.
#[derive(Debug)]
pub struct Replay {
    log: Arc<dyn Log>,
    /// The sink's durable knowledge, by partition.
    checkpoints: Vec<Arc<dyn Checkpoint>>,
    clock: SharedClock,
    /// While no one else has the sink's partitions.
    _alone: Option<Alone>,
}

impl Replay {
    /// Of `sink`, with nothing else running.
    ///
    /// # Errors
    /// If something has it open, or it cannot be read.
    pub async fn open(config: &Config, sink: &str, clock: SharedClock) -> Result<Self, StartError> {
        let (files, there) = Files::reach(config).await?;
        if let Some(there) = there {
            let alone = Alone::at(&there, config, sink, &files.store, &clock).await?;
            return Ok(Self {
                checkpoints: alone.checkpoints.clone(),
                log: files.log,
                clock,
                _alone: Some(alone),
            });
        }
        let group = format!("{}.{sink}", config.app);
        let kept = |partition| -> Arc<dyn Checkpoint> {
            let of_store = StoreCheckpoint {
                store: Arc::clone(&files.store),
                sink: sink.to_owned(),
                group: group.clone(),
                partition,
            };
            Arc::new(of_store)
        };
        let partitions = 0..files.log.identity().partitions;
        Ok(Self {
            checkpoints: partitions.map(kept).collect(),
            log: files.log,
            clock,
            _alone: None,
        })
    }

    /// Over a log and what is kept of the sink, by partition.
    pub fn over(
        log: Arc<dyn Log>,
        checkpoints: Vec<Arc<dyn Checkpoint>>,
        clock: SharedClock,
    ) -> Self {
        Self {
            log,
            checkpoints,
            clock,
            _alone: None,
        }
    }

    /// Looks what there is, and changes nothing. `progress` is told how many records were read.
    ///
    /// # Errors
    /// If the log or what is kept of the sink cannot be read.
    pub async fn look(
        &self,
        wanted: &Wanted,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<Vec<Found>, StartError> {
        let mut all = Vec::new();
        let mut read = 0;
        for (partition, kept) in (0_u16..).zip(&self.checkpoints) {
            kept.take_over().await.map_err(not_taken_over)?;
            let opened = kept.open()?;
            let range = self.log.range(partition);
            let position = opened.cursor.map_or(range.start, |cursor| cursor.position);
            let mut found = Found {
                position,
                ..Found::default()
            };
            let mut next = range.start;
            while next < position.min(range.end) {
                let batch = self.log.read(partition, next, READ).await?;
                let Some(last) = batch.last() else { break };
                next = last.offset + 1;
                for one in batch.into_iter().filter(|one| one.offset < position) {
                    read += 1;
                    found.see(wanted, partition, one.offset, range.start, one.bytes)?;
                }
                progress(read);
            }
            all.push(found);
        }
        Ok(all)
    }

    /// Has each subject asked once more: a record for each, addressed to the sink.
    ///
    /// # Errors
    /// If the log takes no more; what was appended stays, and asking twice does no harm.
    pub async fn ask(
        &self,
        wanted: &Wanted,
        found: &[Found],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), StartError> {
        let log: Arc<dyn LogAppender> = Arc::<dyn Log>::clone(&self.log);
        let tell = LogTell {
            log,
            sink: wanted.sink.clone(),
            clock: Arc::clone(&self.clock),
        };
        let subjects = found.iter().flat_map(|of| of.subjects.keys());
        for (subject, done) in subjects.zip(1..) {
            let told = tell.tell(subject, 0, &[]).await;
            told.map_err(|error| StartError::Refused(format!("the log takes no more: {error}")))?;
            progress(done);
        }
        Ok(())
    }

    /// Makes the sink forget what it has of the subjects, and sets its position back before their
    /// first records. A rewind that was cut off is begun again.
    ///
    /// # Errors
    /// If what is kept of the sink cannot be changed, or a commit of it was cut off.
    pub async fn rewind(
        &self,
        wanted: &Wanted,
        found: &[Found],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), StartError> {
        self.none_prepared(&wanted.sink).await?;
        let mut done = 0_usize;
        for ((partition, kept), found) in (0_u16..).zip(&self.checkpoints).zip(found) {
            let Some(first) = found.first else { continue };
            let subjects: Vec<_> = found.subjects.iter().collect();
            for part in subjects.chunks(PART) {
                forget(kept.as_ref(), (&wanted.sink, partition), part).await?;
                done += part.len();
                progress(u64::try_from(done).unwrap_or(u64::MAX));
            }
            let Opened { cursor, .. } = kept.open()?;
            let cursor = Cursor {
                position: first,
                clean: true,
                ..cursor.unwrap_or_default()
            };
            let back = CommitBatch {
                cursor,
                ..CommitBatch::default()
            };
            kept.commit(back).await.map_err(|error| match error {
                CommitError::Retry(error) => StartError::Store(error),
                fenced @ CommitError::Fenced(_) => StartError::Refused(fenced.to_string()),
            })?;
        }
        Ok(())
    }
}

impl Replay {
    /// A commit whose piece was on its way when the process ended brings back what a rewind forgets.
    async fn none_prepared(&self, sink: &str) -> Result<(), StartError> {
        for (partition, kept) in self.checkpoints.iter().enumerate() {
            let prepares = Arc::clone(kept).prepares();
            let Some(prepares) = prepares else { continue };
            if let Some(prepared) = prepares.prepared().await? {
                return Err(StartError::Refused(format!(
                    "sink {sink}: {} of partition {partition} was on its way when goldwire ended, and \
                     it is not known whether it landed; start goldwire, which finds out, stop it, and \
                     rewind then",
                    prepared.piece.seal.0
                )));
            }
        }
        Ok(())
    }
}

/// Removes what the sink has of these subjects, and that it has these changes of them.
async fn forget(
    kept: &dyn Checkpoint,
    (sink, partition): (&str, u16),
    part: &[(&Subject, &BTreeSet<ChangeId>)],
) -> Result<(), StoreError> {
    let mut removed = Vec::new();
    let mut changes = Vec::new();
    for (subject, ids) in part {
        removed.push(keys::register(sink, partition, subject));
        changes.extend(ids.iter().copied());
    }
    changes.sort_unstable();
    let looked = engine::checkpoint::Wanted {
        changes,
        ..engine::checkpoint::Wanted::default()
    };
    for (id, noted) in kept.lookup(looked).await?.changes {
        removed.push(keys::id(sink, partition, &id));
        removed.push(keys::id_by_time(sink, partition, noted.time, &id));
    }
    kept.discard(removed).await
}

impl Found {
    fn see(
        &mut self,
        wanted: &Wanted,
        partition: u16,
        offset: u64,
        start: u64,
        bytes: bytes::Bytes,
    ) -> Result<(), LogError> {
        let record = Record::decode(bytes).map_err(|error| {
            LogError::Refused(format!(
                "partition {partition} holds at offset {offset} a record that this version cannot \
                 read: {error}"
            ))
        })?;
        let received = record.received_time();
        if offset == start && start > 0 {
            self.oldest = Some(received);
        }
        let addressed = record.sink();
        let meant = received >= wanted.from
            && (addressed.is_empty() || addressed == wanted.sink)
            && wanted
                .subject
                .as_ref()
                .is_none_or(|it| it == record.subject())
            && wanted
                .object_type
                .as_ref()
                .is_none_or(|it| short_name(it) == short_name(record.object_type()));
        if !meant {
            return Ok(());
        }
        self.first.get_or_insert(offset);
        self.records += 1;
        let subject = record.subject_key();
        let change = record
            .version()
            .zip(record.commit_time())
            .map(|(version, time)| ChangeId::of(&subject, version, time));
        self.subjects.entry(subject).or_default().extend(change);
        Ok(())
    }
}

fn not_taken_over(error: TakeoverError) -> StartError {
    match error {
        TakeoverError::Store(error) => StartError::Store(error),
        TakeoverError::Fenced(why) | TakeoverError::Halted(why) => StartError::Refused(why),
    }
}
