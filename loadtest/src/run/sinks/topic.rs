//! A topic that a sink writes to, read as it grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use super::{SinkWatcher, named};
use crate::Failed;
use crate::throughput::event::{Event, Uri};

const ANSWER: Duration = Duration::from_secs(15);
const MOMENT: Duration = Duration::from_millis(100);

/// A reader that stands at the topic's end.
pub(crate) struct SinkTopic {
    consumer: BaseConsumer,
    topic: String,
}

impl std::fmt::Debug for SinkTopic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkTopic")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl SinkTopic {
    /// From what is there now on.
    ///
    /// # Errors
    /// If the topic is not there, or the brokers do not answer.
    pub(crate) fn at_end(bootstrap: &str, topic: &str) -> Result<Self, Failed> {
        let consumer = consumer(bootstrap)?;
        let mut list = TopicPartitionList::new();
        for (partition, end) in ends(&consumer, bootstrap, topic)? {
            list.add_partition_offset(topic, partition, Offset::Offset(end))?;
        }
        consumer.assign(&list)?;
        let topic = topic.to_owned();
        Ok(Self { consumer, topic })
    }

    /// How many records there ever were.
    ///
    /// # Errors
    /// As [`Self::at_end`].
    pub(crate) fn end(bootstrap: &str, topic: &str) -> Result<i64, Failed> {
        let ends = ends(&consumer(bootstrap)?, bootstrap, topic)?;
        Ok(ends.into_iter().map(|(_, end)| end).sum())
    }

    /// Reads until `stop`.
    pub(crate) fn watch(&self, watcher: &SinkWatcher, stop: &Arc<AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            // After an error the client tries again by itself.
            if let Some(Ok(message)) = self.consumer.poll(MOMENT) {
                look(watcher, &message);
            }
        }
    }
}

fn consumer(bootstrap: &str) -> Result<BaseConsumer, Failed> {
    let consumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "loadtest-look")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        // A broker that is embedded answers a request that waits for records when its time is over.
        .set("fetch.wait.max.ms", "5")
        .create()?;
    Ok(consumer)
}

/// Where each partition ends.
fn ends(consumer: &BaseConsumer, bootstrap: &str, topic: &str) -> Result<Vec<(i32, i64)>, Failed> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER);
    let metadata = metadata.map_err(|error| format!("{bootstrap}: {error}"))?;
    let partitions = metadata.topics().first().map(MetadataTopic::partitions);
    let partitions = partitions.unwrap_or_default();
    if partitions.is_empty() {
        return Err(format!("{bootstrap}: there is no topic {topic}; make it first").into());
    }
    let ends = partitions.iter().map(|partition| {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), ANSWER)?;
        Ok((partition.id(), end))
    });
    ends.collect()
}

fn look(watcher: &SinkWatcher, message: &BorrowedMessage<'_>) {
    if let Some(names) = watcher.ledger.names() {
        let key = std::str::from_utf8(message.key().unwrap_or_default()).unwrap_or_default();
        watcher.sees_captured(names, key, version(message));
    } else if let Some(event) = event(message) {
        watcher.sees(event, message.payload());
    } else {
        let (partition, offset) = (message.partition(), message.offset());
        let what = format!("partition {partition} offset {offset} is no event that was sent");
        watcher.invents(what);
    }
}

/// By its name in the value or the key; by key and header where there is no value.
fn event(message: &BorrowedMessage<'_>) -> Option<Event> {
    let payload = message.payload().unwrap_or_default();
    if let Some(event) = named(payload).or_else(|| named(message.key().unwrap_or_default())) {
        return Some(event);
    }
    let key = std::str::from_utf8(message.key()?).ok()?;
    let version = version(message)?.try_into().ok()?;
    let entity = Uri::entity(key)?;
    Some(Event { entity, version })
}

/// As goldwire tells it.
fn version(message: &BorrowedMessage<'_>) -> Option<i64> {
    let mut headers = message.headers()?.iter();
    let version = headers.find(|header| header.key == "goldwire.version")?;
    std::str::from_utf8(version.value?).ok()?.parse().ok()
}
