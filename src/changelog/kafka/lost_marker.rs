//! A transaction that has ended for its coordinator, and is still open in a partition.
//!
//! Guarantee (liveness): a partition whose transaction was decided, and never got the marker of it, is
//! read again without a person. Kafka 4.3 loses markers when a broker dies right after a decision and
//! leads the same partitions when it comes back: the coordinator writes down that the transaction is
//! complete, and no one ends it in the partition. The marker of another transaction of the same
//! producer ends both.
//!
//! What was decided is not known here. To commit is right in either case: what the store of an instance
//! and the group's offset have from it may be lost no more (G3), and if it was aborted, its changes tell
//! of deliveries that were made, and are put once more by the transaction that was tried after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::call::{Ended, abort, call, commit};
use super::transaction::{rows, send};
use crate::kafka::Producer;
use crate::store::{Batch, keys};

/// A marker is written for a transaction that was ended once and stayed open, and so often: it does not
/// help where another producer left the transaction.
pub(super) const TRIES: u32 = 3;

/// A transaction that ends another one with it: a record in the changelog, and one in each partition of
/// the dead letters, since the other may have closed some. Readers of both topics ignore these records.
pub(super) struct Marker<'a> {
    /// The changelog.
    pub(super) topic: &'a str,
    pub(super) partition: u16,
    /// Who has the partition.
    pub(super) instance: &'a str,
    /// The topic of dead letters, and how many partitions it has.
    pub(super) letters: (&'a str, u16),
}

impl Marker<'_> {
    /// Puts it, by the producer that left the partition's transaction.
    pub(super) async fn put(&self, producer: &Arc<Producer>) -> Result<(), String> {
        let begun = call(producer, rdkafka::producer::Producer::begin_transaction).await;
        begun.map_err(|failed| failed.why)?;
        let mut record = Batch::default();
        record.put(keys::TAKEOVER.to_vec(), self.instance.into());
        let mut gone = Batch::default();
        gone.remove(keys::TAKEOVER.to_vec());
        let (letters, partitions) = self.letters;
        let tombstones: Vec<_> = (0..partitions).flat_map(|it| rows(it, &gone)).collect();
        let marker = rows(self.partition, &record);
        let sent = tokio::try_join!(
            send(producer, self.topic, &marker),
            send(producer, letters, &tombstones)
        );
        let ended = match sent {
            Ok(_) => commit(producer).await,
            Err(code) => Err(abort(producer, format!("{code:?}")).await),
        };
        ended.map_err(|ended| match ended {
            Ended::Aborted(why) | Ended::Broken(why) | Ended::InDoubt(why) => why,
        })
    }
}

/// The open transactions of partitions that were ended, and how often.
#[derive(Debug, Default)]
pub(super) struct EndedOnes(Mutex<BTreeMap<u16, (u64, u32)>>);

impl EndedOnes {
    /// How often the partition's transaction that begins at `open` was ended, and stayed open.
    pub(super) fn times(&self, partition: u16, open: u64) -> u32 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.get(&partition).filter(|(at, _)| *at == open);
        of.map_or(0, |(_, times)| *times)
    }

    /// Notes that it was ended so often.
    pub(super) fn note(&self, partition: u16, open: u64, times: u32) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(partition, (open, times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ended_counts_for_its_partition_and_its_transaction_alone() {
        let ones = EndedOnes::default();
        assert_eq!(ones.times(0, 7), 0);
        ones.note(0, 7, 1);
        ones.note(0, 7, 2);
        assert_eq!(ones.times(0, 7), 2);
        assert_eq!(ones.times(1, 7), 0, "another partition");
        assert_eq!(ones.times(0, 9), 0, "another transaction");
    }
}
