//! What librdkafka reads ahead, divided among partitions.
//!
//! Guarantee (G8): librdkafka bounds the queue of each partition, not their sum, and one fetch goes
//! beyond it. So what a client may hold is divided by the topic's partitions, and each part holds a
//! queue and the fetch that fills it.

use rdkafka::ClientConfig;

/// Bytes held ahead of one partition before no more is fetched of it.
pub(crate) const QUEUED: &str = "queued.max.messages.kbytes";
/// Bytes of one partition in one fetch; a larger record comes alone.
const FETCH: &str = "fetch.message.max.bytes";
/// How long a partition whose queue was full is not fetched, ms.
const BACKOFF: &str = "fetch.queue.backoff.ms";
/// librdkafka's own second is as much as a queue of megabytes lasts at ten thousand records.
const SHORT_BACKOFF: &str = "10";

const KIB: u64 = 1024;
/// librdkafka's own default; more is not faster.
const LARGEST_FETCH: u64 = 1024 * KIB;
const LARGEST_QUEUE: u64 = 2048 * KIB;
const LEAST: u64 = 16 * KIB;

/// Bytes of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    queued: u64,
    fetch: u64,
}

impl Share {
    /// The part that each of `partitions` has of `queue` bytes: 32 KiB at least.
    pub(crate) fn of(queue: u64, partitions: u64) -> Self {
        let part = queue / partitions.max(1);
        let fetch = (part / 2).clamp(LEAST, LARGEST_FETCH);
        Self {
            fetch,
            queued: part.saturating_sub(fetch).clamp(LEAST, LARGEST_QUEUE),
        }
    }

    /// Sets what the properties leave open.
    pub(crate) fn set(self, client: &mut ClientConfig) {
        let aliases = [FETCH, "max.partition.fetch.bytes"];
        if client.get(QUEUED).is_none() {
            client.set(QUEUED, (self.queued / KIB).to_string());
        }
        if aliases.iter().all(|name| client.get(name).is_none()) {
            client.set(FETCH, self.fetch.to_string());
        }
        if client.get(BACKOFF).is_none() {
            client.set(BACKOFF, SHORT_BACKOFF);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KIB, LEAST, Share};

    #[test]
    fn g8_all_partitions_together_hold_no_more_than_the_queue() {
        for queue in [1 << 20, 64 << 20, 1 << 30] {
            for partitions in [1, 3, 16, 100, 1000, 10_000] {
                let share = Share::of(queue, partitions);
                let all = (share.queued + share.fetch) * partitions;
                assert!(all <= queue.max(2 * LEAST * partitions), "{share:?}");
                assert!(share.queued >= KIB, "what is no kilobyte reads nothing");
            }
        }
    }
}
