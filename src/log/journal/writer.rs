//! The journal's one writer thread: group commit, and trimming between commits.
//!
//! Guarantee (G1): an append is answered after its bytes are durable. Appends that wait while the
//! disk is busy become one round: a frame for each of their partitions, whose files are synced at
//! the same time. One whose sync fails fails its own appends only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::appender::{Appender, Written};
use super::frame::HEAD;
use super::syncers::Syncers;
use super::{JournalDeps, Shared};
use crate::log::{LogError, Share};
use crate::time::Millis;

/// Bytes that one round collects: enough that a slow disk's fsyncs are few, and not too many, since
/// a frame is read as a whole, and everybody in a round waits for all of its writes.
const GROUP: u64 = 4 << 20;
/// Bytes of the memory for pieces of frames that are kept between rounds.
const KEPT: usize = 1 << 20;

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

/// A frame of a round and the appends that it holds, with their numbers of records.
#[derive(Debug)]
struct InFlight {
    partition: usize,
    appends: Vec<(Append, u64)>,
    written: Written,
}

/// What runs on the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) deps: JournalDeps,
    /// By partition.
    pub(super) appenders: Vec<Appender>,
    pub(super) keep: Duration,
    pub(super) syncers: Syncers,
    /// Where pieces of frames are put together.
    pub(super) piece: Vec<u8>,
    /// The shortest time between the starts of two rounds.
    pub(super) gather: Duration,
}

impl Writer {
    /// Serves jobs until the journal is dropped and its queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        let mut next_round = Instant::now();
        while let Ok(first) = queue.recv() {
            let (mut group, mut bytes, mut given) = (Vec::new(), 0_u64, None);
            let mut job = Some(first);
            while let Some(taken) = job.take() {
                match taken {
                    Job::Append(append) => {
                        bytes = bytes.saturating_add(append.bytes);
                        group.push(append);
                        if bytes < GROUP {
                            job = next(queue, next_round);
                        }
                    }
                    Job::GiveBack {
                        what,
                        floors,
                        reply,
                    } => given = Some((what, floors, reply)),
                }
            }
            if !group.is_empty() {
                next_round = Instant::now() + self.gather;
                self.commit(group);
            }
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
        let now = self.deps.clock.now();
        let mut in_flight = Vec::new();
        for (partition, appends) in self.admit(group).into_iter().enumerate() {
            if !appends.is_empty() {
                in_flight.extend(self.write(partition, appends, now).map(Some));
            }
        }
        self.piece.clear();
        self.piece.shrink_to(KEPT);
        let file = |it: &Option<InFlight>| {
            let partition = it.as_ref().map_or(usize::MAX, |it| it.partition);
            self.appenders.get(partition).map(Appender::file)
        };
        let files: Vec<_> = in_flight.iter().filter_map(file).collect();
        for (number, synced) in self.syncers.sync(&files) {
            if let Some(frame) = in_flight.get_mut(number).and_then(Option::take) {
                self.synced(frame, synced);
            }
        }
        for frame in in_flight.into_iter().flatten() {
            let panicked = io::Error::other("a thread that syncs ended in a panic");
            self.synced(frame, Err(panicked));
        }
    }

    fn synced(&mut self, frame: InFlight, answer_of_disk: io::Result<()>) {
        let InFlight {
            partition,
            appends,
            written,
        } = frame;
        let Some(appender) = self.appenders.get_mut(partition) else {
            return;
        };
        match appender.synced(written, answer_of_disk) {
            Ok(mut offset) => {
                for (append, count) in appends {
                    answer(append, Ok(offset));
                    offset = offset.saturating_add(count);
                }
            }
            Err(error) => fail(appends.into_iter().map(|(append, _)| append), &error),
        }
    }

    /// Answers what has no room, leaves out what no one waits for, and sorts the rest by partition.
    fn admit(&self, group: Vec<Append>) -> Vec<Vec<Append>> {
        let mut admitted: Vec<Vec<Append>> = Vec::new();
        admitted.resize_with(self.appenders.len(), Vec::new);
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
            if let Some(same) = admitted.get_mut(usize::from(append.partition)) {
                same.push(append);
            }
        }
        admitted
    }

    fn write(&mut self, partition: usize, appends: Vec<Append>, now: Millis) -> Option<InFlight> {
        let appender = self.appenders.get_mut(partition)?;
        let mut records = Vec::new();
        let mut counted = Vec::with_capacity(appends.len());
        for mut append in appends {
            let count = u64::try_from(append.records.len()).unwrap_or(u64::MAX);
            if records.is_empty() {
                records = std::mem::take(&mut append.records);
            } else {
                records.append(&mut append.records);
            }
            counted.push((append, count));
        }
        match appender.write(&mut self.piece, records, now) {
            Ok(written) => Some(InFlight {
                partition,
                appends: counted,
                written,
            }),
            Err(error) => {
                fail(counted.into_iter().map(|(append, _)| append), &error);
                None
            }
        }
    }
}

/// What is in the queue, or comes to it in time.
fn next(queue: &Receiver<Job>, until: Instant) -> Option<Job> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return queue.try_recv().ok();
    }
    queue.recv_timeout(left).ok()
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
