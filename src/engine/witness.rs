//! A record that the log is known by.
//!
//! Guarantee (G2): a position means nothing in another log. A topic that was deleted and made again,
//! or that lost its end and got another, has other records at the same offsets: the one that was
//! read last below the position is kept with it, and looked at before reading goes on.

use std::collections::VecDeque;

use crate::log::{LogError, LogRecord, PartitionReader};

/// Batches whose last record is remembered; with more in flight, one further below is kept.
const MOST: usize = 64;
/// Bytes of an offset, and of a checksum.
const OFFSET: usize = 8;

/// One record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// Its offset.
    pub offset: u64,
    /// The crc32c of its bytes.
    pub checksum: u32,
}

impl Witness {
    /// As it is kept.
    pub(crate) fn encode(self) -> Vec<u8> {
        let offset = self.offset.to_be_bytes();
        [offset.as_slice(), &self.checksum.to_be_bytes()].concat()
    }

    /// What [`Self::encode`] made.
    pub(crate) fn decode(value: &[u8]) -> Option<Self> {
        let (offset, checksum) = value.split_first_chunk::<OFFSET>()?;
        Some(Self {
            offset: u64::from_be_bytes(*offset),
            checksum: u32::from_be_bytes(checksum.try_into().ok()?),
        })
    }

    /// Whether the log has it still; one that retention deleted tells nothing.
    ///
    /// # Errors
    /// [`LogError::Refused`] if the log has another record there.
    pub(super) async fn confirm(self, of: &dyn PartitionReader) -> Result<(), LogError> {
        let range = of.range();
        if self.offset < range.start {
            return Ok(());
        }
        let found = match of.checksum(self.offset).await {
            // Retention deletes beside this.
            Err(LogError::OutOfRange { .. }) => None,
            found => found?,
        };
        if found.is_none_or(|found| found == self.checksum) {
            return Ok(());
        }
        Err(LogError::Refused(format!(
            "partition {} of the log has another record at offset {} than the one that was read \
             there: the topic was deleted and made again, or lost records. Restore it; or stop all \
             instances, delete the sink's group and changelog, and start, which delivers what the \
             log holds",
            of.partition(),
            self.offset,
        )))
    }
}

/// The last record of each batch that was read.
#[derive(Debug, Default)]
pub(super) struct Witnesses(VecDeque<Witness>);

impl Witnesses {
    /// A batch was read.
    pub(super) fn saw(&mut self, batch: &[LogRecord]) {
        let Some(last) = batch.last() else { return };
        if self.0.len() == MOST {
            self.0.pop_back();
        }
        self.0.push_back(Witness {
            offset: last.offset,
            checksum: crc32c::crc32c(&last.bytes),
        });
    }

    /// The newest one below `position` that was not given before.
    pub(super) fn below(&mut self, position: u64) -> Option<Witness> {
        let mut newest = None;
        while self.0.front().is_some_and(|it| it.offset < position) {
            newest = self.0.pop_front();
        }
        newest
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::log::{Log, MemoryLog, OffsetRange, ReadLimit, WholeLog};

    fn record(offset: u64) -> LogRecord {
        let bytes = Bytes::from(offset.to_string());
        LogRecord { offset, bytes }
    }

    #[test]
    fn the_newest_below_the_position_is_given_once() {
        let mut seen = Witnesses::default();
        for last in [9, 19, 29] {
            seen.saw(&[record(last - 1), record(last)]);
        }
        assert_eq!(seen.below(9), None);
        assert_eq!(seen.below(20).map(|it| it.offset), Some(19));
        assert_eq!(seen.below(20), None);
        assert_eq!(seen.below(30).map(|it| it.offset), Some(29));
    }

    /// A partition whose oldest records are deleted just when one of them is asked for.
    #[derive(Debug)]
    struct Trimmed;

    #[async_trait]
    impl PartitionReader for Trimmed {
        fn partition(&self) -> u16 {
            0
        }

        fn range(&self) -> OffsetRange {
            OffsetRange { start: 0, end: 8 }
        }

        async fn read(&self, _: u64, _: ReadLimit) -> Result<Vec<LogRecord>, LogError> {
            Ok(Vec::new())
        }

        async fn checksum(&self, asked: u64) -> Result<Option<u32>, LogError> {
            let (partition, start, end) = (0, 8, 8);
            Err(LogError::OutOfRange {
                partition,
                asked,
                start,
                end,
            })
        }
    }

    #[tokio::test]
    async fn what_retention_deletes_while_it_is_looked_for_tells_nothing() {
        let mut seen = Witnesses::default();
        seen.saw(&[record(7)]);
        seen.below(8).unwrap().confirm(&Trimmed).await.unwrap();
    }

    #[tokio::test]
    async fn g2_a_log_with_another_record_at_the_same_offset_is_refused() {
        let log: Arc<dyn Log> = Arc::new(MemoryLog::new(1));
        for bytes in ["0", "one"] {
            log.append(0, vec![Bytes::from(bytes)]).await.unwrap();
        }
        let reader = WholeLog::partition(&log, 0);
        let mut seen = Witnesses::default();
        seen.saw(&[record(0)]);
        seen.below(1)
            .unwrap()
            .confirm(reader.as_ref())
            .await
            .unwrap();
        seen.saw(&[record(1)]);
        let other = seen.below(2).unwrap();
        assert_eq!(Witness::decode(&other.encode()), Some(other));
        let refused = other.confirm(reader.as_ref()).await.unwrap_err();
        assert!(refused.to_string().contains("another record at offset 1"));
    }
}
