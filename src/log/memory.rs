//! A log in memory: the reference that tests and simulations run the engine on.
//!
//! Guarantee: as every [`Log`], but only as durable as the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

use super::{
    Log, LogAppender, LogError, LogIdentity, LogRecord, OffsetRange, ReadLimit, Retention, Share,
};

#[derive(Debug, Default, Clone)]
struct Partition {
    start: u64,
    records: Vec<Bytes>,
}

impl Partition {
    fn end(&self) -> u64 {
        self.start
            .saturating_add(u64::try_from(self.records.len()).unwrap_or(u64::MAX))
    }
}

/// A log in memory.
#[derive(Debug)]
pub struct MemoryLog {
    identity: LogIdentity,
    partitions: Vec<Mutex<Partition>>,
    grown: Notify,
}

impl MemoryLog {
    /// An empty log with so many partitions.
    pub fn new(partitions: u16) -> Self {
        Self {
            identity: LogIdentity {
                id: "memory".to_owned(),
                partitions,
            },
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
            grown: Notify::new(),
        }
    }

    fn partition(&self, partition: u16) -> Result<MutexGuard<'_, Partition>, LogError> {
        let partition = self
            .partitions
            .get(usize::from(partition))
            .ok_or_else(|| LogError::Refused(format!("the log has no partition {partition}")))?;
        Ok(partition.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl LogAppender for MemoryLog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn append_within(
        &self,
        _: Share,
        partition: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let first = {
            let mut partition = self.partition(partition)?;
            let first = partition.end();
            partition.records.extend(records);
            first
        };
        self.grown.notify_waiters();
        Ok(first)
    }

    fn largest_record(&self) -> usize {
        usize::MAX
    }

    fn admits(&self, _: Share) -> Result<(), LogError> {
        Ok(())
    }
}

#[async_trait]
impl Retention for MemoryLog {
    async fn trim(&self, floors: &[u64]) -> Result<(), LogError> {
        for (partition, floor) in (0_u16..).zip(floors) {
            let mut held = self.partition(partition)?;
            let drop = floor.saturating_sub(held.start);
            let drop = usize::try_from(drop)
                .unwrap_or(usize::MAX)
                .min(held.records.len());
            held.records.drain(..drop);
            held.start = held
                .start
                .saturating_add(u64::try_from(drop).unwrap_or_default());
        }
        Ok(())
    }

    async fn evict(&self, _: &[u64]) -> Result<(), LogError> {
        Ok(())
    }

    fn usage(&self) -> (u64, u64) {
        (0, u64::MAX)
    }
}

#[async_trait]
impl Log for MemoryLog {
    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, LogError> {
        let held = self.partition(partition)?;
        let (start, end) = (held.start, held.end());
        if from < start || from > end {
            return Err(LogError::OutOfRange {
                partition,
                asked: from,
                start,
                end,
            });
        }
        let skip = usize::try_from(from - start).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let records = held
            .records
            .iter()
            .skip(skip)
            .zip(from..)
            .take(limit.records);
        Ok(records
            .take_while(|(record, _)| {
                let fits = bytes == 0 || bytes + record.len() <= limit.bytes;
                bytes += record.len().max(1);
                fits
            })
            .map(|(record, offset)| LogRecord {
                offset,
                bytes: record.clone(),
            })
            .collect())
    }

    async fn wait(&self, partition: u16, from: u64) {
        loop {
            let grown = self.grown.notified();
            if self.range(partition).end > from {
                return;
            }
            grown.await;
        }
    }

    fn range(&self, partition: u16) -> OffsetRange {
        self.partition(partition)
            .map_or(OffsetRange { start: 0, end: 0 }, |held| OffsetRange {
                start: held.start,
                end: held.end(),
            })
    }
}
