//! A record of the event log, as it stands there: its head is read in place, its payload is not
//! touched.
//!
//! Guarantee: reading one copies nothing and parses no payload, so a task can decide about a record
//! for the price of its head.

use std::ops::Range;

use bytes::Bytes;
use bytestring::ByteString;
use prost::Message as _;

use super::holds::Holds;
use super::object::{Object, ObjectError};
use super::proto::{Completeness, Content, EventRecord, Kind, State};
use super::wire::{Field, Reader};
use super::{Clocks, LONGEST_AHEAD, Life, Subject, SubjectState};
use crate::time::Millis;

/// Why bytes are not a record of the event log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(pub(super) &'static str);

/// Where a field's bytes stand in the record.
type Span = Range<usize>;

/// Whether a record is to be answered by reading Reltio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ask {
    No,
    Once,
    /// Once is not enough.
    Late,
}

/// What the head says.
#[derive(Debug, Clone)]
struct Head {
    id: Span,
    tenant: Span,
    subject: Span,
    object_type: Span,
    sink: Span,
    absorbed_by: Option<Span>,
    payload: Span,
    /// Where the object's JSON text stands in the payload; empty if that is not known.
    object: Span,
    kind: Kind,
    state: State,
    content: Content,
    holds: Holds,
    version: Option<i64>,
    commit_time: Option<Millis>,
    received_time: Millis,
    read_time: Option<Millis>,
    round: u32,
    hops: u32,
    ask: Ask,
    ended: bool,
    has_targets: bool,
}

/// A record of the event log. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Record {
    bytes: Bytes,
    head: Head,
}

impl Record {
    /// The record that `bytes`, an encoded [`EventRecord`], hold.
    ///
    /// # Errors
    /// If they hold none.
    pub fn decode(bytes: Bytes) -> Result<Self, RecordError> {
        let head = Head::read(&bytes)?;
        Ok(Self { bytes, head })
    }

    /// Its bytes, as they stand in the log.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The whole message, copied.
    pub fn to_message(&self) -> EventRecord {
        EventRecord::decode(self.bytes.clone()).unwrap_or_default()
    }

    fn text(&self, span: &Span) -> &str {
        let bytes = self.bytes.get(span.clone()).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// One of this record's own texts, sharing its memory; a copy of any other text.
    pub fn shared(&self, text: &str) -> ByteString {
        let (all, part) = (self.bytes.as_ptr_range(), text.as_bytes().as_ptr_range());
        let is_own = all.start <= part.start && part.end <= all.end;
        let own = is_own.then(|| self.bytes.slice_ref(text.as_bytes()));
        let own = own.and_then(|bytes| ByteString::try_from(bytes).ok());
        own.unwrap_or_else(|| text.into())
    }

    /// Identity of the event.
    pub fn id(&self) -> &str {
        self.text(&self.head.id)
    }

    /// The tenant.
    pub fn tenant(&self) -> &str {
        self.text(&self.head.tenant)
    }

    /// The subject's URI.
    pub fn subject(&self) -> &str {
        self.text(&self.head.subject)
    }

    /// Short name of the type; empty if nothing told.
    pub fn object_type(&self) -> &str {
        self.text(&self.head.object_type)
    }

    /// The sink that it is addressed to; empty if to all.
    pub fn sink(&self) -> &str {
        self.text(&self.head.sink)
    }

    /// Who absorbed the subject, where the record says so.
    pub fn absorbed_by(&self) -> Option<&str> {
        self.head.absorbed_by.as_ref().map(|span| self.text(span))
    }

    /// What happened.
    pub fn kind(&self) -> Kind {
        self.head.kind
    }

    /// What the subject is, as far as the record can say.
    pub fn state(&self) -> State {
        self.head.state
    }

    /// How much of its subject the record tells.
    pub fn holds(&self) -> Holds {
        self.head.holds
    }

    /// Reltio's version.
    pub fn version(&self) -> Option<i64> {
        self.head.version
    }

    /// Reltio's commit time, ms.
    pub fn commit_time(&self) -> Option<Millis> {
        self.head.commit_time
    }

    /// When goldwire received it, ms.
    pub fn received_time(&self) -> Millis {
        self.head.received_time
    }

    /// The answer's date, ms, if ingest read it from Reltio.
    pub fn read_time(&self) -> Option<Millis> {
        self.head.read_time
    }

    /// How often it was redriven.
    pub fn round(&self) -> u32 {
        self.head.round
    }

    /// How often a reconcile was passed on.
    pub fn hops(&self) -> u32 {
        self.head.hops
    }

    /// How much alive the subject is, as far as the record can say.
    pub fn life(&self) -> Life {
        Life::of(self.head.state, self.head.ended)
    }

    /// Whether it is to be answered by reading Reltio, whatever the clocks say.
    pub fn asks(&self) -> bool {
        self.head.ask != Ask::No
    }

    /// Whether something older may still land at the target after this is answered.
    pub fn is_late(&self) -> bool {
        self.head.ask == Ask::Late
    }

    /// Whether a reconcile names target records.
    pub fn has_targets(&self) -> bool {
        self.head.has_targets
    }

    /// The target records that a reconcile names.
    pub fn targets(&self) -> Vec<String> {
        if !self.head.has_targets {
            return Vec::new();
        }
        self.texts(16)
    }

    /// The members of the object that are known, where only some are.
    pub fn fields(&self) -> Option<Vec<String>> {
        matches!(self.head.holds, Holds::Fields(_)).then(|| self.texts(19))
    }

    /// The texts of a repeated field. The head was read before, so that they can be read.
    fn texts(&self, number: u32) -> Vec<String> {
        let mut texts = Vec::new();
        let mut reader = Reader::new(&self.bytes);
        while let Ok(Some((found, field))) = reader.next() {
            if let Field::Bytes(span) = field
                && found == number
            {
                texts.push(self.text(&span).to_owned());
            }
        }
        texts
    }

    /// The payload's bytes, as received or read.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(self.head.payload.clone())
    }

    /// Who the record is about.
    pub fn subject_key(&self) -> Subject {
        Subject::new(self.tenant(), self.subject())
    }

    /// The clocks the record carries.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            version: self.head.version,
            commit_time: self.head.commit_time,
        }
    }

    /// As [`EventRecord::known_time`].
    pub fn known_time(&self) -> Millis {
        let latest = self.head.received_time.saturating_add(LONGEST_AHEAD);
        let known = self.head.commit_time.unwrap_or(self.head.received_time);
        known.min(latest)
    }

    /// The object that the payload carries, its text untouched.
    ///
    /// # Errors
    /// [`ObjectError`] if it carries none.
    pub fn object(&self) -> Result<Object, ObjectError> {
        let known = self.bytes.get(self.head.object.clone());
        if known.is_some_and(|text| text.first() == Some(&b'{')) {
            return Ok(Object::of_text(self.bytes.slice(self.head.object.clone())));
        }
        Object::within(self.head.content, &self.payload())
    }

    /// As [`EventRecord::subject_state`].
    pub fn subject_state(&self) -> Option<SubjectState> {
        match self.head.state {
            State::Unknown => None,
            State::Alive => (self.object().ok()).map(|object| SubjectState::Alive(object.into())),
            State::Absorbed => Some(SubjectState::Absorbed {
                by: self.absorbed_by().map(ToOwned::to_owned),
            }),
            State::Removed => Some(SubjectState::Removed),
            State::Erased => Some(SubjectState::Erased),
            State::Gone => Some(SubjectState::Gone),
        }
    }
}

impl From<&EventRecord> for Record {
    fn from(message: &EventRecord) -> Self {
        let bytes: Bytes = message.encode_to_vec().into();
        let head = Head::read(&bytes).unwrap_or_else(|_| Head::empty());
        Self { bytes, head }
    }
}

impl From<EventRecord> for Record {
    fn from(message: EventRecord) -> Self {
        Self::from(&message)
    }
}

impl Head {
    fn empty() -> Self {
        Self {
            id: 0..0,
            tenant: 0..0,
            subject: 0..0,
            object_type: 0..0,
            sink: 0..0,
            absorbed_by: None,
            payload: 0..0,
            object: 0..0,
            kind: Kind::Other,
            state: State::Unknown,
            content: Content::None,
            holds: Holds::Everything,
            version: None,
            commit_time: None,
            received_time: 0,
            read_time: None,
            round: 0,
            hops: 0,
            ask: Ask::No,
            ended: false,
            has_targets: false,
        }
    }

    fn read(bytes: &[u8]) -> Result<Self, RecordError> {
        let mut head = Self::empty();
        let mut completeness = Completeness::Whole;
        let mut object = (0, 0);
        let mut reader = Reader::new(bytes);
        while let Some((number, field)) = reader.next()? {
            match (number, field) {
                (23, Field::Number(number)) => object.0 = small(number),
                (24, Field::Number(number)) => object.1 = small(number),
                (18, Field::Number(number)) => {
                    completeness = Completeness::try_from(enumerated(number)).unwrap_or_default();
                }
                (_, Field::Number(number_)) => head.number(number, number_),
                (_, Field::Bytes(span)) => head.bytes(number, span, bytes)?,
                (_, Field::Other) => {}
            }
        }
        if object.1 > 0 {
            let start = head.payload.start.saturating_add(object.0);
            head.object = start..start.saturating_add(object.1).min(head.payload.end);
        }
        if head.content == Content::Object {
            head.object = head.payload.clone();
        }
        head.holds = match completeness {
            _ if head.state != State::Alive => Holds::Everything,
            Completeness::Whole => Holds::Everything,
            Completeness::OvOnly => Holds::Values,
            Completeness::Fields => Holds::fields(&names(bytes)),
        };
        Ok(head)
    }

    fn number(&mut self, field: u32, number: u64) {
        match field {
            5 => self.kind = Kind::try_from(enumerated(number)).unwrap_or_default(),
            6 => self.state = State::try_from(enumerated(number)).unwrap_or_default(),
            7 => self.version = Some(number.cast_signed()),
            8 => self.commit_time = Some(number.cast_signed()),
            9 => self.received_time = number.cast_signed(),
            10 => self.read_time = Some(number.cast_signed()),
            14 => self.round = u32::try_from(number).unwrap_or(u32::MAX),
            15 => self.hops = u32::try_from(number).unwrap_or(u32::MAX),
            17 if number != 0 => self.ask = self.ask.max(Ask::Once),
            25 => self.ended = number != 0,
            26 if number != 0 => self.ask = Ask::Late,
            22 => self.content = Content::try_from(enumerated(number)).unwrap_or_default(),
            _ => {}
        }
    }

    fn bytes(&mut self, field: u32, span: Span, all: &[u8]) -> Result<(), RecordError> {
        let text = match field {
            1 => &mut self.id,
            2 => &mut self.tenant,
            3 => &mut self.subject,
            4 => &mut self.object_type,
            11 => self.absorbed_by.insert(0..0),
            13 => &mut self.sink,
            16 => {
                self.has_targets = true;
                return Ok(());
            }
            100 => {
                self.payload = span;
                return Ok(());
            }
            _ => return Ok(()),
        };
        let is_text = std::str::from_utf8(all.get(span.clone()).unwrap_or_default()).is_ok();
        if !is_text {
            return Err(RecordError("a text of it is not UTF-8"));
        }
        *text = span;
        Ok(())
    }
}

/// The texts of `fields`.
fn names(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Ok(Some((number, field))) = reader.next() {
        if let Field::Bytes(span) = field
            && number == 19
        {
            let text = bytes.get(span).unwrap_or_default();
            names.push(String::from_utf8_lossy(text).into_owned());
        }
    }
    names
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// As protobuf has enumerations.
fn enumerated(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(-1)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
