//! Questions to the brokers about offsets. Each blocks until there is an answer.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::Heard;

/// What each of the partitions holds: its first offset and its end.
pub(crate) fn ranges(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    partitions: &[u16],
    patience: Duration,
) -> Result<Vec<(u16, u64, u64)>, KafkaError> {
    let starts = at(consumer, topic, partitions, Offset::Beginning, patience)?;
    let ends = at(consumer, topic, partitions, Offset::End, patience)?;
    let both = starts.into_iter().zip(ends);
    Ok(both
        .map(|((partition, start), (_, end))| (partition, start, end))
        .collect())
}

/// An offset in each partition: the first, the end, or the first of a time, ms, or later. Beyond
/// every offset where there is none such.
pub(crate) fn at(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    partitions: &[u16],
    at: Offset,
    patience: Duration,
) -> Result<Vec<(u16, u64)>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition_offset(topic, i32::from(*partition), at)?;
    }
    let told = consumer.offsets_for_times(asked, patience)?;
    let each = told.elements().into_iter().map(|of| {
        of.error()?;
        let partition = u16::try_from(of.partition()).unwrap_or_default();
        Ok((partition, number(of.offset()).unwrap_or(u64::MAX)))
    });
    each.collect()
}

/// Where the consumer's group stands in each partition, if it does. Transactions that are being
/// committed are an error, to be asked again.
pub(crate) fn committed(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    partitions: &[u16],
    patience: Duration,
) -> Result<Vec<(u16, Option<u64>)>, KafkaError> {
    let mut asked = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        asked.add_partition(topic, i32::from(*partition));
    }
    let told = consumer.committed_offsets(asked, patience)?;
    let each = told.elements().into_iter().map(|of| {
        of.error()?;
        let partition = u16::try_from(of.partition()).unwrap_or_default();
        Ok((partition, number(of.offset())))
    });
    each.collect()
}

fn number(offset: Offset) -> Option<u64> {
    match offset {
        Offset::Offset(offset) => u64::try_from(offset).ok(),
        Offset::Beginning
        | Offset::End
        | Offset::Stored
        | Offset::Invalid
        | Offset::OffsetTail(_) => None,
    }
}
