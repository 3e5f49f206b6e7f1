//! What is said about an event outside its object: in Kafka headers, HTTP headers, an envelope's
//! attributes or beside the object. One set of names for all of them.
//!
//! Guarantee: where two places say different things about what happened, to whom, or when, the
//! event is refused; neither is chosen.

use std::borrow::Cow;

use super::DecodeError;
use super::clock::{time, version};
use super::found::{Found, Place};
use crate::event::vocabulary::{EventType, Family};
use crate::event::{Header, Headers};
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
        let value = trimmed(value);
        if value.is_empty() {
            return Ok(());
        }
        let name = field.name();
        if value.len() > MAX_TEXT {
            return Err(too_long(name, &value));
        }
        match field {
            Header::Tenant if value == self.tenant => Ok(()),
            Header::Tenant => Err(DecodeError::UnknownTenant),
            Header::EventType => self.take_event_type(EventType::named(&value), place),
            Header::Source => agree(&mut self.source, value, (name, place)),
            Header::Version => agree(&mut self.version, version(name, &value)?, (name, place)),
            Header::CommitTime => agree(&mut self.commit_time, time(name, &value)?, (name, place)),
            // These two name a copy or an attempt: every carrier may have its own. The outermost
            // is the one that can be looked up where the record came from.
            Header::MessageId => keep_first(&mut self.message_id, value),
            Header::Traceparent => keep_first(&mut self.traceparent, value),
        }
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
