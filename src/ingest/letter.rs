//! What ingest could not make an event of, as a dead letter: with its bytes and headers as received.

use crate::dead_letter::DeadLetter;
use crate::decode::DecodeError;
use crate::event::{EventId, Received};
use crate::time::Millis;

/// Why a record is dead-lettered by ingest.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) stage: &'static str,
    pub(super) reason: &'static str,
    pub(super) code: String,
    /// The same in a sentence, without anything of the record (G10).
    pub(super) detail: String,
}

impl Refused {
    /// The log takes no record as large as what became of it, however often it is tried.
    pub(super) fn too_large(largest: usize) -> Self {
        Self {
            stage: "append",
            reason: "too_large",
            code: "record_too_large".to_owned(),
            detail: format!(
                "its event, with what was read for it, is larger than the {largest} bytes that a \
                 record of the log may have; with `log.kafka`, raise its `max_record` and the \
                 topics' max.message.bytes, and redrive"
            ),
        }
    }

    /// It names a source that is not configured any more.
    pub(super) fn unknown_source() -> Self {
        Self {
            stage: "decode",
            reason: "undecodable",
            code: "unknown_source".to_owned(),
            detail: "its source is not in the configuration any more".to_owned(),
        }
    }
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        let reason = if error == DecodeError::UnknownTenant {
            "unknown_tenant"
        } else {
            "undecodable"
        };
        Self {
            stage: "decode",
            reason,
            code: error.code().to_owned(),
            detail: error.to_string(),
        }
    }
}

/// The letter of a record that is refused now.
pub(super) fn letter(record: &Received, refused: Refused, now: Millis) -> DeadLetter {
    // A letter may wait for the disk: it must not keep its batch's memory (G8).
    let own = record.clone().detach();
    DeadLetter {
        id: identity(record).as_str().to_owned(),
        round: record.round,
        source: record.source.to_string(),
        topic: record.topic.to_string(),
        partition: record.partition,
        offset: i64::try_from(record.offset).unwrap_or(i64::MAX),
        stage: refused.stage.to_owned(),
        action: refused.stage.to_owned(),
        reason: refused.reason.to_owned(),
        code: refused.code,
        detail: refused.detail,
        attempts: 1,
        first_time: now,
        last_time: now,
        processor: env!("CARGO_PKG_VERSION").to_owned(),
        headers: own.header_map(),
        original: own.body,
        ..DeadLetter::default()
    }
}

/// The identity of what could not be decoded: its bytes and the headers that decoding read.
fn identity(record: &Received) -> EventId {
    let mut bytes = Vec::with_capacity(record.bytes().saturating_add(256));
    let mut headers: Vec<_> = record.headers.iter().collect();
    headers.sort_unstable_by_key(|(header, _)| header.key());
    for (header, value) in headers {
        for text in [header.key(), value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0);
        }
    }
    bytes.extend_from_slice(&record.body);
    EventId::of_bytes(&bytes)
}
