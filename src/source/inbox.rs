//! The inbox as a source: webhook requests, and what was redriven to ingest.
//!
//! Guarantee (G1): its position is kept in the store, and moves only after what lies below it is
//! durable in the event log or in dead letters. The inbox is trimmed by the position whose commit
//! was acknowledged, never by what the store shows: a store may show what it has not flushed yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use prost::Message as _;

use super::{Batch, Committing, Reached, Room, Source, SourceError, SourceEvent};
use crate::event::{Received, SourceRecord};
use crate::log::{Log, LogError, LogRecord, ReadLimit};
use crate::store::store_blocking;
use crate::store::{self, Cursor, Store, StoreError, keys};

/// A read that the file system failed is repeated after this.
const AGAIN: Duration = Duration::from_secs(1);
const READ: ReadLimit = ReadLimit {
    records: 1000,
    bytes: 2 << 20,
};

type Reading = BoxFuture<'static, Result<Vec<LogRecord>, LogError>>;

/// The inbox log, read by its one reader.
pub struct InboxSource {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    group: String,
    next: u64,
    committed: Acknowledged,
    buffer: VecDeque<LogRecord>,
    /// Goes on in the next call if this one is dropped. A read of a disk that hangs cannot be taken
    /// back: each one begun again would hold a thread more.
    reading: Option<Reading>,
    announced: bool,
    halted: bool,
}

impl std::fmt::Debug for InboxSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboxSource")
            .field("group", &self.group)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl InboxSource {
    /// The inbox's name as a source.
    pub const NAME: &'static str = "inbox";

    /// A reader that goes on where `group`'s cursor says.
    ///
    /// # Errors
    /// If the store cannot be read, or the position is not in the log.
    pub fn new(log: Arc<dyn Log>, store: Arc<dyn Store>, group: &str) -> Result<Self, InboxError> {
        let range = log.range(0);
        let position = inbox_position(store.as_ref(), group)?.unwrap_or(range.start);
        if position < range.start || position > range.end {
            let (asked, start, end) = (position, range.start, range.end);
            return Err(LogError::OutOfRange {
                partition: 0,
                asked,
                start,
                end,
            }
            .into());
        }
        let group = group.to_owned();
        let buffer = VecDeque::new();
        Ok(Self {
            log,
            store,
            group,
            next: position,
            committed: Acknowledged(Arc::new(AtomicU64::new(position))),
            buffer,
            reading: None,
            announced: false,
            halted: false,
        })
    }
}

/// The inbox's position that is durable for sure: the store acknowledged its commit, or had it when
/// it was opened.
#[derive(Debug, Clone)]
pub struct Acknowledged(Arc<AtomicU64>);

impl Acknowledged {
    /// The next offset to read.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// The position of the inbox's reader, if it has one.
fn inbox_position(store: &dyn Store, group: &str) -> Result<Option<u64>, StoreError> {
    let Some(value) = store.get(&keys::cursor(group, 0))? else {
        return Ok(None);
    };
    let cursor = Cursor::decode(value.as_slice()).map_err(|error| StoreError::Corrupt {
        key: format!("cursor of {group}"),
        why: error.to_string(),
    })?;
    Ok(Some(cursor.position))
}

/// Why the inbox cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The log.
    #[error("{0}")]
    Log(#[from] LogError),
}

impl InboxSource {
    /// The position that is durable, as it moves.
    pub fn acknowledged(&self) -> Acknowledged {
        self.committed.clone()
    }

    fn read(&self) -> Reading {
        let (log, next) = (Arc::clone(&self.log), self.next);
        Box::pin(async move {
            loop {
                log.wait(0, next).await;
                match log.read(0, next, READ).await {
                    Err(error @ LogError::Io(_)) => {
                        tracing::error!("the inbox cannot be read: {error}; will be read again");
                        tokio::time::sleep(AGAIN).await;
                    }
                    read => return read,
                }
            }
        })
    }

    fn halt(&mut self, sentence: String) -> SourceEvent {
        self.halted = true;
        SourceEvent::Halted(sentence)
    }

    /// What is buffered, as far as there is room; halts at a record that cannot be read, after what
    /// comes before it.
    fn batch(&mut self, room: Room) -> SourceEvent {
        let mut batch = Batch::default();
        let mut bytes = 0_usize;
        while batch.records.len() < room.records {
            let Some(LogRecord { offset, bytes: raw }) = self.buffer.pop_front() else {
                break;
            };
            let full = bytes.saturating_add(raw.len()) > room.bytes;
            if full && !batch.records.is_empty() {
                self.buffer.push_front(LogRecord { offset, bytes: raw });
                break;
            }
            bytes = bytes.saturating_add(raw.len());
            match SourceRecord::decode(raw.clone()) {
                Ok(record) => batch.records.push_back(Received {
                    partition: 0,
                    offset,
                    ..Received::from(record)
                }),
                Err(error) if batch.records.is_empty() => {
                    return self.halt(format!(
                        "the inbox holds at offset {offset} a record that this version cannot \
                         read: {error}; run the version that wrote it"
                    ));
                }
                Err(_) => {
                    self.buffer.push_front(LogRecord { offset, bytes: raw });
                    break;
                }
            }
        }
        SourceEvent::Batch(batch)
    }
}

#[async_trait]
impl Source for InboxSource {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        if !self.announced {
            self.announced = true;
            return SourceEvent::Assigned {
                partitions: vec![0],
            };
        }
        // Once halted, nothing is read: a position must not pass what could not be (G2).
        if room.is_none() || self.halted {
            return std::future::pending().await;
        }
        while self.buffer.is_empty() {
            let reading = match self.reading.take() {
                Some(reading) => reading,
                None => self.read(),
            };
            let read = self.reading.insert(reading).await;
            self.reading = None;
            match read {
                Ok(records) => {
                    if let Some(last) = records.last() {
                        self.next = last.offset.saturating_add(1);
                    }
                    self.buffer.extend(records);
                }
                Err(error) => return self.halt(error.to_string()),
            }
        }
        self.batch(room)
    }

    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing {
        let Some((_, position)) = positions.first().copied() else {
            return Box::pin(std::future::ready(Ok(())));
        };
        let cursor = Cursor {
            position,
            clean: true,
            ..Cursor::default()
        };
        let mut batch = store::Batch::default();
        batch.put(keys::cursor(&self.group, 0), cursor.encode_to_vec());
        let (store, committed) = (Arc::clone(&self.store), self.committed.clone());
        Box::pin(async move {
            store_blocking(&store, move |store| store.commit(batch))
                .await
                .map_err(|error| SourceError::Retryable(error.to_string()))?;
            committed.0.store(position, Ordering::Release);
            Ok(())
        })
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        let end = self.log.range(0).end;
        vec![(0, end.saturating_sub(self.committed.get()))]
    }

    fn reached(&self) -> Vec<Reached> {
        vec![Reached {
            partition: 0,
            position: self.committed.get(),
            end: self.log.range(0).end,
        }]
    }
}
