//! From a Kafka message to a record as received.

use std::collections::HashMap;

use bytes::Bytes;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::decode::reads_header;
use crate::event::{Origin, SourceRecord};
use crate::time::Millis;

/// The record of `message`, stamped `now`. A tombstone has an empty body.
pub(super) fn record(source: &str, message: &BorrowedMessage<'_>, now: Millis) -> SourceRecord {
    SourceRecord {
        source: source.to_owned(),
        received_time: now,
        headers: headers(message),
        origin: Some(Origin {
            source: source.to_owned(),
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            ..Origin::default()
        }),
        body: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        ..SourceRecord::default()
    }
}

/// Of several headers with one name the last counts, as with Kafka's `lastHeader`.
fn headers(message: &BorrowedMessage<'_>) -> HashMap<String, String> {
    let all = message
        .headers()
        .into_iter()
        .flat_map(|headers| headers.iter());
    let text = all.filter_map(|header| {
        let name = header.key.to_ascii_lowercase();
        let value = std::str::from_utf8(header.value?).ok()?;
        reads_header(&name).then(|| (name, value.to_owned()))
    });
    text.collect()
}
