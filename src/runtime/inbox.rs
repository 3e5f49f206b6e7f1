//! The inbox where the log is in Kafka: a topic that every instance reads, and the journal of this
//! one behind it.
//!
//! Guarantee (G1): a webhook is durable in one of the two, and both are drained: the topic by whoever
//! has its partitions, the journal by this instance. Guarantee (G5): until when everything was taken
//! that had been received is never said too late, whoever reads it; where the brokers do not tell, it
//! is not known.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message as _;

use crate::event::SourceRecord;
use crate::log::{Log, LogError, ReadLimit};
use crate::time::{Millis, as_millis};

/// The ends of partitions are asked for every second.
const SLACK: Duration = Duration::from_secs(10);
/// A record is read to see when it was received.
const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: 1,
};

/// Where a group stands in a log, whoever its members are.
#[async_trait]
pub trait GroupOffsets: Debug + Send + Sync {
    /// By partition; nothing where the group never stood.
    ///
    /// # Errors
    /// If the brokers do not tell.
    async fn committed(&self) -> Result<Vec<Option<u64>>, LogError>;
}

/// The inbox topic, as housekeeping sees it.
#[derive(Debug, Clone)]
pub struct InboxTopic {
    /// Its records.
    pub log: Arc<dyn Log>,
    /// Who reads them.
    pub group: Arc<dyn GroupOffsets>,
}

impl InboxTopic {
    /// When the oldest record was received that ingest has not passed, or a moment before `now` if
    /// there is none; nothing if that is not known.
    pub(super) async fn oldest(&self, now: Millis) -> Option<Millis> {
        let committed = self.group.committed().await.ok()?;
        let mut oldest = now.saturating_sub(as_millis(SLACK));
        for (partition, committed) in (0..).zip(committed) {
            let range = self.log.range(partition);
            let position = committed.unwrap_or_default().max(range.start);
            if position >= range.end {
                continue;
            }
            let read = self.log.read(partition, position, ONE).await.ok()?;
            let record = SourceRecord::decode(read.into_iter().next()?.bytes).ok()?;
            oldest = oldest.min(record.received_time);
        }
        Some(oldest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::log::{LogAppender as _, MemoryLog, Retention as _};

    const NOW: Millis = 1_800_000_000_000;

    #[derive(Debug, Default)]
    struct Group(Mutex<Option<Vec<Option<u64>>>>);

    #[async_trait]
    impl GroupOffsets for Group {
        async fn committed(&self) -> Result<Vec<Option<u64>>, LogError> {
            let told = self.0.lock().unwrap().clone();
            told.ok_or_else(|| LogError::Io("no broker".to_owned()))
        }
    }

    #[tokio::test]
    async fn g5_the_oldest_of_all_partitions_counts_whoever_reads_them() {
        let log = Arc::new(MemoryLog::new(2));
        let group = Arc::new(Group::default());
        let topic = InboxTopic {
            log: Arc::<MemoryLog>::clone(&log),
            group: Arc::<Group>::clone(&group),
        };
        let stands = |at: [Option<u64>; 2]| *group.0.lock().unwrap() = Some(at.to_vec());
        assert_eq!(topic.oldest(NOW).await, None, "nobody tells");
        stands([None, None]);
        let nearly_now = NOW - 10_000;
        assert_eq!(topic.oldest(NOW).await, Some(nearly_now), "it is empty");
        for (partition, received) in [(0, 500), (0, 700), (1, 600)] {
            let record = SourceRecord {
                received_time: received,
                ..SourceRecord::default()
            };
            let record = record.encode_to_vec().into();
            log.append(partition, vec![record]).await.unwrap();
        }
        for (at, oldest) in [
            ([None, None], 500),
            ([Some(1), None], 600),
            ([Some(1), Some(1)], 700),
            ([Some(2), Some(0)], 600),
            ([Some(2), Some(1)], nearly_now),
        ] {
            stands(at);
            assert_eq!(topic.oldest(NOW).await, Some(oldest), "{at:?}");
        }
        // A group that never stood in a partition begins where it begins.
        log.trim(&[1, 0]).await.unwrap();
        stands([None, Some(1)]);
        assert_eq!(topic.oldest(NOW).await, Some(700));
    }
}
