//! Logs: a disk's, or a topic's that several instances append to. They keep what was flushed when a
//! process is gone.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use goldwire::log::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, OffsetRange, ReadLimit, Retention, Share,
};
use rand::RngExt as _;
use tokio::sync::Notify;

use super::fault::Fault;
use super::host::Host;
use super::world::{Dropped, World};

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The event log.
    Events,
    /// The inbox of an instance.
    Inbox(usize),
}

#[derive(Debug, Default)]
struct Partition {
    start: u64,
    next: u64,
    records: VecDeque<(u64, Bytes)>,
}

/// What is durable.
#[derive(Debug)]
pub(crate) struct Records {
    world: Arc<World>,
    identity: LogIdentity,
    partitions: Mutex<Vec<Partition>>,
    grown: Notify,
    place: Place,
}

impl Records {
    pub(crate) fn new(world: &Arc<World>, partitions: u16, place: Place) -> Arc<Self> {
        let id = match place {
            Place::Events => "events".to_owned(),
            Place::Inbox(0) => "inbox".to_owned(),
            Place::Inbox(slot) => format!("inbox{slot}"),
        };
        Arc::new(Self {
            world: Arc::clone(world),
            identity: LogIdentity { id, partitions },
            partitions: Mutex::new((0..partitions).map(|_| Partition::default()).collect()),
            grown: Notify::new(),
            place,
        })
    }

    pub(crate) fn store(&self, partition: u16, records: &[Bytes]) -> u64 {
        // A topic's offsets have gaps.
        let shared = self.place == Place::Events && self.world.plan.cluster.is_some();
        let gap = |world: &World| {
            let mut state = world.lock();
            let gap = state.rng.random_bool(0.1);
            u64::from(gap) * state.rng.random_range(1..4)
        };
        let mut first = None;
        for record in records {
            let offset = {
                let gap = if shared { gap(&self.world) } else { 0 };
                let mut partitions = self.partitions.lock().unwrap();
                let held = &mut partitions[usize::from(partition)];
                let offset = held.next + gap;
                held.next = offset + 1;
                held.records.push_back((offset, record.clone()));
                offset
            };
            first.get_or_insert(offset);
            match self.place {
                Place::Inbox(slot) => self.world.received(slot, record),
                Place::Events => self.world.logged(partition, offset, record),
            }
        }
        self.grown.notify_waiters();
        first.unwrap_or_default()
    }
}

/// A log as one process has it. Appends take their time, fail, and may be stored all the same.
#[derive(Debug)]
pub(crate) struct SimLog {
    pub(crate) host: Arc<Host>,
    pub(crate) records: Arc<Records>,
}

/// An append between its write and its flush: when the process dies, no one knows.
struct Unflushed<'a> {
    log: &'a SimLog,
    partition: u16,
    records: Vec<Bytes>,
    over: bool,
}

impl Drop for Unflushed<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.log.host.drops(Dropped::Append {
                place: self.log.records.place,
                partition: self.partition,
                records: std::mem::take(&mut self.records),
            });
        }
    }
}

#[async_trait]
impl LogAppender for SimLog {
    fn identity(&self) -> &LogIdentity {
        &self.records.identity
    }

    async fn append_within(
        &self,
        share: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        self.host.pause(10).await;
        self.admits(share)?;
        if self.host.hits(Fault::DiskFull) {
            return Err(LogError::Io("no space left on device".to_owned()));
        }
        if self.host.hits(Fault::AppendLost) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        let mut unflushed = Unflushed {
            log: self,
            partition,
            records,
            over: false,
        };
        self.host.pause(10).await;
        unflushed.over = true;
        let first = self.records.store(partition, &unflushed.records);
        self.host.pause(10).await;
        if self.host.hits(Fault::AppendStored) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        Ok(first)
    }

    fn largest_record(&self) -> usize {
        usize::MAX
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        let (used, quota) = self.usage();
        if used >= share.of_quota(quota) {
            return Err(LogError::Full { used, quota });
        }
        Ok(())
    }
}

#[async_trait]
impl Retention for SimLog {
    async fn evict(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        let mut partitions = self.records.partitions.lock().unwrap();
        for (held, floor) in partitions.iter_mut().zip(floors) {
            let floor = (*floor).min(held.next);
            held.records.retain(|(offset, _)| *offset >= floor);
            held.start = held.start.max(floor);
        }
        Ok(())
    }

    fn usage(&self) -> (u64, u64) {
        let partitions = self.records.partitions.lock().unwrap();
        let used: usize = partitions
            .iter()
            .flat_map(|held| &held.records)
            .map(|(_, bytes)| bytes.len())
            .sum();
        let quota = match self.records.place {
            Place::Inbox(_) => 1 << 30,
            Place::Events => self.host.plan.quota,
        };
        (u64::try_from(used).unwrap(), quota)
    }
}

#[async_trait]
impl Log for SimLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        self.host.pause(3).await;
        if self.host.hits(Fault::LogRead) {
            return Err(LogError::Io("simulated".to_owned()));
        }
        let partitions = self.records.partitions.lock().unwrap();
        let held = &partitions[usize::from(partition)];
        let (start, end) = (held.start, held.next);
        if from < start || from > end {
            let asked = from;
            return Err(LogError::OutOfRange {
                partition,
                asked,
                start,
                end,
            });
        }
        let records = held.records.iter().filter(|(offset, _)| *offset >= from);
        Ok(records
            .take(limit.records)
            .map(|(offset, bytes)| LogRecord {
                offset: *offset,
                bytes: bytes.clone(),
            })
            .collect())
    }

    async fn wait(&self, partition: u16, from: u64) {
        loop {
            let grown = self.records.grown.notified();
            if self.range(partition).end > from {
                return;
            }
            grown.await;
        }
    }

    fn range(&self, partition: u16) -> OffsetRange {
        let partitions = self.records.partitions.lock().unwrap();
        let held = &partitions[usize::from(partition)];
        OffsetRange {
            start: held.start,
            end: held.next,
        }
    }
}
