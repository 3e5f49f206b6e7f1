//! Batches of records, and the room for them.

use std::collections::VecDeque;

use crate::event::Received;

/// How much the task can take (G8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Records at most.
    pub records: usize,
    /// Their bytes at most, save for the first record.
    pub bytes: usize,
}

impl Room {
    /// No room at all.
    pub const NONE: Self = Self {
        records: 0,
        bytes: 0,
    };

    /// Whether there is none.
    pub fn is_none(self) -> bool {
        self.records == 0 || self.bytes == 0
    }

    /// What both leave.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        Self {
            records: self.records.min(other.records),
            bytes: self.bytes.min(other.bytes),
        }
    }
}

/// Records of one partition, in its order.
#[derive(Debug, Default)]
pub struct Batch {
    /// The partition.
    pub partition: i32,
    /// The records.
    pub records: VecDeque<Received>,
    /// Where reading got to, if that is behind the last record: what lies between holds none, such
    /// as the marker of a transaction, or what one that was aborted left.
    pub reached: Option<u64>,
}

impl Batch {
    /// Bytes of its records.
    pub fn bytes(&self) -> usize {
        self.records.iter().map(Received::bytes).sum()
    }

    /// Takes the first records off, as many as there is room for: one at least, unless there is
    /// none or no record. Where reading got to goes with the last of them.
    #[must_use]
    pub fn split(&mut self, room: Room) -> Self {
        let (mut bytes, mut fitting) = (0_usize, 0);
        if !room.is_none() {
            for record in self.records.iter().take(room.records) {
                bytes = bytes.saturating_add(record.bytes());
                if bytes > room.bytes && fitting > 0 {
                    break;
                }
                fitting += 1;
            }
        }
        let rest = self.records.split_off(fitting);
        let reached = if rest.is_empty() && !room.is_none() {
            self.reached.take()
        } else {
            None
        };
        Self {
            partition: self.partition,
            records: std::mem::replace(&mut self.records, rest),
            reached,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SourceRecord;

    #[test]
    fn g8_a_batch_is_split_by_records_and_bytes_and_loses_none() {
        let record = |size: usize| {
            Received::from(SourceRecord {
                body: vec![b'x'; size].into(),
                ..SourceRecord::default()
            })
        };
        let mut batch = Batch {
            partition: 3,
            records: [10, 10, 50, 10].map(record).into(),
            reached: Some(9),
        };
        let mut sizes = |records, bytes| {
            let split = batch.split(Room { records, bytes });
            assert_eq!(split.partition, 3);
            let sizes = split.records.iter().map(Received::bytes);
            (sizes.collect::<Vec<_>>(), split.reached)
        };
        assert_eq!(sizes(0, 100), (vec![], None));
        assert_eq!(sizes(100, 0), (vec![], None));
        assert_eq!(sizes(1, 100), (vec![10], None));
        assert_eq!(sizes(100, 20), (vec![10], None));
        let large = sizes(100, 20);
        assert_eq!(large, (vec![50], None), "one is taken however large it is");
        assert_eq!(
            sizes(100, 100),
            (vec![10], Some(9)),
            "G2: not before the last"
        );
        assert_eq!(sizes(100, 100), (vec![], None));
    }
}
