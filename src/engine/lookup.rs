//! What comes before a lane: records from the log, and what the store has of their subjects, read
//! for all of them at once. The task's loop does not wait for the disk.
//!
//! Guarantee (G4): a register that was read here gives way to a lane's and to what was acknowledged
//! since. What a commit makes durable meanwhile stays visible until the records have their lanes,
//! and so does the register of a lane that ends meanwhile.

use futures::future::BoxFuture;
use tracing::Instrument as _;

use super::checkpoint::{Known, Wanted};
use super::lane::{Lane, Pending};
use super::rows;
use super::task::{SinkTask, TaskError};
use crate::event::{Kind, Record, Subject};
use crate::log::{LogError, LogRecord};
use crate::telemetry::spans;

/// A record that was read.
#[derive(Debug)]
pub(super) struct Incoming {
    offset: u64,
    record: Record,
    /// Its subject; nothing if the record is not for this sink.
    subject: Option<Subject>,
}

/// What was read.
#[derive(Debug)]
pub(super) enum Loaded {
    /// Records, and what the store has of them.
    Records(Vec<Incoming>, Known),
    /// The group is marked as gapped; it goes on here.
    Gap(u64),
}

pub(super) type Loading = BoxFuture<'static, Result<Loaded, TaskError>>;

impl SinkTask {
    /// What is to be had from the store before what was read from the log can go on.
    pub(super) fn on_log_read(
        &mut self,
        read: Result<Vec<LogRecord>, LogError>,
    ) -> Result<Option<Loading>, TaskError> {
        match read {
            Ok(records) => {
                self.input.fill(records);
                self.load()
            }
            Err(LogError::OutOfRange { asked, start, .. })
                if self.input.detach && asked < start =>
            {
                Ok(Some(self.detach(asked, start)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands to their lanes what was loaded, and moves each lane once.
    pub(super) fn on_loaded(&mut self, loaded: Loaded) {
        match loaded {
            Loaded::Records(records, mut stored) => {
                let (sink, partition) = (self.context.deliverer.sink.name(), self.input.partition);
                let _batch = spans::batch(sink, partition, records.len()).entered();
                let mut touched: Vec<Subject> = Vec::with_capacity(records.len());
                for incoming in records {
                    touched.extend(self.dispatch(incoming, &mut stored));
                }
                for subject in touched {
                    self.step(&subject);
                }
            }
            Loaded::Gap(start) => {
                self.input.gap = Some(start);
                self.in_flight.skip_to(start);
            }
        }
        self.commits.release();
    }

    /// The log went on without this sink: its group is marked before it goes on (G6).
    fn detach(&self, asked: u64, start: u64) -> Loading {
        tracing::error!(
            task = ?self,
            "records {asked} to {start} left the log before this sink had them (on_full: detach); \
             it goes on after the gap and needs a resync"
        );
        let checkpoint = self.commits.checkpoint();
        Box::pin(async move {
            checkpoint.mark_gap(start).await?;
            Ok(Loaded::Gap(start))
        })
    }

    /// Takes of what was read as much as there is room for.
    pub(super) fn load(&mut self) -> Result<Option<Loading>, TaskError> {
        let Some(limit) = self.in_flight.room() else {
            return Ok(None);
        };
        let mut records = Vec::new();
        for read in self.input.take(limit) {
            records.push(self.incoming(read)?);
        }
        let wanted = records
            .iter()
            .filter_map(|it| Some((it, it.subject.as_ref()?)));
        let (mut subjects, mut changes) = (Vec::new(), Vec::new());
        if self.profile.rules.keeps_ids {
            changes.extend(wanted.filter_map(|(it, _)| rows::change_id(&it.record)));
        } else {
            let unknown = wanted.map(|(_, subject)| subject).filter(|subject| {
                !self.lanes.by_subject.contains_key(*subject)
                    && self.commits.register(subject).is_none()
            });
            subjects.extend(unknown.cloned());
        }
        subjects.sort_unstable();
        subjects.dedup();
        changes.sort_unstable();
        changes.dedup();
        self.commits.hold_visible();
        let checkpoint = self.commits.checkpoint();
        let sink = self.context.deliverer.sink.name();
        let keys = subjects.len().saturating_add(changes.len());
        let span = spans::lookup(sink, self.input.partition, keys);
        let lookup = async move {
            let wanted = Wanted {
                subjects,
                changes,
                ..Wanted::default()
            };
            Ok(Loaded::Records(records, checkpoint.lookup(wanted).await?))
        };
        Ok(Some(Box::pin(lookup.instrument(span))))
    }

    fn incoming(&self, read: LogRecord) -> Result<Incoming, TaskError> {
        let LogRecord { offset, bytes } = read;
        let record = Record::decode(bytes).map_err(|error| TaskError::Record {
            partition: self.input.partition,
            offset,
            why: error.to_string(),
        })?;
        let subject = self.accepted(&record);
        Ok(Incoming {
            offset,
            record,
            subject,
        })
    }

    /// The record's subject, if the record is for this sink at all. Erasures pass every filter; so
    /// does what is addressed to it: a redriven record was accepted when it came, and its letter is
    /// closed.
    fn accepted(&self, record: &Record) -> Option<Subject> {
        let sink = &self.context.deliverer.sink;
        if !record.sink().is_empty() {
            return (record.sink() == sink.name()).then(|| record.subject_key());
        }
        let kind = record.kind();
        if kind == Kind::Other && !record.asks() {
            return None;
        }
        let subject = record.subject_key();
        let always = record.asks() || kind == Kind::Erased;
        (always || sink.accepts(&subject, record.object_type(), kind)).then_some(subject)
    }

    /// Puts a record on its lane; tells which, if the lane has not been told yet.
    fn dispatch(&mut self, incoming: Incoming, stored: &mut Known) -> Option<Subject> {
        let Incoming {
            offset,
            record,
            subject,
        } = incoming;
        let Some(subject) = subject else {
            self.in_flight.filtered(offset);
            return None;
        };
        let row = self.row(&record, &stored.changes);
        let pending = Pending {
            row,
            suspect: offset < self.input.resume.suspect_below,
            blame: self.input.resume.blame(offset, &record),
            ..Pending::of(offset, record)
        };
        self.in_flight.start(&pending);
        let commits = &self.commits;
        let lane = self
            .lanes
            .by_subject
            .entry(subject.clone())
            .or_insert_with(|| Lane {
                register: commits
                    .register(&subject)
                    .cloned()
                    .or_else(|| stored.registers.remove(&subject)),
                ..Lane::default()
            });
        let first = lane.queue.is_empty();
        if first {
            lane.queue.reserve_exact(1);
        }
        lane.queue.push_back(pending);
        first.then_some(subject)
    }
}
