//! From Kafka messages to records as received.

use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _};

use crate::event::{Packer, Received, Values};
use crate::source::Batch;
use crate::time::Millis;

/// What all records of a batch have in common.
#[derive(Debug)]
pub(super) struct Of {
    pub(super) source: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) now: Millis,
}

/// The records of `messages`. Headers and bodies are copied, once, into one piece of memory: what
/// librdkafka read ahead is free again. A tombstone has an empty body.
pub(super) fn batch(of: &Of, messages: &[BorrowedMessage<'_>]) -> Batch {
    let headers: Vec<_> = messages.iter().map(headers).collect();
    let text = headers.iter().map(Values::bytes);
    let bodies = messages.iter().map(BorrowedMessage::payload_len);
    let mut packer = Packer::new(text.chain(bodies).sum());
    let records = messages.iter().zip(&headers).map(|(message, values)| {
        let (headers, body) = packer.pack(values, message.payload().unwrap_or_default());
        Received {
            source: Arc::clone(&of.source),
            topic: Arc::clone(&of.topic),
            partition: of.partition,
            offset: u64::try_from(message.offset()).unwrap_or_default(),
            message_id: String::new(),
            received_time: of.now,
            headers,
            body,
            round: 0,
        }
    });
    Batch {
        reached: None,
        partition: of.partition,
        records: records.collect(),
    }
}

/// The values of the headers that decoding reads.
fn headers<'m>(message: &'m BorrowedMessage<'_>) -> Values<'m> {
    let mut values = Values::default();
    let all = message
        .headers()
        .into_iter()
        .flat_map(BorrowedHeaders::iter);
    for header in all {
        if let Some(text) = header.value.and_then(|value| str::from_utf8(value).ok()) {
            values.keep(header.key, text);
        }
    }
    values
}
