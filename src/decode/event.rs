//! Who an event is about, and what it says of each.
//!
//! Guarantee (G9): a record about another subject than the event's own never carries the version
//! of that one, and no one is called a survivor because of a place in a list.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::found::Place;
use super::layer::{Layer, object, text};
use super::metadata::{Metadata, Said};
use super::uris::{ObjectHead, any_uri, other_uris, own_uri};
use super::{DecodeError, DecodeSettings, Events};
use crate::event::vocabulary::{EventType, Family};
use crate::event::{
    Activity, Completeness, CompletenessConfig, Content, EventRecord, Header, Kind, Origin,
    Received, State, event_id, short_name,
};
use crate::mutation::{self, Mutation};

/// An event, before it is a record for each of its subjects.
pub(super) struct Event<'a> {
    meaning: EventType,
    /// The object that the event itself is about: `sourceObjectUri`.
    own: Option<Cow<'a, str>>,
    /// What else it names, without `own`, each once, in the order sent.
    others: Vec<Cow<'a, str>>,
    /// The object itself, if it is there.
    snapshot: Option<&'a str>,
    object_type: Cow<'a, str>,
    metadata: Metadata<'a>,
}

/// What an event says of one subject.
struct Part<'e> {
    subject: &'e str,
    kind: Kind,
    state: State,
    survivor: Option<&'e str>,
    /// The event's own subject: the version, the object and the type are this one's.
    own: bool,
}

#[derive(serde::Deserialize)]
struct Deltas<'a> {
    #[serde(borrow, rename = "entityType", alias = "relationType")]
    object_type: Option<&'a RawValue>,
}

impl<'a> Event<'a> {
    /// Reads what `layer` and its carriers say.
    pub(super) fn read(layer: &Layer<'a>, mut metadata: Metadata<'a>) -> Result<Self, DecodeError> {
        let Some(Said {
            value: event_type,
            place,
        }) = metadata.event_type
        else {
            return Err(DecodeError::NoType);
        };
        if event_type.kind == Kind::Other {
            return Ok(Self::of_no_consequence(layer, metadata, event_type));
        }
        let head: ObjectHead<'a> = match layer.object {
            Some(json) => object("object", json)?,
            None => ObjectHead::default(),
        };
        let own = own_uri(layer, &head, metadata.source.take())?;
        let others = other_uris(layer, own.as_deref())?;
        let event = Self {
            meaning: event_type,
            own,
            others,
            snapshot: snapshot(layer),
            object_type: object_type(layer, &head)?,
            metadata,
        };
        event.is_of_one_family(place)?;
        Ok(event)
    }

    /// An event that moves nothing is kept whatever it looks like: its shape may be one that is
    /// not known here, and must not end in dead letters.
    fn of_no_consequence(
        layer: &Layer<'a>,
        mut metadata: Metadata<'a>,
        event_type: EventType,
    ) -> Self {
        let head: ObjectHead<'a> = layer
            .object
            .and_then(|json| object("object", json).ok())
            .unwrap_or_default();
        let object_type = object_type(layer, &head).unwrap_or_default();
        let own = Some(any_uri(layer, &head, metadata.source.take()));
        Self {
            meaning: event_type,
            own,
            others: Vec::new(),
            snapshot: None,
            object_type,
            metadata,
        }
    }

    /// Events about relations never become records about entities, nor the reverse.
    /// `place` is where the event type was said.
    fn is_of_one_family(&self, mut place: Place) -> Result<(), DecodeError> {
        let mut known = self.meaning.family;
        let own = self.own.iter().map(|uri| (uri, Header::Source.name()));
        for (uri, member) in own.chain(self.others.iter().map(|uri| (uri, "uris"))) {
            let family = Family::of(uri).unwrap_or(Family::Either);
            if !known.admits(family) {
                return Err(DecodeError::Contradiction {
                    field: "entities or relations",
                    first: place,
                    second: Place::Member(member),
                });
            }
            if known == Family::Either {
                place = Place::Member(member);
            }
            known = family;
        }
        Ok(())
    }

    fn part<'e>(&self, subject: &'e str, kind: Kind, own: bool) -> Part<'e> {
        let state = match kind {
            Kind::Removed => State::Removed,
            Kind::Erased => State::Erased,
            Kind::Absorbed => State::Absorbed,
            Kind::Created | Kind::Changed | Kind::Merged | Kind::Split
                if own && self.snapshot.is_some() =>
            {
                State::Alive
            }
            Kind::Other
            | Kind::Created
            | Kind::Changed
            | Kind::Merged
            | Kind::Split
            | Kind::Spawned => State::Unknown,
        };
        Part {
            subject,
            kind,
            state,
            survivor: None,
            own,
        }
    }

    /// One record for each subject. `bytes` are the event's own, without their carriers: what an
    /// envelope adds differs between copies of one change (G5).
    pub(super) fn records(
        &self,
        received: &Received,
        settings: &DecodeSettings,
        bytes: &Bytes,
        events: &mut Events,
    ) -> Result<(), DecodeError> {
        let kind = self.meaning.kind;
        let mut add = |part: &Part<'_>| {
            events.add(|record| self.fill(record, part, (received, settings), bytes));
        };
        let Some(own) = self.own.as_deref() else {
            if self.others.is_empty() {
                return Err(DecodeError::NoSubject);
            }
            // Who survived a merge, or what was split off what, is not said: each is read.
            let several = matches!(kind, Kind::Merged | Kind::Split);
            let alone = self.others.len() == 1 && !several;
            for uri in &self.others {
                add(&self.part(uri, kind, alone));
            }
            return Ok(());
        };
        add(&self.part(own, kind, true));
        let Some(other_kind) = of_the_others(kind) else {
            return Ok(());
        };
        for uri in &self.others {
            let survivor = (other_kind == Kind::Absorbed).then_some(own);
            add(&Part {
                survivor,
                ..self.part(uri, other_kind, false)
            });
        }
        Ok(())
    }

    fn fill(
        &self,
        record: &mut EventRecord,
        part: &Part<'_>,
        (received, settings): (&Received, &DecodeSettings),
        bytes: &Bytes,
    ) {
        record.tenant.push_str(&settings.tenant);
        record.subject.push_str(part.subject);
        record.set_kind(part.kind);
        record.set_state(part.state);
        let said = (self.metadata.version).map(|said| said.value);
        record.version = said.filter(|_| part.own || mutation::is(Mutation::LoserInheritsVersion));
        record.commit_time = (self.metadata.commit_time).map(|said| said.value);
        record.received_time = received.received_time;
        record.absorbed_by = part.survivor.map(str::to_owned);
        let named = self.own.iter().chain(&self.others);
        let related = named.filter(|uri| *uri != part.subject);
        record.related.extend(related.map(ToString::to_string));
        record.traceparent.push_str(&self.metadata.traceparent);
        self.tell_origin(record.origin.get_or_insert_default(), received);
        if part.own {
            record.object_type.push_str(&self.object_type);
        }
        if part.state == State::Alive {
            declare(record, &settings.completeness);
        }
        if record.state() == State::Alive || part.kind == Kind::Other {
            record.set_content(Content::Event);
            record.payload = bytes.clone();
        }
        if record.state() == State::Alive {
            (record.object_at, record.object_length) = place(self.snapshot, bytes);
            let is_ended = |text| Activity::of_text(text).is_ended(received.received_time);
            record.ended = self.snapshot.is_some_and(is_ended);
        }
        let id = event_id(record, bytes);
        record.id.push_str(id.as_str());
    }

    fn tell_origin(&self, origin: &mut Origin, received: &Received) {
        origin.source.push_str(&received.source);
        origin.topic.push_str(&received.topic);
        origin.partition = received.partition;
        origin.offset = i64::try_from(received.offset).unwrap_or(i64::MAX);
        let known = [received.message_id.as_str(), &self.metadata.message_id];
        let message_id = known.into_iter().find(|id| !id.is_empty());
        origin.message_id.push_str(message_id.unwrap_or_default());
    }
}

/// What an event of this kind is to the others that it names, if it is anything.
fn of_the_others(kind: Kind) -> Option<Kind> {
    match kind {
        Kind::Merged => Some(Kind::Absorbed),
        Kind::Split => Some(Kind::Spawned),
        Kind::Other
        | Kind::Created
        | Kind::Changed
        | Kind::Removed
        | Kind::Erased
        | Kind::Absorbed
        | Kind::Spawned => None,
    }
}

fn declare(record: &mut EventRecord, completeness: &CompletenessConfig) {
    match completeness {
        CompletenessConfig::Whole => record.set_completeness(Completeness::Whole),
        CompletenessConfig::OvOnly => record.set_completeness(Completeness::OvOnly),
        CompletenessConfig::Fields(fields) => {
            record.set_completeness(Completeness::Fields);
            record.fields.extend_from_slice(fields);
        }
        // What is absent may be empty or not sent: Reltio is read, as if nothing had been.
        CompletenessConfig::Mixed => record.set_state(State::Unknown),
    }
}

/// The object, if it is told and not cut.
fn snapshot<'a>(layer: &Layer<'a>) -> Option<&'a str> {
    let whole = layer.object.filter(|_| !layer.is_oversize());
    let object = whole.map(RawValue::get).filter(|json| holds_members(json));
    let deltas = layer
        .deltas
        .filter(|_| mutation::is(Mutation::DeltaApplied));
    object.or(deltas.map(RawValue::get))
}

/// Where `part` of `bytes` begins, and how long it is; zeros if that is not known.
fn place(part: Option<&str>, bytes: &Bytes) -> (u32, u32) {
    let place = part.and_then(|part| {
        let at = part.as_ptr().addr().checked_sub(bytes.as_ptr().addr())?;
        let end = at.checked_add(part.len())?;
        let within = end <= bytes.len();
        within.then_some((u32::try_from(at).ok()?, u32::try_from(part.len()).ok()?))
    });
    place.unwrap_or_default()
}

/// `{}` is a snapshot of nothing: taken for whole, it would empty the subject everywhere.
fn holds_members(object: &str) -> bool {
    object
        .bytes()
        .skip(1)
        .find(|byte| !byte.is_ascii_whitespace())
        != Some(b'}')
}

fn object_type<'a>(layer: &Layer<'a>, head: &ObjectHead<'a>) -> Result<Cow<'a, str>, DecodeError> {
    if let Some(json) = head.object_type {
        return Ok(short(text("object.type", json)?));
    }
    let Some(json) = layer.deltas else {
        return Ok(Cow::default());
    };
    let deltas: Deltas<'a> = object("deltas", json)?;
    match deltas.object_type {
        Some(json) => Ok(short(text("deltas.entityType", json)?)),
        None => Ok(Cow::default()),
    }
}

fn short(name: Cow<'_, str>) -> Cow<'_, str> {
    match name {
        Cow::Borrowed(name) => Cow::Borrowed(short_name(name)),
        Cow::Owned(name) => Cow::Owned(short_name(&name).to_owned()),
    }
}
