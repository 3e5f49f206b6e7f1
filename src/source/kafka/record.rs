//! From Kafka messages to records as received.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use rdkafka::Message;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _};

use crate::event::{Packer, Received, SourceRecord, Values};
use crate::source::Batch;
use crate::time::Millis;

/// What the records of a topic are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Events, which came when they are read.
    Events,
    /// What the inbox keeps: records of other sources, each with its arrival.
    Inbox,
}

/// What all records of a batch have in common.
#[derive(Debug)]
pub(super) struct Of {
    pub(super) form: Form,
    pub(super) source: Arc<str>,
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) now: Millis,
}

/// The records of `messages`, as far as this version can read them, and the offset of the first
/// that it cannot.
pub(super) fn batch(of: &Of, messages: &[BorrowedMessage<'_>]) -> (Batch, Option<u64>) {
    let mut batch = Batch {
        partition: of.partition,
        ..Batch::default()
    };
    if of.form == Form::Events {
        batch.records = events(of, messages);
        return (batch, None);
    }
    for message in messages {
        let offset = offset(message);
        let body = Bytes::copy_from_slice(message.payload().unwrap_or_default());
        let Ok(record) = SourceRecord::decode(body) else {
            return (batch, Some(offset));
        };
        batch.records.push_back(Received {
            partition: of.partition,
            offset,
            ..Received::from(record)
        });
    }
    (batch, None)
}

fn offset(message: &BorrowedMessage<'_>) -> u64 {
    u64::try_from(message.offset()).unwrap_or_default()
}

/// Headers and bodies are copied, once, into one piece of memory: what librdkafka read ahead is free
/// again. A tombstone has an empty body.
fn events(of: &Of, messages: &[BorrowedMessage<'_>]) -> VecDeque<Received> {
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
            offset: offset(message),
            message_id: String::new(),
            received_time: of.now,
            headers,
            body,
            round: 0,
        }
    });
    records.collect()
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
