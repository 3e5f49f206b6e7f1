//! The inbox topic of a log in Kafka, as a source.

use super::{KafkaSettings, StartAt};
use crate::config::Secret;
use crate::log::kafka::KafkaLogConfig;

/// Bytes that librdkafka holds ahead: a webhook's is none that waits long.
const QUEUE: u64 = 16 << 20;

impl KafkaSettings {
    /// A member of `group` that reads `topic`, whose records are `largest` bytes at most.
    pub fn inbox(log: &KafkaLogConfig, topic: &str, group: &str, largest: u64) -> Self {
        let member = log.member(group, largest);
        let properties = member.config_map().into_iter();
        let properties = properties.map(|(key, value)| (key.to_owned(), Secret::new(value)));
        Self {
            bootstrap: log.bootstrap_servers.clone(),
            topic: topic.to_owned(),
            group: group.to_owned(),
            // What is still there was not read.
            start: Some(StartAt::Earliest),
            queue: QUEUE,
            properties: properties.collect(),
        }
    }
}
