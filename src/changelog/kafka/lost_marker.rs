//! A transaction that its coordinator holds for ended, and that a partition holds for open.
//!
//! Guarantee (liveness): a partition whose transaction was decided, and never got the marker of it, is
//! read again without a person. Kafka 4.3 loses markers when a broker dies right after a decision and
//! leads the same partitions when it comes back: the coordinator writes down that the transaction is
//! complete, and nobody ends it in the partition. The marker of another transaction of the same
//! producer ends both.
//!
//! What was decided is not known here. To commit is right in either case: what the store of an instance
//! and the group's offset have from it may be lost no more (G3), and if it was aborted, its changes tell
//! of deliveries that were made, and are put once more by the transaction that was tried after it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::transaction::{Ended, abort, call, commit, rows, send};
use crate::kafka::Producer;
use crate::store::{Batch, keys};

/// So often a marker is put for one transaction: it fails where another producer left it.
const TRIES: u32 = 3;

/// A transaction that ends another one with it: a record in the changelog, and one in each partition of
/// the dead letters, which the other may have closed some of. Who reads them passes both over.
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

/// What is known of a transaction that was ended, and is still open in its partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing yet: its coordinator is asked to end it.
    First,
    /// It was ended, and is open: its marker is lost.
    Again,
    /// Markers did not end it.
    Stays,
}

/// The open transactions of partitions that were ended.
#[derive(Debug, Default)]
pub(super) struct EndedOnes(Mutex<BTreeMap<u16, (u64, u32)>>);

impl EndedOnes {
    /// What is known of the partition's transaction that begins at `open`.
    pub(super) fn seen(&self, partition: u16, open: u64) -> Seen {
        match self.times(partition, open) {
            0 => Seen::First,
            1..=TRIES => Seen::Again,
            _ => Seen::Stays,
        }
    }

    /// It was ended. Whether it is to be told that this does not help.
    pub(super) fn ended(&self, partition: u16, open: u64) -> bool {
        let times = self.times(partition, open) + 1;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(partition, (open, times));
        times == TRIES + 2
    }

    fn times(&self, partition: u16, open: u64) -> u32 {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.get(&partition).filter(|(at, _)| *at == open);
        of.map_or(0, |(_, times)| *times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_put_only_for_what_was_ended_and_a_few_times() {
        let ones = EndedOnes::default();
        assert_eq!(ones.seen(0, 7), Seen::First);
        assert!(!ones.ended(0, 7));
        for _ in 0..TRIES {
            assert_eq!(ones.seen(0, 7), Seen::Again);
            assert!(!ones.ended(0, 7));
        }
        assert_eq!(ones.seen(0, 7), Seen::Stays);
        assert!(ones.ended(0, 7), "told once");
        assert!(!ones.ended(0, 7));
        assert_eq!(ones.seen(1, 7), Seen::First, "another partition");
        assert_eq!(ones.seen(0, 9), Seen::First, "another transaction");
    }
}
