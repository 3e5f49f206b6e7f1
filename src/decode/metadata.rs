//! What is said about an event outside its object: in Kafka headers, HTTP headers, an envelope's
//! attributes or beside the object. One set of names for all of them.
//!
//! Guarantee: where two places say different things about what happened, to what, or when, the
//! event is refused; neither is chosen.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::DecodeError;
use super::clock::{time, version};
use super::found::{Found, Place};
use super::layer::text;
use super::uris::is_subject;
use crate::event::vocabulary::{EventType, Family};
use crate::event::{Header, Headers, Kind};
use crate::time::Millis;

/// The longest value that is read. Ids and types of Reltio are far shorter.
pub(super) const MAX_TEXT: usize = 1024;

/// Something, and where it was said first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// What was said, of one event.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    tenant: &'a str,
    pub(super) event_type: Option<Said<EventType>>,
    /// `sourceObjectUri`, or another member that names the same object.
    pub(super) source: Option<Said<Cow<'a, str>>>,
    pub(super) version: Option<Said<i64>>,
    pub(super) commit_time: Option<Said<Millis>>,
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
            metadata.take(header, Cow::Borrowed(value), Place::Headers)?;
        }
        Ok(metadata)
    }

    /// Adds what one place says; white space says nothing.
    pub(super) fn take(
        &mut self,
        field: Header,
        value: Cow<'a, str>,
        place: Place,
    ) -> Result<(), DecodeError> {
        let value = plain(field, trimmed(value));
        if value.is_empty() {
            return Ok(());
        }
        let name = field.name();
        if value.len() > MAX_TEXT {
            // What is a carrier's own may be of any length, and says nothing then.
            let own = matches!(field, Header::Label | Header::Subject);
            return if own {
                Ok(())
            } else {
                Err(too_long(name, &value))
            };
        }
        let at = (name, place);
        match field {
            Header::Tenant | Header::CeTenant if value == self.tenant => Ok(()),
            Header::Tenant | Header::CeTenant => Err(DecodeError::UnknownTenant),
            Header::EventType | Header::CeEventType => {
                self.take_event_type(EventType::named(&value), place)
            }
            Header::Label => self.take_label(EventType::named(&value), place),
            Header::Source | Header::CeSource => agree(&mut self.source, value, at),
            Header::Subject if is_subject(&value) => agree(&mut self.source, value, at),
            Header::Subject => Ok(()),
            Header::Version | Header::CeVersion => {
                agree(&mut self.version, version(name, &value)?, at)
            }
            Header::CommitTime | Header::CeCommitTime => {
                agree(&mut self.commit_time, time(name, &value)?, at)
            }
            // These name a copy or an attempt: every carrier may have its own. The outermost is the
            // one that can be looked up where the record came from.
            Header::MessageId | Header::CeMessageId | Header::CeId | Header::PubSubId => {
                keep_first(&mut self.message_id, value)
            }
            Header::Traceparent | Header::CeTraceparent => keep_first(&mut self.traceparent, value),
        }
    }

    /// What a carrier calls the event is the sender's to choose: only a name of Reltio's says
    /// something.
    fn take_label(&mut self, said: EventType, place: Place) -> Result<(), DecodeError> {
        if said.kind == Kind::Other {
            return Ok(());
        }
        self.take_event_type(said, place)
    }

    /// The two vocabularies may be mixed as long as they mean the same.
    fn take_event_type(&mut self, said: EventType, place: Place) -> Result<(), DecodeError> {
        let Some(known) = self.event_type else {
            self.event_type = Some(Said { value: said, place });
            return Ok(());
        };
        if known.value.kind != said.kind || !known.value.family.admits(said.family) {
            return Err(DecodeError::Contradiction {
                field: Header::EventType.name(),
                first: known.place,
                second: place,
            });
        }
        if known.value.family == Family::Either {
            self.event_type = Some(Said { value: said, place });
        }
        Ok(())
    }
}

/// A value without what a converter may have put around it: the quotes of JSON, of the HTTP binding
/// of `CloudEvents` or of Service Bus, or Kafka Connect's schema.
fn plain(field: Header, value: Cow<'_, str>) -> Cow<'_, str> {
    if !matches!(value.as_bytes().first(), Some(b'"' | b'{')) {
        return value;
    }
    match value {
        Cow::Borrowed(written) => inner(field, written).unwrap_or(value),
        Cow::Owned(written) => {
            let inner = inner(field, &written).map(Cow::into_owned);
            Cow::Owned(inner.unwrap_or(written))
        }
    }
}

/// The text that is written as JSON.
fn inner(field: Header, written: &str) -> Option<Cow<'_, str>> {
    let json: &RawValue = serde_json::from_str(written).ok()?;
    text(field.name(), json).ok()
}

/// The refusal of a text that is longer than [`MAX_TEXT`].
pub(super) fn too_long(field: &'static str, text: &str) -> DecodeError {
    DecodeError::BadMember {
        field,
        found: Found::Text(text.chars().count()),
        expected: "at most 1024 bytes",
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

fn agree<T: PartialEq>(
    known: &mut Option<Said<T>>,
    value: T,
    (field, place): (&'static str, Place),
) -> Result<(), DecodeError> {
    match known {
        Some(known) if known.value != value => Err(DecodeError::Contradiction {
            field,
            first: known.place,
            second: place,
        }),
        Some(_) => Ok(()),
        None => {
            *known = Some(Said { value, place });
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_kind_agree_and_the_narrower_one_stays() {
        let headers = Headers::default();
        let mut metadata = Metadata::of_headers(&headers, "t").unwrap();
        let mut told =
            |name: &'static str| metadata.take(Header::EventType, name.into(), Place::Headers);
        told("UPDATE").unwrap();
        told("relationship_changed").unwrap();
        assert_eq!(
            metadata.event_type.map(|said| said.value),
            Some(EventType::named("RELATIONSHIP_CHANGED"))
        );
        let mut told =
            |name: &'static str| metadata.take(Header::EventType, name.into(), Place::Headers);
        told("UPDATE").unwrap();
        assert!(told("ENTITY_CHANGED").is_err());
        assert!(told("CREATE").is_err());
    }
}
