//! A topic that holds the newest snapshot of every entity.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::Failed;
use crate::throughput::event::Event;
use crate::throughput::expected::{Expected, index};

const ASK: Duration = Duration::from_secs(30);

/// What a reader of the topic knows of an entity.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    version: u32,
    partition: Option<i32>,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    records: u64,
    tombstones: u64,
    /// The same version as before.
    repeated: u64,
    /// An older version than before.
    went_back: u64,
}

/// Reads the whole topic.
pub(super) fn read(bootstrap: &str, topic: &str, expected: &mut Expected) -> Result<Value, Failed> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "loadtest-account")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        // Offsets do not say how many records there are: markers of transactions have some too.
        .set("enable.partition.eof", "true")
        .create()?;
    let mut left = assign(&consumer, topic)?;
    let mut known = vec![Known::default(); expected.slots()];
    let (mut counted, mut heard) = (Counted::default(), Instant::now());
    while left > 0 {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            if heard.elapsed() > ASK {
                return Err(format!("{topic}: the ends of {left} partitions do not come").into());
            }
            continue;
        };
        heard = Instant::now();
        match message {
            Err(KafkaError::PartitionEOF(_)) => left -= 1,
            message => take(&message?, &mut known, &mut counted, expected),
        }
    }
    let versions: Vec<u32> = known.iter().map(|known| known.version).collect();
    expected.compare_newest(&versions);
    let keys = versions.iter().filter(|version| **version > 0).count();
    let Counted {
        records,
        tombstones,
        repeated,
        went_back,
    } = counted;
    Ok(json!({
        "records": records, "keys": keys, "tombstones": tombstones,
        "repeated": repeated, "went_back": went_back,
    }))
}

/// Begins at the beginning of every partition: how many partitions there are.
fn assign(consumer: &BaseConsumer, topic: &str) -> Result<usize, Failed> {
    let metadata = consumer.fetch_metadata(Some(topic), ASK)?;
    let partitions = metadata.topics().first().map(MetadataTopic::partitions);
    let mut list = TopicPartitionList::new();
    for partition in partitions.unwrap_or_default() {
        let (low, _) = consumer.fetch_watermarks(topic, partition.id(), ASK)?;
        if low != 0 {
            return Err(format!("{topic}: its first records are gone").into());
        }
        list.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    Ok(list.count())
}

/// Takes one record into account.
fn take(
    message: &BorrowedMessage<'_>,
    known: &mut [Known],
    counted: &mut Counted,
    expected: &mut Expected,
) {
    counted.records += 1;
    let at = format!(
        "partition {} offset {}",
        message.partition(),
        message.offset()
    );
    let version = header(message, "goldwire.version").unwrap_or_default();
    let key = message.key().map(std::str::from_utf8);
    let Some(event) = key
        .and_then(Result::ok)
        .and_then(|key| expected.change(key, version))
    else {
        expected.defect(format!("{at} is no change that was sent"));
        return;
    };
    if let Some(what) = difference(message, event) {
        expected.defect(format!("{at}: {} version {version}: {what}", event.uri()));
    }
    counted.tombstones += u64::from(message.payload().is_none());
    let Some(known) = known.get_mut(index(event.entity)) else {
        return;
    };
    if known.partition.is_some_and(|of| of != message.partition()) {
        expected.defect(format!("{at}: {} is in two partitions", event.uri()));
    }
    counted.repeated += u64::from(event.version == known.version);
    counted.went_back += u64::from(event.version < known.version);
    *known = Known {
        version: event.version,
        partition: Some(message.partition()),
    };
}

/// What is not as it was sent.
fn difference(message: &BorrowedMessage<'_>, event: Event) -> Option<&'static str> {
    let time = event.commit_time().to_string();
    for name in ["goldwire.commit_time", "goldwire.content_time"] {
        if header(message, name) != Some(&time) {
            return Some("its times are others");
        }
    }
    let (state, kind) = match event.event_type() {
        "ENTITY_REMOVED" => ("removed", "removed"),
        "ENTITY_CREATED" => ("alive", "created"),
        _ => ("alive", "changed"),
    };
    if header(message, "goldwire.state") != Some(state) {
        return Some("its state is another");
    }
    if header(message, "goldwire.kind") != Some(kind) {
        return Some("its kind is another");
    }
    match message.payload() {
        None => (!event.is_removal()).then_some("it is a tombstone"),
        Some(_) if event.is_removal() => Some("it is no tombstone"),
        Some(payload) => {
            let mut object = String::new();
            event.write_object(&mut object, 0);
            (payload != object.as_bytes()).then_some("its bytes are others")
        }
    }
}

fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a str> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?;
    std::str::from_utf8(found.value?).ok()
}
