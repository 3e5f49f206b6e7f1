//! What comes before a lane: records from the log, and what the ledger has of their subjects, read
//! for all of them at once. The task's loop does not wait for the disk.
//!
//! Guarantee (G4): a register that was read here gives way to a lane's and to the overlay's. What a
//! commit takes out of the overlay meanwhile is held there until the records have their lanes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use futures::future::BoxFuture;
use prost::Message as _;

use super::commit::store_patiently;
use super::lane::{Lane, Pending};
use super::progress::note;
use super::rows;
use super::sink_task::{SinkTask, TaskError};
use crate::event::{ChangeId, EventRecord, Kind, Subject};
use crate::ledger::ids::Noted;
use crate::ledger::{Batch, Register, Store, StoreError, keys};
use crate::log::{LogError, LogRecord};

/// A record that was read.
pub(super) struct Incoming {
    offset: u64,
    size: usize,
    record: EventRecord,
    /// Whether it is for this sink at all.
    wanted: bool,
    /// Whether it is what stops the process.
    kills: bool,
}

/// What was read.
pub(super) enum Loaded {
    /// Records, and what the ledger has of them.
    Records(Vec<Incoming>, Stored),
    /// The group is marked as gapped; it goes on here.
    Gap(u64),
}

/// What the ledger had when it was read.
#[derive(Default)]
pub(super) struct Stored {
    registers: HashMap<Subject, Register>,
    /// Only for a sink that keeps ids, which needs no registers.
    ids: HashMap<ChangeId, Noted>,
}

pub(super) type Loading = BoxFuture<'static, Result<Loaded, TaskError>>;

impl SinkTask {
    /// What is to be had from the store before what was read from the log can go on.
    pub(super) fn on_read(
        &mut self,
        read: Result<Vec<LogRecord>, LogError>,
    ) -> Result<Loading, TaskError> {
        match read {
            Ok(records) => {
                self.ahead.fill(records);
                self.load()
            }
            Err(LogError::OutOfRange { asked, start, .. })
                if self.settings.detach && asked < start =>
            {
                Ok(self.detach(asked, start))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands to their lanes what was loaded.
    pub(super) fn on_loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Records(records, stored) => {
                for incoming in records {
                    self.dispatch(incoming, &stored);
                }
            }
            Loaded::Gap(start) => {
                self.gap = Some(start);
                self.tracker.skip_to(start);
            }
        }
        self.overlay.release();
    }

    /// The log went on without this sink: its group is marked before it goes on (G6).
    fn detach(&self, asked: u64, start: u64) -> Loading {
        tracing::error!(
            task = ?self,
            "records {asked} to {start} left the log before this sink had them (on_full: detach); \
             it goes on after the gap and needs a resync"
        );
        let mut batch = Batch::default();
        batch.put(
            keys::gap(&self.group, self.partition),
            start.to_string().into_bytes(),
        );
        let store = Arc::clone(&self.context.store);
        Box::pin(async move {
            store_patiently(&store, move |store| store.commit(batch.clone())).await?;
            Ok(Loaded::Gap(start))
        })
    }

    /// Takes of what was read as much as there is room for.
    pub(super) fn load(&mut self) -> Result<Loading, TaskError> {
        let records = self.next().into_iter().map(|record| self.incoming(record));
        let mut records = records.collect::<Result<Vec<_>, _>>()?;
        let wanted = records.iter().filter(|incoming| incoming.wanted);
        let wanted = wanted.map(|incoming| &incoming.record);
        let (mut subjects, mut changes) = (BTreeSet::new(), BTreeSet::new());
        if self.keeps_ids() {
            changes.extend(wanted.filter_map(rows::change_id));
        } else {
            subjects.extend(wanted.map(EventRecord::subject_key));
        }
        let (careful, mut last) = (self.is_careful(), self.noted);
        if careful && let Some(newest) = records.iter().rev().find(|incoming| incoming.wanted) {
            self.noted = Some(newest.offset);
        }
        self.overlay.hold();
        let (store, partition) = (Arc::clone(&self.context.store), self.partition);
        let sink = self.context.courier.sink.name().to_owned();
        Ok(Box::pin(async move {
            for incoming in records.iter_mut().filter(|it| careful && it.wanted) {
                // Noted before it is tried by itself.
                let key = |offset| keys::attempts(&sink, partition, offset);
                incoming.kills = note(&store, key, incoming.offset, last).await?;
                last = Some(incoming.offset);
            }
            let stored = move |store: &dyn Store| {
                Ok(Stored {
                    registers: registers(store, &sink, partition, &subjects)?,
                    ids: rows::noted(store, &sink, partition, &changes)?,
                })
            };
            let stored = store_patiently(&store, stored).await?;
            Ok(Loaded::Records(records, stored))
        }))
    }

    fn incoming(&self, read: LogRecord) -> Result<Incoming, TaskError> {
        let LogRecord { offset, bytes } = read;
        let size = bytes.len();
        let record = EventRecord::decode(bytes).map_err(|error| TaskError::Record {
            partition: self.partition,
            offset,
            why: error.to_string(),
        })?;
        Ok(Incoming {
            offset,
            size,
            wanted: self.wants(&record),
            record,
            kills: false,
        })
    }

    /// Whether the record is for this sink at all. Erasures pass every filter; so does what is
    /// addressed to it: a redriven record was wanted when it came, and its letter is closed.
    fn wants(&self, record: &EventRecord) -> bool {
        let sink = &self.context.courier.sink;
        if !record.sink.is_empty() {
            return record.sink == sink.name();
        }
        let kind = record.kind();
        record.ask
            || kind == Kind::Erased
            || (kind != Kind::Other && sink.wants(&record.subject_key(), &record.object_type, kind))
    }

    fn dispatch(&mut self, incoming: Incoming, stored: &Stored) {
        let Incoming {
            offset,
            size,
            record,
            wanted,
            kills,
        } = incoming;
        self.tracker.start(offset);
        if !wanted {
            self.complete(offset, "filtered");
            return;
        }
        self.sizes.insert(offset, size);
        self.bytes += size;
        let subject = record.subject_key();
        let row = self.row(&record, &stored.ids);
        let pending = Pending {
            row,
            suspect: offset < self.beginning.suspect_below,
            kills,
            ..Pending::new(offset, record)
        };
        let (lanes, overlay) = (&mut self.lanes, &self.overlay);
        let lane = lanes.entry(subject.clone()).or_insert_with(|| Lane {
            register: overlay
                .get(&subject)
                .or_else(|| stored.registers.get(&subject))
                .cloned(),
            ..Lane::default()
        });
        lane.queue.push_back(pending);
        self.step(&subject);
    }
}

/// What the ledger has of `subjects`. Blocks on the disk.
fn registers(
    store: &dyn Store,
    sink: &str,
    partition: u16,
    subjects: &BTreeSet<Subject>,
) -> Result<HashMap<Subject, Register>, StoreError> {
    let mut registers = HashMap::new();
    for subject in subjects {
        let Some(value) = store.get(&keys::register(sink, partition, subject))? else {
            continue;
        };
        let register = Register::decode(value.as_slice()).map_err(|error| StoreError::Corrupt {
            key: format!("a register of {sink} in partition {partition}"),
            why: error.to_string(),
        })?;
        registers.insert(subject.clone(), register);
    }
    Ok(registers)
}
