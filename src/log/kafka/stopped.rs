//! Partitions that librdkafka reads no more, since the brokers do not have the position.
//!
//! Guarantee (liveness): whoever goes on elsewhere in such a partition, as a sink with
//! `on_full: detach` does, reads there. librdkafka takes no seek until it is assigned once more.

use rdkafka::Offset;

use super::member::Thread;

impl Thread {
    /// Assigns them once more. Their readers wait for that, and seek then.
    pub(super) fn restart_stopped(&self) {
        for partition in self.member.splits.stopped() {
            if !self.owned.contains(&partition) {
                continue;
            }
            let end = self.member.ranges.of(partition).end;
            self.unassign(&[partition]);
            self.take(&[(
                partition,
                Offset::Offset(i64::try_from(end).unwrap_or(i64::MAX)),
            )]);
            self.member.splits.restarted(partition);
        }
    }
}
