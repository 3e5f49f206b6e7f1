//! Where reading begins in a partition that was assigned.
//!
//! Guarantee (G2): a committed offset is taken exactly, or nothing is read. A position is chosen
//! only where the group never had one, only as `start` says, and is committed before the first
//! record is read: a crash does not choose again, later.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{Offset, TopicPartitionList};

use super::marks::Known;
use super::settings::{KafkaSettings, StartAt};
use crate::kafka::Heard;

/// One question to the broker may take this long; the thread polls in between.
const ANSWER: Duration = Duration::from_secs(5);

/// What is known of a partition before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    partition: i32,
    committed: Option<i64>,
    /// The group is known to have had an offset: where it began then.
    known: Option<i64>,
    low: i64,
    high: i64,
    /// The first record not older than `start`, if that is a time and there is one.
    at_time: Option<i64>,
    /// The group has offsets in other partitions: this one appeared later.
    joined: bool,
}

/// Where to begin in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begin {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) end: i64,
    /// Chosen here, and to be committed before anything is read.
    pub(super) chosen: bool,
}

/// Why there is no position.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The broker did not answer: ask again.
    Retry(RDKafkaErrorCode),
    /// A person has to decide.
    Halt(String),
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self::Retry(
            error
                .rdkafka_error_code()
                .unwrap_or(RDKafkaErrorCode::Unknown),
        )
    }
}

/// Where to begin in each of `partitions`.
pub(super) fn begin(
    consumer: &BaseConsumer<Heard>,
    settings: &KafkaSettings,
    known: &Known,
    partitions: &[i32],
) -> Result<Vec<Begin>, Trouble> {
    let topic = &settings.topic;
    let committed = committed(consumer, topic, partitions)?;
    let fresh: Vec<i32> = committed
        .iter()
        .filter(|(_, offset)| offset.is_none())
        .map(|(of, _)| *of)
        .collect();
    let joined = !fresh.is_empty()
        && settings.start == Some(StartAt::Latest)
        && (!known.is_empty() || has_offsets(consumer, topic)?);
    let times = match settings.start {
        Some(StartAt::Time(time)) => at_time(consumer, topic, &fresh, time)?,
        Some(StartAt::Earliest | StartAt::Latest) | None => Vec::new(),
    };
    let mut begins = Vec::with_capacity(partitions.len());
    let mut silent = false;
    for (partition, committed) in committed {
        let ends = || consumer.fetch_watermarks(topic, partition, ANSWER);
        let (low, high) = match committed {
            None => ends()?,
            // A partition without a leader does not hold back the others; a second one is not even
            // asked for. That its offset is in the topic is seen when it is read: `left_behind`.
            Some(offset) if silent => (offset, offset),
            Some(offset) => ends().unwrap_or_else(|error| {
                let code = error.rdkafka_error_code();
                tracing::warn!(
                    topic,
                    partition,
                    ?code,
                    "no answer; will be read when there is one"
                );
                silent = true;
                (offset, offset)
            }),
        };
        let at_time = times
            .iter()
            .find(|(of, _)| *of == partition)
            .and_then(|(_, offset)| *offset);
        let found = Found {
            partition,
            committed,
            known: known.get(&partition).copied(),
            low,
            high,
            at_time,
            joined,
        };
        begins.push(choose(settings, found).map_err(Trouble::Halt)?);
    }
    Ok(begins)
}

/// The rule, free of the broker.
fn choose(settings: &KafkaSettings, found: Found) -> Result<Begin, String> {
    let Found {
        partition,
        committed,
        low,
        high,
        ..
    } = found;
    if let Some(offset) = committed {
        if (low..=high).contains(&offset) {
            return Ok(Begin {
                partition,
                offset,
                end: high,
                chosen: false,
            });
        }
        return Err(outside(settings, found, offset));
    }
    if let Some(began) = found.known {
        return Err(vanished(settings, partition, began));
    }
    let offset = match settings.start {
        None => return Err(without_start(settings, partition)),
        Some(StartAt::Earliest) => low,
        Some(StartAt::Latest) if found.joined => low,
        Some(StartAt::Latest) => high,
        Some(StartAt::Time(_)) => found.at_time.unwrap_or(high),
    };
    Ok(Begin {
        partition,
        offset,
        end: high,
        chosen: true,
    })
}

fn vanished(settings: &KafkaSettings, partition: i32, began: i64) -> String {
    let KafkaSettings { group, topic, .. } = settings;
    format!(
        "group `{group}` had a committed offset in topic `{topic}`, partition {partition}, and has \
         none any more: it expired, or the group or the topic was created again; set it with \
         kafka-consumer-groups --reset-offsets (at {began} goldwire last began there; what it has \
         already is not applied twice), and start goldwire again"
    )
}

fn without_start(settings: &KafkaSettings, partition: i32) -> String {
    format!(
        "group `{}` has no committed offset in topic `{}`, partition {partition}; add the key \
         `start` (`earliest`, `latest` or a time) to the source, and start goldwire again",
        settings.group, settings.topic
    )
}

fn outside(settings: &KafkaSettings, found: Found, offset: i64) -> String {
    let Found {
        partition,
        low,
        high,
        ..
    } = found;
    let KafkaSettings { group, topic, .. } = settings;
    let why = if offset < low {
        "records were deleted unread, or the topic was created again"
    } else {
        "the topic was created again, or lost records"
    };
    format!(
        "group `{group}` stands at offset {offset} of topic `{topic}`, partition {partition}, which \
         holds {low} to {high}: {why}; set the group's offset with kafka-consumer-groups \
         --reset-offsets, and start goldwire again"
    )
}

/// The sentence for a position that left the topic while it was read.
pub(super) fn left_behind(settings: &KafkaSettings, partition: i32) -> String {
    format!(
        "the position in topic `{}`, partition {partition}, is not in the topic any more: records \
         were deleted unread, or the topic was created again; look at group `{}` with \
         kafka-consumer-groups --describe, set its offset, and start goldwire again",
        settings.topic, settings.group
    )
}

fn list(topic: &str, partitions: &[i32]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        list.add_partition(topic, *partition);
    }
    list
}

fn absolute(offset: Offset) -> Option<i64> {
    match offset {
        Offset::Offset(offset) if offset >= 0 => Some(offset),
        Offset::Offset(_)
        | Offset::Beginning
        | Offset::End
        | Offset::Stored
        | Offset::Invalid
        | Offset::OffsetTail(_) => None,
    }
}

fn offsets(list: &TopicPartitionList) -> Result<Vec<(i32, Option<i64>)>, Trouble> {
    let elements = list.elements();
    let offset = elements.iter().map(|element| {
        element.error()?;
        Ok((element.partition(), absolute(element.offset())))
    });
    offset.collect()
}

fn committed(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, Option<i64>)>, Trouble> {
    offsets(&consumer.committed_offsets(list(topic, partitions), ANSWER)?)
}

/// Whether the group has a committed offset anywhere in the topic.
fn has_offsets(consumer: &BaseConsumer<Heard>, topic: &str) -> Result<bool, Trouble> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let topics = metadata.topics().iter().filter(|of| of.name() == topic);
    let all: Vec<i32> = topics
        .flat_map(|of| of.partitions().iter().map(MetadataPartition::id))
        .collect();
    Ok(committed(consumer, topic, &all)?
        .iter()
        .any(|(_, offset)| offset.is_some()))
}

fn at_time(
    consumer: &BaseConsumer<Heard>,
    topic: &str,
    partitions: &[i32],
    time: i64,
) -> Result<Vec<(i32, Option<i64>)>, Trouble> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut times = list(topic, partitions);
    times.set_all_offsets(Offset::Offset(time))?;
    offsets(&consumer.offsets_for_times(times, ANSWER)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(start: Option<StartAt>) -> KafkaSettings {
        KafkaSettings {
            bootstrap: "b:9092".to_owned(),
            topic: "t".to_owned(),
            group: "g".to_owned(),
            queue: 1 << 20,
            member: crate::kafka::Membership::default(),
            start,
            properties: std::collections::BTreeMap::new(),
        }
    }

    const FOUND: Found = Found {
        partition: 3,
        committed: None,
        known: None,
        low: 10,
        high: 20,
        at_time: None,
        joined: false,
    };

    fn offset(start: Option<StartAt>, found: Found) -> Result<(i64, bool), String> {
        choose(&settings(start), found).map(|begin| (begin.offset, begin.chosen))
    }

    #[test]
    fn a_committed_offset_is_taken_whatever_start_says() {
        for start in [
            None,
            Some(StartAt::Earliest),
            Some(StartAt::Latest),
            Some(StartAt::Time(5)),
        ] {
            for committed in [10, 15, 20] {
                let found = Found {
                    committed: Some(committed),
                    ..FOUND
                };
                assert_eq!(offset(start, found), Ok((committed, false)));
            }
        }
    }

    #[test]
    fn a_committed_offset_outside_the_topic_halts_and_is_never_reset() {
        for committed in [9, 21] {
            let found = Found {
                committed: Some(committed),
                ..FOUND
            };
            let sentence = offset(Some(StartAt::Earliest), found).unwrap_err();
            for part in [
                format!("offset {committed}"),
                "10 to 20".to_owned(),
                "partition 3".to_owned(),
            ] {
                assert!(sentence.contains(&part), "{sentence}");
            }
        }
    }

    #[test]
    fn g2_a_committed_offset_that_vanished_halts_whatever_start_says() {
        for start in [None, Some(StartAt::Earliest), Some(StartAt::Latest)] {
            let found = Found {
                known: Some(12),
                ..FOUND
            };
            let sentence = offset(start, found).unwrap_err();
            for part in ["partition 3", "none any more", "--reset-offsets", "at 12"] {
                assert!(sentence.contains(part), "{sentence}");
            }
        }
    }

    #[test]
    fn without_a_committed_offset_start_decides() {
        assert_eq!(offset(Some(StartAt::Earliest), FOUND), Ok((10, true)));
        assert_eq!(offset(Some(StartAt::Latest), FOUND), Ok((20, true)));
        let at = Found {
            at_time: Some(12),
            ..FOUND
        };
        assert_eq!(offset(Some(StartAt::Time(5)), at), Ok((12, true)));
        assert_eq!(offset(Some(StartAt::Time(5)), FOUND), Ok((20, true)));
    }

    #[test]
    fn a_partition_that_appeared_later_is_read_from_its_beginning() {
        assert_eq!(
            offset(
                Some(StartAt::Latest),
                Found {
                    joined: true,
                    ..FOUND
                }
            ),
            Ok((10, true))
        );
    }

    #[test]
    fn without_start_it_halts_and_names_what_to_add() {
        let sentence = offset(None, FOUND).unwrap_err();
        for part in ["group `g`", "topic `t`", "partition 3", "key `start`"] {
            assert!(sentence.contains(part), "{sentence}");
        }
    }
}
