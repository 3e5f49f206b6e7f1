//! What librdkafka calls back with, kept until the thread asks for it.
//!
//! A callback never waits: the thread goes on polling while the task drains, so that
//! `max.poll.interval.ms` is not exceeded however long that takes.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, RebalanceProtocol};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};
use serde::Deserialize;
use tokio::time::Instant;

/// Between two looks at a consumer that ends.
const AGAIN: Duration = Duration::from_millis(50);
/// How long one has for its end.
const CLOSED: Duration = Duration::from_secs(10);

/// What librdkafka said.
#[derive(Debug)]
pub(crate) enum Said {
    /// These partitions are to be assigned.
    Assign(Vec<i32>),
    /// These partitions are to be given back, or are gone already.
    Revoke { partitions: Vec<i32>, lost: bool },
    /// The ends of partitions, and whether any broker is connected.
    Stands {
        ends: Vec<(i32, u64)>,
        reached: bool,
    },
}

/// The context of the consumer.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    said: Mutex<VecDeque<Said>>,
    anything: AtomicBool,
    closing: AtomicBool,
}

impl Heard {
    /// What was said since the last call.
    pub(crate) fn take(&self) -> VecDeque<Said> {
        mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether any callback came since the last call.
    pub(crate) fn anything(&self) -> bool {
        self.anything.swap(false, Ordering::AcqRel)
    }

    /// From now on partitions are given back without asking.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    fn say(&self, said: Said) {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(said);
        self.hear();
    }

    fn hear(&self) {
        self.anything.store(true, Ordering::Release);
    }
}

impl ClientContext for Heard {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, _: &str) {
        // The text may quote the broker's answer (G10); the code follows as an error.
        tracing::debug!(target: "librdkafka", ?level, facility);
        self.hear();
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.hear();
        if let Ok(statistics) = serde_json::from_slice::<Statistics>(statistics) {
            self.say(Said::Stands {
                ends: statistics.ends(),
                reached: statistics.reaches_a_broker(),
            });
        }
    }

    fn error(&self, _: KafkaError, _: &str) {
        // Returned by the poll as well, which is where it is dealt with.
        self.hear();
    }
}

impl ConsumerContext for Heard {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let assign = code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            release(consumer, list, assign);
            return;
        }
        let elements = list.elements();
        let partitions = elements
            .iter()
            .map(TopicPartitionListElem::partition)
            .collect();
        self.say(if assign {
            Said::Assign(partitions)
        } else {
            Said::Revoke {
                partitions,
                lost: consumer.assignment_lost(),
            }
        });
    }
}

/// Ends a consumer in whose place another one is, on a thread of its own: it waits for brokers, and for
/// an answer to its last rebalance, which it gives itself. Queues of partitions hold it as well, and
/// whoever has those shall not be the one who waits.
pub(crate) fn retire(old: Arc<BaseConsumer<Heard>>) {
    old.context().close();
    thread::spawn(move || {
        let deadline = Instant::now() + CLOSED;
        if old.close_queue().is_ok() {
            // A rebalance may be unanswered. What is refused was answered.
            drop(old.unassign());
            while !old.closed() && Instant::now() < deadline {
                drop(old.poll(AGAIN));
            }
        }
        while Arc::strong_count(&old) > 1 {
            thread::sleep(AGAIN);
        }
        drop(old);
    });
}

/// Answers a rebalance with no one left to read.
fn release(consumer: &BaseConsumer<Heard>, list: &TopicPartitionList, assign: bool) {
    let cooperative = matches!(
        consumer.rebalance_protocol(),
        RebalanceProtocol::Cooperative
    );
    let answered = match (cooperative, assign) {
        (true, true) => consumer.incremental_assign(list),
        (true, false) => consumer.incremental_unassign(list),
        (false, _) => consumer.unassign(),
    };
    if answered.is_err() {
        tracing::debug!("partitions could not be given back at the end");
    }
}

/// The part of librdkafka's statistics that is read (its STATISTICS.md).
#[derive(Debug, Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, BrokerStatistics>,
    #[serde(default)]
    topics: BTreeMap<String, TopicStatistics>,
}

#[derive(Debug, Deserialize)]
struct BrokerStatistics {
    state: String,
}

#[derive(Debug, Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: BTreeMap<String, PartitionStatistics>,
}

#[derive(Debug, Deserialize)]
struct PartitionStatistics {
    partition: i32,
    ls_offset: i64,
}

impl Statistics {
    /// Connected, and let in. Heartbeats keep one connection in use, whatever is read.
    fn reaches_a_broker(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }

    /// One topic is subscribed to, so that partition numbers are enough.
    fn ends(&self) -> Vec<(i32, u64)> {
        let partitions = self
            .topics
            .values()
            .flat_map(|topic| topic.partitions.values());
        let known =
            |of: &PartitionStatistics| Some((of.partition, u64::try_from(of.ls_offset).ok()?));
        partitions.filter_map(known).collect()
    }
}
