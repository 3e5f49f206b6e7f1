//! The journal's one writer thread: group commit, and trimming between commits.
//!
//! Guarantee (G1): an append is answered after its bytes are durable. Appends that wait while the
//! disk is busy become one frame and one fsync of their partition.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::appender::{Appender, Written};
use super::frame::HEAD;
use super::{Seams, Shared};
use crate::log::{LogError, Share};
use crate::time::Millis;

/// Bytes that one group commit collects: a frame is read as a whole, so not too many.
const GROUP: u64 = 1 << 20;

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    GiveBack {
        what: GiveBack,
        floors: Vec<u64>,
        reply: oneshot::Sender<Result<(), LogError>>,
    },
}

/// Which segments below the floors are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GiveBack {
    /// Those old enough: every reader has passed them.
    Passed,
    /// The oldest, as many as it takes.
    Oldest,
}

/// One caller's append.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) share: Share,
    pub(super) partition: u16,
    pub(super) records: Vec<Bytes>,
    /// Bytes on disk, save for the frame's head.
    pub(super) bytes: u64,
    /// Its share of the queue's memory, held until it is answered.
    pub(super) _room: OwnedSemaphorePermit,
    pub(super) reply: oneshot::Sender<Result<u64, LogError>>,
}

/// A frame and the appends that it holds, with their numbers of records.
type InFlight = (u16, Vec<(Append, u64)>, Written);

/// What runs on the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) seams: Seams,
    /// By partition.
    pub(super) appenders: Vec<Appender>,
    pub(super) keep: Duration,
}

impl Writer {
    /// Serves jobs until the journal is dropped and its queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            let (mut group, mut bytes, mut given) = (Vec::new(), 0_u64, None);
            let mut job = Some(first);
            while let Some(taken) = job.take() {
                match taken {
                    Job::Append(append) => {
                        bytes = bytes.saturating_add(append.bytes);
                        group.push(append);
                        if bytes < GROUP {
                            job = queue.try_recv().ok();
                        }
                    }
                    Job::GiveBack {
                        what,
                        floors,
                        reply,
                    } => given = Some((what, floors, reply)),
                }
            }
            self.commit(group);
            if let Some((what, floors, reply)) = given {
                let done = match what {
                    GiveBack::Passed => self.trim(&floors),
                    GiveBack::Oldest => self.evict(&floors),
                };
                // Who gave up waiting needs no answer.
                drop(reply.send(done));
            }
        }
    }

    fn commit(&mut self, group: Vec<Append>) {
        let now = self.seams.clock.now();
        let mut in_flight = Vec::new();
        for (partition, appends) in self.admit(group) {
            in_flight.extend(self.write(partition, appends, now));
        }
        for (partition, appends, written) in in_flight {
            let Some(appender) = self.appenders.get_mut(usize::from(partition)) else {
                continue;
            };
            match appender.sync(written) {
                Ok(mut offset) => {
                    for (append, count) in appends {
                        answer(append, Ok(offset));
                        offset = offset.saturating_add(count);
                    }
                }
                Err(error) => fail(appends.into_iter().map(|(append, _)| append), &error),
            }
        }
    }

    /// Answers what has no room, leaves out what nobody waits for, and sorts the rest.
    fn admit(&self, group: Vec<Append>) -> BTreeMap<u16, Vec<Append>> {
        let mut admitted: BTreeMap<u16, Vec<Append>> = BTreeMap::new();
        let mut used = self.shared.used.load(Ordering::Relaxed);
        let mut free = self.shared.free();
        let head = u64::try_from(HEAD).unwrap_or_default();
        for append in group {
            // The caller gave up and will try again, or not: nothing promised is left out.
            if append.reply.is_closed() {
                continue;
            }
            let bytes = append.bytes.saturating_add(head);
            let (used_after, free_after) = (used.saturating_add(bytes), free.saturating_sub(bytes));
            if let Err(full) = self.shared.admit(append.share, used_after, free_after) {
                answer(append, Err(full));
                continue;
            }
            (used, free) = (used_after, free_after);
            admitted.entry(append.partition).or_default().push(append);
        }
        admitted
    }

    fn write(&mut self, partition: u16, appends: Vec<Append>, now: Millis) -> Option<InFlight> {
        let appender = self.appenders.get_mut(usize::from(partition))?;
        let mut records = Vec::new();
        let mut counted = Vec::with_capacity(appends.len());
        for mut append in appends {
            let count = u64::try_from(append.records.len()).unwrap_or(u64::MAX);
            records.append(&mut append.records);
            counted.push((append, count));
        }
        match appender.write(records, now) {
            Ok(written) => Some((partition, counted, written)),
            Err(error) => {
                fail(counted.into_iter().map(|(append, _)| append), &error);
                None
            }
        }
    }
}

fn answer(append: Append, result: Result<u64, LogError>) {
    // Who gave up waiting needs no answer.
    drop(append.reply.send(result));
}

fn fail(appends: impl Iterator<Item = Append>, error: &LogError) {
    for append in appends {
        answer(append, Err(error.clone()));
    }
}
