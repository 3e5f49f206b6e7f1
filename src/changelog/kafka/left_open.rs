//! Who left a transaction open.
//!
//! Guarantee (liveness): who takes a partition over from an instance that died in a transaction waits
//! about a second for it, not for the transaction's timeout and the brokers' next look at those, which
//! together may take twenty seconds.
//!
//! Whoever takes a partition over puts a marker with its name into the changelog, outside of any
//! transaction. A transaction that holds the partition up began behind the marker of who began it.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tokio::time::Instant;

use super::ChangelogOf;
use crate::kafka::Heard;
use crate::log::kafka::offsets;
use crate::store::keys;

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(2);
/// A changelog that takes longer to read is left to the transaction's timeout.
const LONGEST: Duration = Duration::from_secs(10);

/// A look at one partition of a changelog.
pub(super) struct LeftOpen {
    /// There until the end.
    consumer: Option<BaseConsumer<Heard>>,
    topic: String,
    partition: u16,
    /// Where the partition ends, open transactions included.
    pub(super) end: u64,
}

impl LeftOpen {
    pub(super) async fn of(
        of: &ChangelogOf,
        topic: &str,
        partition: u16,
    ) -> Result<Self, KafkaError> {
        let mut client = of
            .cluster
            .config()
            .consumer(&of.group, of.cluster.largest());
        client
            .set("isolation.level", "read_uncommitted")
            .set("enable.partition.eof", "true");
        let (topic, asked) = (topic.to_owned(), topic.to_owned());
        let ask = move || {
            let consumer: BaseConsumer<Heard> = client.create_with_context(Heard::default())?;
            let held = offsets::ranges(&consumer, &asked, &[partition], ANSWER)?;
            Ok((consumer, held.first().map_or(0, |(_, _, end)| *end)))
        };
        let (consumer, end) = blocking(ask).await?;
        Ok(Self {
            consumer: Some(consumer),
            topic,
            partition,
            end,
        })
    }

    /// The name in the last marker from `from` on and before `open`, where the first open transaction
    /// begins.
    pub(super) async fn owner(self, from: u64, open: u64) -> Result<Option<String>, KafkaError> {
        blocking(move || self.read(from, open)).await
    }

    fn read(&self, from: u64, open: u64) -> Result<Option<String>, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(1);
        let offset = Offset::Offset(i64::try_from(from).unwrap_or(i64::MAX));
        list.add_partition_offset(&self.topic, i32::from(self.partition), offset)?;
        let Some(consumer) = &self.consumer else {
            return Ok(None);
        };
        consumer.assign(&list)?;
        let (mut owner, deadline) = (None, Instant::now() + LONGEST);
        while from < open && Instant::now() < deadline {
            let message = match consumer.poll(ANSWER) {
                Some(Ok(message)) => message,
                Some(Err(KafkaError::PartitionEOF(_))) => break,
                Some(Err(error)) => return Err(error),
                None => continue,
            };
            if u64::try_from(message.offset()).is_ok_and(|offset| offset >= open) {
                break;
            }
            if message.key() == Some(keys::TAKEOVER) {
                let name = message.payload().unwrap_or_default();
                owner = Some(String::from_utf8_lossy(name).into_owned());
            }
        }
        Ok(owner)
    }
}

impl Drop for LeftOpen {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            super::dispose(consumer);
        }
    }
}

/// Clients of librdkafka block.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, KafkaError> {
    let called = tokio::task::spawn_blocking(call).await;
    called.unwrap_or(Err(KafkaError::Canceled))
}
