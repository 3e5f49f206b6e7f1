//! A topic in memory: what tests and simulations run several instances on.
//!
//! Guarantee: as every [`LetterTopic`], but only as durable as the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{LetterTopic, TopicError, TopicPage, TopicRecord};
use crate::log::{LogIdentity, OffsetRange, partition_of_key};

/// Records of one read of a partition.
const PAGE: usize = 100;

/// A topic in memory.
#[derive(Debug)]
pub struct MemoryTopic {
    state: Mutex<State>,
    grown: Notify,
}

#[derive(Debug)]
struct State {
    identity: LogIdentity,
    partitions: Vec<Partition>,
    away: bool,
}

/// Records with their offsets; compaction leaves gaps.
#[derive(Debug, Default)]
struct Partition {
    records: Vec<(u64, TopicRecord)>,
    start: u64,
    end: u64,
}

impl MemoryTopic {
    /// An empty topic with so many partitions.
    pub fn new(partitions: u16) -> Self {
        let state = State {
            identity: LogIdentity {
                id: "memory/dead-letters".to_owned(),
                partitions,
            },
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            away: false,
        };
        Self {
            state: Mutex::new(state),
            grown: Notify::new(),
        }
    }

    /// Whether no one answers for it.
    pub fn away(&self, away: bool) {
        self.state().away = away;
        self.grown.notify_waiters();
    }

    /// Keeps the newest record of each key, and no tombstone.
    pub fn compact(&self) {
        for Partition { records, .. } in &mut self.state().partitions {
            let newest: std::collections::HashMap<_, _> = records
                .iter()
                .map(|(offset, record)| (record.key.clone(), *offset))
                .collect();
            records.retain(|(offset, record)| {
                record.value.is_some() && newest.get(&record.key) == Some(offset)
            });
        }
    }

    /// Deletes it and makes it again, empty, with so many partitions.
    pub fn make_again(&self, partitions: u16) {
        let mut state = self.state();
        state.identity.partitions = partitions;
        state.partitions = (0..partitions).map(|_| Partition::default()).collect();
        drop(state);
        self.grown.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pages(&self, from: &[u64]) -> Result<Vec<TopicPage>, TopicError> {
        let state = self.state();
        state.answers()?;
        let mut pages = Vec::new();
        for ((number, partition), from) in (0..).zip(&state.partitions).zip(from) {
            if *from < partition.start || *from > partition.end {
                let why = format!("position {from} is not in partition {number}");
                return Err(TopicError::OutOfRange(why));
            }
            let ahead = partition.records.iter().filter(|(at, _)| at >= from);
            let page: Vec<_> = ahead.take(PAGE + 1).collect();
            let next = page.get(PAGE).map_or(partition.end, |(at, _)| *at);
            if next > *from {
                let records = page.into_iter().take(PAGE);
                pages.push(TopicPage {
                    partition: number,
                    records: records.map(|(_, record)| record.clone()).collect(),
                    next,
                });
            }
        }
        Ok(pages)
    }
}

impl State {
    fn answers(&self) -> Result<(), TopicError> {
        if self.away {
            return Err(TopicError::Retry("no broker answers".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl LetterTopic for MemoryTopic {
    async fn ranges(&self) -> Result<(LogIdentity, Vec<OffsetRange>), TopicError> {
        let state = self.state();
        state.answers()?;
        let range = |of: &Partition| OffsetRange {
            start: of.start,
            end: of.end,
        };
        let ranges = state.partitions.iter().map(range).collect();
        Ok((state.identity.clone(), ranges))
    }

    async fn put(&self, records: Vec<TopicRecord>) -> Result<Vec<(u16, u64)>, TopicError> {
        let mut put = Vec::with_capacity(records.len());
        {
            let mut state = self.state();
            state.answers()?;
            let partitions = state.identity.partitions;
            for record in records {
                let number = partition_of_key(&record.key, partitions);
                if let Some(partition) = state.partitions.get_mut(usize::from(number)) {
                    put.push((number, partition.end));
                    partition.records.push((partition.end, record));
                    partition.end += 1;
                }
            }
        }
        self.grown.notify_waiters();
        Ok(put)
    }

    async fn read(&self, from: &[u64]) -> Result<Vec<TopicPage>, TopicError> {
        let grown = self.grown.notified();
        let pages = self.pages(from)?;
        if !pages.is_empty() {
            return Ok(pages);
        }
        // As a broker's: nothing came for a while.
        let second = std::time::Duration::from_secs(1);
        tokio::time::timeout(second, grown).await.ok();
        self.pages(from)
    }
}
