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
    /// [`Header::Tenant`] as an extension attribute of `CloudEvents`.
    CeTenant,
    /// [`Header::EventType`] as an extension attribute.
    CeEventType,
    /// [`Header::Source`] as an extension attribute.
    CeSource,
    /// [`Header::Version`] as an extension attribute.
    CeVersion,
    /// [`Header::CommitTime`] as an extension attribute.
    CeCommitTime,
    /// [`Header::MessageId`] as an extension attribute.
    CeMessageId,
    /// [`Header::Traceparent`] as an extension attribute: the distributed tracing extension.
    CeTraceparent,
    /// What a carrier calls the event: `type` of `CloudEvents`, `detail-type` of `EventBridge`.
    Label,
    /// What a carrier says the event is about: `subject` of `CloudEvents` and of Event Grid.
    Subject,
    /// `id` of `CloudEvents`.
    CeId,
    /// Google Pub/Sub's id of a message, where a push subscription writes metadata to headers.
    PubSubId,
}

/// Before the names of `CloudEvents`' attributes: in HTTP and Pub/Sub, Kafka, and AMQP.
const CE: [&str; 4] = ["ce-", "ce_", "cloudEvents:", "cloudEvents_"];

impl Header {
    /// Every header.
    pub const ALL: [Self; 18] = [
        Self::Tenant,
        Self::EventType,
        Self::Source,
        Self::Version,
        Self::CommitTime,
        Self::MessageId,
        Self::Traceparent,
        Self::CeTenant,
        Self::CeEventType,
        Self::CeSource,
        Self::CeVersion,
        Self::CeCommitTime,
        Self::CeMessageId,
        Self::CeTraceparent,
        Self::Label,
        Self::Subject,
        Self::CeId,
        Self::PubSubId,
    ];

    /// The name as Reltio writes it, or as Kafka has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tenant => "tenantId",
            Self::EventType => "eventType",
            Self::Source => "sourceObjectUri",
            Self::Version => "objectVersion",
            Self::CommitTime => "commitTime",
            Self::MessageId => "messageId",
            Self::Traceparent => "traceparent",
            Self::CeTenant => "ce_tenantid",
            Self::CeEventType => "ce_eventtype",
            Self::CeSource => "ce_sourceobjecturi",
            Self::CeVersion => "ce_objectversion",
            Self::CeCommitTime => "ce_committime",
            Self::CeMessageId => "ce_messageid",
            Self::CeTraceparent => "ce_traceparent",
            Self::Label => "ce_type",
            Self::Subject => "ce_subject",
            Self::CeId => "ce_id",
            Self::PubSubId => "x-goog-pubsub-message-id",
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
            Self::Traceparent
            | Self::CeTenant
            | Self::CeEventType
            | Self::CeSource
            | Self::CeVersion
            | Self::CeCommitTime
            | Self::CeMessageId
            | Self::CeTraceparent
            | Self::Label
            | Self::Subject
            | Self::CeId
            | Self::PubSubId => self.name(),
        }
    }

    /// The header of this name, whatever its case, and whatever stands before an attribute of
    /// `CloudEvents`.
    pub fn named(name: &str) -> Option<Self> {
        let place = Self::place_of(name)?;
        Self::ALL.get(place).copied()
    }

    /// Its place in [`Header::ALL`].
    fn place_of(name: &str) -> Option<usize> {
        let attribute = CE.iter().find_map(|before| {
            let (start, rest) = name.split_at_checked(before.len())?;
            start.eq_ignore_ascii_case(before).then_some(rest)
        });
        Self::ALL.iter().position(|header| {
            let (key, name) = match attribute {
                Some(attribute) => (header.key().strip_prefix("ce_").unwrap_or(""), attribute),
                None => (header.key(), name),
            };
            !key.is_empty() && key.eq_ignore_ascii_case(name)
        })
    }
}

/// Values of the headers that decoding reads, found by their names.
#[derive(Debug, Default)]
pub struct Values<'h>([Option<&'h str>; Header::ALL.len()]);

impl<'h> Values<'h> {
    /// Keeps `value` if decoding reads the header `name`. Of several with one name the last counts, as
    /// with Kafka's `lastHeader`.
    pub fn keep(&mut self, name: &str, value: &'h str) {
        let place = Header::place_of(name);
        if let Some(kept) = place.and_then(|place| self.0.get_mut(place)) {
            *kept = Some(value);
        }
    }

    /// Bytes of all of them.
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(|value| value.len()).sum()
    }
}

/// The values of those headers, in one piece of text. An empty value is as none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    text: Bytes,
    /// Where each value ends, and the next one begins.
    ends: [u32; Header::ALL.len()],
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
                let end = usize::try_from(end).unwrap_or(usize::MAX);
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
    pub fn pack(&mut self, values: &Values<'_>, body: &[u8]) -> (Headers, Bytes) {
        let mut ends = [0; Header::ALL.len()];
        for (end, value) in ends.iter_mut().zip(values.0) {
            self.0
                .extend_from_slice(value.unwrap_or_default().as_bytes());
            *end = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
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
        let mut values = Values::default();
        for (name, value) in &map {
            values.keep(name, value);
        }
        let (headers, _) = Packer::new(values.bytes()).pack(&values, &[]);
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
    fn attributes_of_cloudevents_have_their_binding_s_prefix_and_places_of_their_own() {
        for name in [
            "ce-tenantid",
            "ce_tenantid",
            "Ce-TenantId",
            "cloudEvents:tenantid",
        ] {
            assert_eq!(Header::named(name), Some(Header::CeTenant), "{name}");
        }
        assert_eq!(Header::named("ce-type"), Some(Header::Label));
        for name in ["ce-", "ce_specversion", "ce-source", "type", "id", "tenant"] {
            assert_eq!(Header::named(name), None, "{name}");
        }
        for header in Header::ALL {
            assert_eq!(Header::named(header.key()), Some(header));
            assert_eq!(header.key(), header.name().to_lowercase());
        }
        let record = of(&[("ce_tenantid", "acme"), ("tenantid", "other")], b"{}");
        assert_eq!(record.headers.get(Header::Tenant), "other");
        assert_eq!(record.headers.get(Header::CeTenant), "acme");
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
