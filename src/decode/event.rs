//! Who an event is about, and what it says of each.
//!
//! Guarantee (G9): a record about another subject than the event's own never carries the version
//! of that one, and nobody is called a survivor because of a place in a list.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::layer::{Layer, object, text};
use super::metadata::{Field, Metadata};
use super::uris::{ObjectHead, any_uri, other_uris, own_uri};
use super::vocabulary::{EventType, Family};
use super::{DecodeError, DecodeSettings};
use crate::config::CompletenessConfig;
use crate::event::{
    Completeness, Content, EventRecord, Kind, Origin, SourceRecord, State, event_id, short_name,
};
use crate::mutation::{self, Mutation};

/// An event, before it is a record for each of its subjects.
pub(super) struct Event<'a> {
    meaning: EventType,
    /// The object that the event itself is about: `sourceObjectUri`.
    own: Option<String>,
    /// Whom else it names, without `own`, each once, in the order sent.
    others: Vec<String>,
    /// Whether the object itself is there.
    snapshot: bool,
    object_type: String,
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
    pub(super) fn read(layer: &Layer<'_>, metadata: Metadata<'a>) -> Result<Self, DecodeError> {
        let event_type = metadata.event_type.ok_or(DecodeError::NoType)?;
        if event_type.kind == Kind::Other {
            return Ok(Self::of_no_consequence(layer, metadata, event_type));
        }
        let head: ObjectHead<'_> = match layer.object {
            Some(json) => object("object", json)?,
            None => ObjectHead::default(),
        };
        let own = own_uri(layer, &head, metadata.source.as_deref())?;
        let others = other_uris(layer, own.as_deref())?;
        let members = layer.object.is_some_and(|json| holds_members(json.get()));
        let event = Self {
            meaning: event_type,
            own,
            others,
            snapshot: members && !layer.is_oversize()
                || mutation::is(Mutation::DeltaApplied) && layer.deltas.is_some(),
            object_type: object_type(layer, &head)?,
            metadata,
        };
        event.is_of_one_family()?;
        Ok(event)
    }

    /// An event that moves nothing is kept whatever it looks like: its shape may be one that is
    /// not known here, and must not end in dead letters.
    fn of_no_consequence(layer: &Layer<'_>, metadata: Metadata<'a>, event_type: EventType) -> Self {
        let head: ObjectHead<'_> = layer
            .object
            .and_then(|json| object("object", json).ok())
            .unwrap_or_default();
        let object_type = object_type(layer, &head).unwrap_or_default();
        let own = Some(any_uri(layer, &head, metadata.source.as_deref()));
        Self {
            meaning: event_type,
            own,
            others: Vec::new(),
            snapshot: false,
            object_type,
            metadata,
        }
    }

    /// Events about relations never become records about entities, nor the reverse.
    fn is_of_one_family(&self) -> Result<(), DecodeError> {
        let mut known = self.meaning.family;
        for uri in self.own.iter().chain(&self.others) {
            let family = Family::of(uri).unwrap_or(Family::Either);
            if !known.admits(family) {
                return Err(DecodeError::Contradiction {
                    field: Field::Source.name(),
                });
            }
            known = family;
        }
        Ok(())
    }

    fn parts(&self) -> Result<Vec<Part<'_>>, DecodeError> {
        let kind = self.meaning.kind;
        let several = matches!(kind, Kind::Merged | Kind::Split);
        let Some(own) = self.own.as_deref() else {
            if self.others.is_empty() {
                return Err(DecodeError::NoSubject);
            }
            // Who survived a merge, or what was split off whom, is not said: each is read.
            let alone = self.others.len() == 1 && !several;
            return Ok(self
                .others
                .iter()
                .map(|uri| self.part(uri, kind, alone))
                .collect());
        };
        let mut parts = vec![self.part(own, kind, true)];
        let other_kind = match kind {
            Kind::Merged => Kind::Absorbed,
            Kind::Split => Kind::Spawned,
            Kind::Other
            | Kind::Created
            | Kind::Changed
            | Kind::Removed
            | Kind::Erased
            | Kind::Absorbed
            | Kind::Spawned => return Ok(parts),
        };
        for uri in &self.others {
            let survivor = (other_kind == Kind::Absorbed).then_some(own);
            parts.push(Part {
                survivor,
                ..self.part(uri, other_kind, false)
            });
        }
        Ok(parts)
    }

    fn part<'e>(&self, subject: &'e str, kind: Kind, own: bool) -> Part<'e> {
        let state = match kind {
            Kind::Removed => State::Removed,
            Kind::Erased => State::Erased,
            Kind::Absorbed => State::Absorbed,
            Kind::Created | Kind::Changed | Kind::Merged | Kind::Split if own && self.snapshot => {
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
        received: &SourceRecord,
        settings: &DecodeSettings,
        bytes: &Bytes,
    ) -> Result<Vec<EventRecord>, DecodeError> {
        let parts = self.parts()?;
        Ok(parts
            .iter()
            .map(|part| self.record(part, received, settings, bytes))
            .collect())
    }

    fn record(
        &self,
        part: &Part<'_>,
        received: &SourceRecord,
        settings: &DecodeSettings,
        bytes: &Bytes,
    ) -> EventRecord {
        let named = self.own.iter().chain(&self.others);
        let mut record = EventRecord {
            tenant: settings.tenant.clone(),
            subject: part.subject.to_owned(),
            kind: part.kind.into(),
            state: part.state.into(),
            version: (self.metadata.version)
                .filter(|_| part.own || mutation::is(Mutation::LoserInheritsVersion)),
            commit_time: self.metadata.commit_time,
            received_time: received.received_time,
            absorbed_by: part.survivor.map(str::to_owned),
            related: named.filter(|uri| *uri != part.subject).cloned().collect(),
            traceparent: self.metadata.traceparent.clone(),
            origin: Some(self.origin(received)),
            ..EventRecord::default()
        };
        if part.own {
            record.object_type.clone_from(&self.object_type);
        }
        if part.state == State::Alive {
            declare(&mut record, &settings.completeness);
        }
        if record.state() == State::Alive || part.kind == Kind::Other {
            record.set_content(Content::Event);
            record.payload = bytes.clone();
        }
        event_id(&record, bytes).as_str().clone_into(&mut record.id);
        record
    }

    fn origin(&self, received: &SourceRecord) -> Origin {
        let mut origin = received.origin.clone().unwrap_or_default();
        if origin.source.is_empty() {
            origin.source.clone_from(&received.source);
        }
        if origin.message_id.is_empty() {
            origin.message_id.clone_from(&self.metadata.message_id);
        }
        origin
    }
}

fn declare(record: &mut EventRecord, completeness: &CompletenessConfig) {
    match completeness {
        CompletenessConfig::Whole => record.set_completeness(Completeness::Whole),
        CompletenessConfig::OvOnly => record.set_completeness(Completeness::OvOnly),
        CompletenessConfig::Fields(fields) => {
            record.set_completeness(Completeness::Fields);
            record.fields.clone_from(fields);
        }
        // What is absent may be empty or not sent: Reltio is read, as if nothing had been.
        CompletenessConfig::Mixed => record.set_state(State::Unknown),
    }
}

/// `{}` is a snapshot of nothing: taken for whole, it would empty the subject everywhere.
fn holds_members(object: &str) -> bool {
    object
        .bytes()
        .skip(1)
        .find(|byte| !byte.is_ascii_whitespace())
        != Some(b'}')
}

fn object_type(layer: &Layer<'_>, head: &ObjectHead<'_>) -> Result<String, DecodeError> {
    if let Some(json) = head.object_type {
        return Ok(short_name(&text("object.type", json)?).to_owned());
    }
    let Some(json) = layer.deltas else {
        return Ok(String::new());
    };
    let deltas: Deltas<'_> = object("deltas", json)?;
    match deltas.object_type {
        Some(json) => Ok(short_name(&text("deltas.entityType", json)?).to_owned()),
        None => Ok(String::new()),
    }
}
