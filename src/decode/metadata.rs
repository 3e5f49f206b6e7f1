//! What is said about an event outside its object: in Kafka headers, HTTP headers, an envelope's
//! attributes or beside the object. One set of names for all of them.
//!
//! Guarantee: where two places say different things about what happened, to whom, or when, the
//! event is refused; neither is chosen.

use std::borrow::Cow;

use super::DecodeError;
use crate::event::vocabulary::{EventType, Family};
use crate::event::{Header, Headers};
use crate::time::Millis;

/// The longest value that is read. Ids and types of Reltio are far shorter.
pub(super) const MAX_TEXT: usize = 1024;

/// Times are from 2001-09-09 to 2100-01-01: what is outside is not in ms. Seconds would make every
/// event look stale, and microseconds would have its lane wait for thousands of years.
const TIMES: std::ops::Range<Millis> = 1_000_000_000_000..4_102_444_800_000;

/// What was said, of one event.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    tenant: &'a str,
    pub(super) event_type: Option<EventType>,
    /// `sourceObjectUri`, or another member that names the same object.
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) version: Option<i64>,
    pub(super) commit_time: Option<Millis>,
    pub(super) message_id: Cow<'a, str>,
    pub(super) traceparent: Cow<'a, str>,
}

impl<'a> Metadata<'a> {
    /// What the headers of a record say. `tenant` is the one that is served.
    pub(super) fn of_headers(headers: &'a Headers, tenant: &'a str) -> Result<Self, DecodeError> {
        let mut metadata = Self {
            tenant,
            event_type: None,
            source: None,
            version: None,
            commit_time: None,
            message_id: Cow::default(),
            traceparent: Cow::default(),
        };
        for (header, value) in headers.iter() {
            metadata.take(header, Cow::Borrowed(value))?;
        }
        Ok(metadata)
    }

    /// Adds what one place says; white space says nothing.
    pub(super) fn take(&mut self, field: Header, value: Cow<'a, str>) -> Result<(), DecodeError> {
        let value = trimmed(value);
        if value.is_empty() {
            return Ok(());
        }
        let bad = DecodeError::BadMember {
            field: field.name(),
        };
        if value.len() > MAX_TEXT {
            return Err(bad);
        }
        match field {
            Header::Tenant if value == self.tenant => Ok(()),
            Header::Tenant => Err(DecodeError::UnknownTenant),
            Header::EventType => self.take_event_type(EventType::named(&value)),
            Header::Source => agree(&mut self.source, value, field),
            Header::Version => agree(&mut self.version, whole_number(&value).ok_or(bad)?, field),
            Header::CommitTime => agree(&mut self.commit_time, time(&value).ok_or(bad)?, field),
            // These two name a copy or an attempt: every carrier may have its own. The outermost
            // is the one that can be looked up where the record came from.
            Header::MessageId => keep_first(&mut self.message_id, value),
            Header::Traceparent => keep_first(&mut self.traceparent, value),
        }
    }

    /// The two vocabularies may be mixed as long as they mean the same.
    fn take_event_type(&mut self, said: EventType) -> Result<(), DecodeError> {
        let Some(known) = self.event_type else {
            self.event_type = Some(said);
            return Ok(());
        };
        if known.kind != said.kind || !known.family.admits(said.family) {
            return Err(DecodeError::Contradiction {
                field: Header::EventType.name(),
            });
        }
        if known.family == Family::Either {
            self.event_type = Some(said);
        }
        Ok(())
    }
}

/// Without the white space around it; copied only if there is some, and it was a copy before.
fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim()),
        Cow::Owned(value) if value.trim().len() == value.len() => Cow::Owned(value),
        Cow::Owned(value) => Cow::Owned(value.trim().to_owned()),
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "one shape for everything that takes a value"
)]
fn keep_first<'a>(known: &mut Cow<'a, str>, value: Cow<'a, str>) -> Result<(), DecodeError> {
    if known.is_empty() {
        *known = value;
    }
    Ok(())
}

fn agree<T: PartialEq>(known: &mut Option<T>, said: T, field: Header) -> Result<(), DecodeError> {
    match known {
        Some(known) if *known != said => Err(DecodeError::Contradiction {
            field: field.name(),
        }),
        _ => {
            *known = Some(said);
            Ok(())
        }
    }
}

fn whole_number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A time in ms since 1970, or ISO-8601 with an offset.
fn time(text: &str) -> Option<Millis> {
    let millis = whole_number(text).or_else(|| {
        let timestamp: jiff::Timestamp = text.parse().ok()?;
        Some(timestamp.as_millisecond())
    })?;
    TIMES.contains(&millis).then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_numbers_and_as_iso_8601() {
        assert_eq!(time("1720773510454"), Some(1_720_773_510_454));
        assert_eq!(time("2024-07-12T08:38:30.454Z"), Some(1_720_773_510_454));
        assert_eq!(
            time("2024-07-12T10:38:30.454+02:00"),
            Some(1_720_773_510_454)
        );
        assert_eq!(
            time("2024-07-12T08:38:30.454+0000"),
            Some(1_720_773_510_454)
        );
    }

    #[test]
    fn what_is_not_a_time_in_milliseconds_is_refused() {
        for text in [
            "-1",
            "1.5",
            "soon",
            "1720773510454000",
            "1720773510",
            "2024-07-12",
            "9999999999999999999",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn two_names_of_one_kind_agree_and_the_narrower_one_stays() {
        let headers = Headers::default();
        let mut metadata = Metadata::of_headers(&headers, "t").unwrap();
        let mut told = |name: &'static str| metadata.take(Header::EventType, name.into());
        told("UPDATE").unwrap();
        told("relationship_changed").unwrap();
        assert_eq!(
            metadata.event_type,
            Some(EventType::named("RELATIONSHIP_CHANGED"))
        );
        let mut told = |name: &'static str| metadata.take(Header::EventType, name.into());
        told("UPDATE").unwrap();
        assert!(told("ENTITY_CHANGED").is_err());
        assert!(told("CREATE").is_err());
    }
}
