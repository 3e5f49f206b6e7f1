//! A record as it was received: what a source hands over, and decoding reads.
//!
//! Guarantee (G8): records of one batch may share a piece of memory; [`Received::bytes`] is a
//! record's part of it, and one that waits for long is given memory of its own by
//! [`Received::detach`].

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::proto::{Origin, SourceRecord};
use crate::time::Millis;

/// A header that decoding reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Whose event it is.
    Tenant,
    /// What happened.
    EventType,
    /// The URI of the object that the event is about.
    Source,
    /// Reltio's version of the object.
    Version,
    /// Reltio's commit time.
    CommitTime,
    /// Names the message, not the change.
    MessageId,
    /// W3C trace context.
    Traceparent,
}

impl Header {
    /// Every header.
    pub const ALL: [Self; 7] = [
        Self::Tenant,
        Self::EventType,
        Self::Source,
        Self::Version,
        Self::CommitTime,
        Self::MessageId,
        Self::Traceparent,
    ];

    /// The name as Reltio writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenantId",
            Self::EventType => "eventType",
            Self::Source => "sourceObjectUri",
            Self::Version => "objectVersion",
            Self::CommitTime => "commitTime",
            Self::MessageId => "messageId",
            Self::Traceparent => "traceparent",
        }
    }

    /// The name in lower case, as records keep it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tenant => "tenantid",
            Self::EventType => "eventtype",
            Self::Source => "sourceobjecturi",
            Self::Version => "objectversion",
            Self::CommitTime => "committime",
            Self::MessageId => "messageid",
            Self::Traceparent => "traceparent",
        }
    }

    /// The header of this name, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        let of = |header: &Self| header.key().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(of)
    }
}

/// The values of those headers, in one piece of text. An empty value is as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: Bytes,
    /// Where each value ends, and the next one begins.
    ends: [usize; Header::ALL.len()],
}

impl Headers {
    /// The header's value; empty if there is none.
    pub fn get(&self, header: Header) -> &str {
        let place = self.values().find(|(of, _)| *of == header);
        place.map_or("", |(_, value)| value)
    }

    /// The headers that have a value.
    pub fn iter(&self) -> impl Iterator<Item = (Header, &str)> {
        self.values().filter(|(_, value)| !value.is_empty())
    }

    fn values(&self) -> impl Iterator<Item = (Header, &str)> {
        let mut start = 0;
        Header::ALL
            .into_iter()
            .zip(self.ends)
            .map(move |(of, end)| {
                let value = self.text.get(start..end).unwrap_or_default();
                start = end;
                (of, str::from_utf8(value).unwrap_or_default())
            })
    }
}

/// Memory for the headers and bodies of one batch.
#[derive(Debug)]
pub struct Packer(BytesMut);

impl Packer {
    /// Room for so many bytes; more is allocated if need be.
    pub fn new(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// A copy of a record's headers and body.
    pub fn pack<'h>(
        &mut self,
        value: impl Fn(Header) -> Option<&'h str>,
        body: &[u8],
    ) -> (Headers, Bytes) {
        let mut ends = [0; Header::ALL.len()];
        for (end, header) in ends.iter_mut().zip(Header::ALL) {
            let value = value(header).unwrap_or_default();
            self.0.extend_from_slice(value.as_bytes());
            *end = self.0.len();
        }
        let headers = self.0.len();
        self.0.extend_from_slice(body);
        let mut all = self.0.split().freeze();
        let text = all.split_to(headers);
        (Headers { text, ends }, all)
    }
}

/// A record as received, stamped with its arrival.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Its source's name in the configuration.
    pub source: Arc<str>,
    /// The topic, or the webhook's path.
    pub topic: Arc<str>,
    /// The source's partition.
    pub partition: i32,
    /// Its place in that partition.
    pub offset: u64,
    /// The id of the message that carried it, if the source knows one; else empty.
    pub message_id: String,
    /// When it came, ms.
    pub received_time: Millis,
    /// The headers that decoding reads.
    pub headers: Headers,
    /// The bytes as they came.
    pub body: Bytes,
    /// How often it was redriven.
    pub round: u32,
}

impl Received {
    /// Bytes of memory that it stands for.
    pub fn bytes(&self) -> usize {
        self.headers.text.len().saturating_add(self.body.len())
    }

    /// The same in memory of its own, so that it does not keep its batch's.
    #[must_use]
    pub fn detach(mut self) -> Self {
        self.headers.text = Bytes::copy_from_slice(&self.headers.text);
        self.body = Bytes::copy_from_slice(&self.body);
        self
    }

    /// The headers that have a value, as dead letters keep them.
    pub fn header_map(&self) -> HashMap<String, String> {
        let headers = self.headers.iter();
        headers
            .map(|(header, value)| (header.key().to_owned(), value.to_owned()))
            .collect()
    }
}

impl From<SourceRecord> for Received {
    fn from(record: SourceRecord) -> Self {
        let SourceRecord {
            source,
            received_time,
            headers: map,
            origin,
            sink: _,
            round,
            body,
        } = record;
        let Origin {
            source: _,
            topic,
            partition,
            offset,
            message_id,
        } = origin.unwrap_or_default();
        let text = map.values().map(String::len).sum();
        let value = |header: Header| map.get(header.key()).map(String::as_str);
        let (headers, _) = Packer::new(text).pack(value, &[]);
        Self {
            source: source.into(),
            topic: topic.into(),
            partition,
            offset: u64::try_from(offset).unwrap_or_default(),
            message_id,
            received_time,
            headers,
            body,
            round,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&str, &str)], body: &'static [u8]) -> Received {
        let pairs = headers.iter();
        Received::from(SourceRecord {
            headers: pairs
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: Bytes::from_static(body),
            ..SourceRecord::default()
        })
    }

    #[test]
    fn headers_are_found_by_name_and_what_is_absent_is_empty() {
        let record = of(
            &[("committime", "5"), ("tenantid", "acme"), ("x", "y")],
            b"{}",
        );
        assert_eq!(record.headers.get(Header::Tenant), "acme");
        assert_eq!(record.headers.get(Header::CommitTime), "5");
        assert_eq!(record.headers.get(Header::Version), "");
        assert_eq!(record.headers.iter().count(), 2);
        assert_eq!(Headers::default().iter().count(), 0);
        assert_eq!(Header::named("OBJECTversion"), Some(Header::Version));
        assert_eq!(Header::named("x-secret"), None);
    }

    #[test]
    fn g8_a_detached_record_is_equal_and_lies_elsewhere() {
        let record = of(&[("tenantid", "acme")], b"a body");
        let detached = record.clone().detach();
        assert_eq!(detached, record);
        assert_eq!(detached.bytes(), 10);
        assert_ne!(detached.body.as_ptr(), record.body.as_ptr());
    }
}
