//! The newest version of every entity that a topic has: what Reltio's API would show.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use tokio::sync::watch;

use crate::Failed;
use crate::throughput::event::{Event, Uri};

const ANSWER: Duration = Duration::from_secs(15);
const MOMENT: Duration = Duration::from_millis(100);
/// The reader is never so far behind the topic's end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the topic until it is dropped.
#[derive(Debug)]
pub(super) struct Newest {
    shared: Arc<Shared>,
    /// The next offset of each partition.
    read: watch::Receiver<HashMap<i32, i64>>,
}

struct Shared {
    consumer: BaseConsumer,
    topic: String,
    versions: Mutex<HashMap<u32, u32>>,
    over: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }
}

impl Newest {
    /// From the topic's beginning on.
    ///
    /// # Errors
    /// If the topic is not there, or the brokers do not answer.
    pub(super) fn of(bootstrap: &str, topic: &str) -> Result<Self, Failed> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "loadtest-crm")
            .set("enable.auto.commit", "false")
            .create()?;
        let shared = Shared {
            consumer,
            topic: topic.to_owned(),
            versions: Mutex::default(),
            over: AtomicBool::new(false),
        };
        let mut list = TopicPartitionList::new();
        for (partition, _) in shared.ends()? {
            list.add_partition_offset(topic, partition, Offset::Beginning)?;
        }
        if list.count() == 0 {
            return Err(format!("{bootstrap}: there is no topic {topic}; make it first").into());
        }
        shared.consumer.assign(&list)?;
        let (tell, read) = watch::channel(HashMap::new());
        let shared = Arc::new(shared);
        let reader = Arc::clone(&shared);
        thread::spawn(move || reader.read(&tell));
        Ok(Self { shared, read })
    }

    /// The newest version of an entity at the time of the question; nothing if there is none yet.
    ///
    /// # Errors
    /// If the brokers do not answer, or the reader does not come to the topic's end.
    pub(super) async fn of_entity(&self, entity: u32) -> Result<Option<Event>, Failed> {
        let shared = Arc::clone(&self.shared);
        let ends = tokio::task::spawn_blocking(move || shared.ends()).await??;
        let is_there = |read: &HashMap<i32, i64>| {
            let mut ends = ends.iter();
            ends.all(|(partition, end)| read.get(partition).copied().unwrap_or_default() >= *end)
        };
        let mut read = self.read.clone();
        tokio::time::timeout(PATIENCE, read.wait_for(is_there)).await??;
        let version = self.shared.newest(entity);
        Ok(version.map(|version| Event { entity, version }))
    }
}

impl Shared {
    fn read(&self, tell: &watch::Sender<HashMap<i32, i64>>) {
        while !self.over.load(Ordering::Relaxed) {
            // After an error the client tries again by itself.
            if let Some(Ok(message)) = self.consumer.poll(MOMENT) {
                if let Some(event) = event(&message) {
                    self.takes(event);
                }
                let next = message.offset() + 1;
                tell.send_modify(|read| {
                    read.insert(message.partition(), next);
                });
            }
        }
    }

    fn takes(&self, event: Event) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = versions.entry(event.entity).or_default();
        *newest = event.version.max(*newest);
    }

    fn newest(&self, entity: u32) -> Option<u32> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.get(&entity).copied()
    }

    /// Where each partition ends.
    fn ends(&self) -> Result<Vec<(i32, i64)>, Failed> {
        let topic = &self.topic;
        let metadata = self.consumer.fetch_metadata(Some(topic), ANSWER)?;
        let mut ends = Vec::new();
        for partition in metadata.topics().iter().flat_map(MetadataTopic::partitions) {
            let (_, end) = self
                .consumer
                .fetch_watermarks(topic, partition.id(), ANSWER)?;
            ends.push((partition.id(), end));
        }
        Ok(ends)
    }
}

/// By its headers, as Reltio sends them.
fn event(message: &BorrowedMessage<'_>) -> Option<Event> {
    let header = |name: &str| {
        let found = message
            .headers()?
            .iter()
            .find(|header| header.key == name)?;
        std::str::from_utf8(found.value?).ok()
    };
    Some(Event {
        entity: Uri::entity(header("sourceObjectUri")?)?,
        version: header("objectVersion")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use loadtest::embedded_broker::EmbeddedBroker;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    fn send(bootstrap: &str, partition: i32, event: Event) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .create()
            .unwrap();
        let (uri, version) = (event.uri().to_string(), event.version.to_string());
        let headers = [("sourceObjectUri", &uri), ("objectVersion", &version)];
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| {
                let value = Some(value.as_str());
                all.insert(Header { key, value })
            });
        let record = BaseRecord::<'_, (), str>::to("t")
            .partition(partition)
            .headers(headers)
            .payload("{}");
        producer.send(record).unwrap();
        producer.flush(ANSWER).unwrap();
    }

    #[tokio::test]
    async fn what_the_topic_had_at_the_time_of_the_question_counts_in_whatever_partition() {
        let broker = EmbeddedBroker::start(&[("t", 2)]).unwrap();
        let newest = Newest::of(broker.servers(), "t").unwrap();
        assert_eq!(newest.of_entity(7).await.unwrap(), None);
        for (partition, version, known) in [(0, 2, 2), (1, 3, 3), (0, 1, 3)] {
            send(broker.servers(), partition, Event { entity: 7, version });
            let shown = newest.of_entity(7).await.unwrap();
            assert_eq!(shown.map(|event| event.version), Some(known));
        }
        assert_eq!(newest.of_entity(8).await.unwrap(), None);
    }
}
