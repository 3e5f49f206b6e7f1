//! The inbox as a source: webhook requests, and what was redriven to ingest.
//!
//! Guarantee (G1): its position is kept in the store, and moves only after what lies below it is
//! durable in the event log or in dead letters.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use prost::Message as _;

use super::{Source, SourceError, SourceEvent};
use crate::event::{Origin, SourceRecord};
use crate::ledger::{Batch, Cursor, Store, StoreError, keys};
use crate::log::{Log, LogError, LogRecord, ReadLimit};
use crate::task::store_blocking;

/// A read that the file system failed is repeated after this.
const AGAIN: Duration = Duration::from_secs(1);
const READ: ReadLimit = ReadLimit {
    records: 200,
    bytes: 2 << 20,
};

type Reading = BoxFuture<'static, Result<Vec<LogRecord>, LogError>>;

/// The inbox log, read by its one reader.
pub struct InboxSource {
    log: Arc<dyn Log>,
    store: Arc<dyn Store>,
    group: String,
    next: u64,
    committed: u64,
    buffer: VecDeque<LogRecord>,
    /// Goes on in the next call if this one is dropped. A read of a disk that hangs cannot be taken
    /// back: each one begun anew would hold a thread more.
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
            committed: position,
            buffer,
            reading: None,
            announced: false,
            halted: false,
        })
    }
}

/// The durable position of the inbox's reader, if it has one.
///
/// # Errors
/// If the store cannot be read.
pub fn inbox_position(store: &dyn Store, group: &str) -> Result<Option<u64>, StoreError> {
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
}

#[async_trait]
impl Source for InboxSource {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn next(&mut self, room: bool) -> SourceEvent {
        if !self.announced {
            self.announced = true;
            return SourceEvent::Assigned {
                partitions: vec![0],
            };
        }
        // Once halted, nothing is read: a position must not pass what could not be (G2).
        if !room || self.halted {
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
        let Some(LogRecord { offset, bytes }) = self.buffer.pop_front() else {
            return std::future::pending().await;
        };
        match SourceRecord::decode(bytes) {
            Ok(mut record) => {
                let origin = record.origin.get_or_insert_with(Origin::default);
                origin.partition = 0;
                origin.offset = i64::try_from(offset).unwrap_or(i64::MAX);
                SourceEvent::Record(Box::new(record))
            }
            Err(error) => self.halt(format!(
                "the inbox holds at offset {offset} a record that this version cannot read: \
                 {error}; run the version that wrote it"
            )),
        }
    }

    async fn commit(&mut self, positions: &[(i32, u64)]) -> Result<(), SourceError> {
        let Some((_, position)) = positions.first().copied() else {
            return Ok(());
        };
        let cursor = Cursor {
            position,
            clean: true,
            ..Cursor::default()
        };
        let mut batch = Batch::default();
        batch.put(keys::cursor(&self.group, 0), cursor.encode_to_vec());
        store_blocking(&self.store, move |store| store.commit(batch))
            .await
            .map_err(|error| SourceError::Retryable(error.to_string()))?;
        self.committed = position;
        Ok(())
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        vec![(0, self.log.range(0).end.saturating_sub(self.committed))]
    }
}
