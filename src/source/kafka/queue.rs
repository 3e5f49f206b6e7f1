//! How many partitions a topic has, by which what librdkafka reads ahead is divided.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::settings::KafkaSettings;
use crate::kafka::Heard;

/// Taken for the number of partitions while no broker tells.
const ASSUMED: u64 = 64;
/// How long a broker has to tell.
const ANSWER: Duration = Duration::from_secs(1);

/// How many partitions the topic has, or what is taken for it. Waits a second at most.
pub(super) fn partitions(settings: &KafkaSettings) -> u64 {
    let mut client = settings.client();
    client.remove("group.id");
    let made: Result<BaseConsumer<Heard>, _> = client.create_with_context(Heard::default());
    let metadata = made.and_then(|made| made.fetch_metadata(Some(&settings.topic), ANSWER));
    let count = metadata.ok().and_then(|metadata| {
        let topic = metadata.topics().first()?;
        u64::try_from(topic.partitions().len()).ok()
    });
    count.filter(|count| *count > 0).unwrap_or(ASSUMED)
}
