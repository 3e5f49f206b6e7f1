//! What a task reads: a good part of the log at once, however little room there is.
//!
//! A log on disk is read in frames of many records. A task with a record's worth of room would read
//! the same frame for each of them.
//!
//! Guarantee (G8): what waits here and what is in flight stay together within the bytes in flight,
//! but for one record.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::sink_task::{Reading, SinkTask};
use crate::log::{LogError, LogRecord, ReadLimit};
use crate::mutation::{self, Mutation};

/// Records and bytes of one read.
const READ: ReadLimit = ReadLimit {
    records: 500,
    bytes: 4 << 20,
};
/// A read that the file system failed is repeated after this.
const AGAIN: Duration = Duration::from_secs(1);

/// Records that were read and have no lane yet.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    records: VecDeque<LogRecord>,
}

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What was read where there was nothing left.
    pub(super) fn fill(&mut self, records: Vec<LogRecord>) {
        self.records.extend(records);
    }

    /// The next ones within `limit`, at least one if there is one.
    fn take(&mut self, limit: ReadLimit) -> Vec<LogRecord> {
        let (mut taken, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.records.front()
            && (taken.is_empty()
                || taken.len() < limit.records && next.bytes.len() + bytes <= limit.bytes)
        {
            bytes += next.bytes.len();
            taken.extend(self.records.pop_front());
        }
        taken
    }
}

impl SinkTask {
    /// Reads on where nothing is ahead any more. One read is under way at a time.
    pub(super) fn read(&self) -> Reading {
        let log = Arc::clone(&self.context.log);
        let (partition, from) = (self.partition, self.tracker.reached());
        let limit = ReadLimit {
            records: READ.records,
            bytes: READ.bytes.min(self.bytes_left()),
        };
        Box::pin(async move {
            loop {
                log.wait(partition, from).await;
                match log.read(partition, from, limit).await {
                    Err(error @ LogError::Io(_)) => {
                        tracing::error!(partition, "{error}; will be read again");
                        tokio::time::sleep(AGAIN).await;
                    }
                    read => return read,
                }
            }
        })
    }

    /// No more of what is ahead than there is room for.
    pub(super) fn next(&mut self) -> Vec<LogRecord> {
        let mut records = self.most_in_flight().saturating_sub(self.moving());
        if mutation::is(Mutation::BackPressureIgnored) {
            records = READ.records;
        }
        let bytes = self.bytes_left();
        self.ahead.take(ReadLimit { records, bytes })
    }

    fn bytes_left(&self) -> usize {
        self.settings.in_flight_bytes.saturating_sub(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g8_no_more_is_taken_than_there_is_room_for_save_for_the_first() {
        let record = |offset| LogRecord {
            offset,
            bytes: vec![0; 100].into(),
        };
        let mut ahead = Ahead::default();
        ahead.fill((5..15).map(record).collect());
        let mut take = |records, bytes| {
            let taken = ahead.take(ReadLimit { records, bytes });
            taken.iter().map(|it| it.offset).collect::<Vec<_>>()
        };
        assert_eq!(take(3, 1000), [5, 6, 7]);
        assert_eq!(take(10, 250), [8, 9]);
        assert_eq!(take(10, 10), [10]);
        assert_eq!(take(10, 1000), [11, 12, 13, 14]);
        assert!(take(1, 1).is_empty());
    }
}
