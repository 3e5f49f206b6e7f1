//! The snapshot of an entity or a relation, as Reltio sends it and as its API answers.

use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::Error as _;
use serde_json::{Value, value::RawValue};

use super::activity::{self, Activity};
use super::parts::{Parts, plain};
use super::proto::{Content, EventRecord};
use super::{json, members};
use crate::mutation::{self, Mutation};
use crate::time::Millis;

/// A snapshot: its JSON text untouched, where its members stand in it, and its tree for who needs
/// one.
#[derive(Debug, Clone, Default)]
pub struct Object {
    text: Bytes,
    parts: OnceLock<Parts>,
    crosswalks: OnceLock<Option<Vec<Crosswalk>>>,
    tree: OnceLock<Value>,
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text || self.json() == other.json()
    }
}

/// Why a payload has no object.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The payload is not the JSON that the record's head promises.
    #[error("the payload is not the JSON that its head promises")]
    Json(#[from] serde_json::Error),
    /// The payload is JSON, but holds no object.
    #[error("the payload holds no object")]
    Absent,
}

/// One crosswalk: which record of which source system contributes to the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crosswalk {
    /// Short name of the source: `SFDC_CONTACT` of `configuration/sources/SFDC_CONTACT`.
    pub source: String,
    /// The record's id in that source.
    pub value: String,
    /// `createDate` as sent (ISO-8601), empty if absent.
    pub created: String,
    /// `deleteDate`, ms since 1970; the lowest number where it cannot be read.
    pub deleted: Option<Millis>,
}

impl Crosswalk {
    /// Whether it was deleted (softly) at `now`.
    pub fn is_deleted(&self, now: Millis) -> bool {
        self.deleted.is_some_and(|deleted| deleted <= now)
    }
}

#[derive(serde::Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    deltas: Option<&'a RawValue>,
}

impl Object {
    /// The object of a record's payload.
    ///
    /// # Errors
    /// [`ObjectError`] if the payload holds none.
    pub fn of(record: &EventRecord) -> Result<Self, ObjectError> {
        Self::within(record.content(), &record.payload)
    }

    /// The object of a payload.
    pub(super) fn within(content: Content, payload: &Bytes) -> Result<Self, ObjectError> {
        match content {
            Content::None => Err(ObjectError::Absent),
            Content::Object => Self::checked(payload.clone()),
            Content::Event => {
                let text = std::str::from_utf8(payload).map_err(serde_json::Error::custom)?;
                let event: Event<'_> = members::object(text)?;
                let deltas = event
                    .deltas
                    .filter(|_| mutation::is(Mutation::DeltaApplied));
                let object = event.object.or(deltas).ok_or(ObjectError::Absent)?;
                Self::checked(payload.slice_ref(object.get().as_bytes()))
            }
        }
    }

    /// An object from its JSON text, which is checked.
    ///
    /// # Errors
    /// [`ObjectError`] if it is not a JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, ObjectError> {
        let text: &RawValue = serde_json::from_slice(json)?;
        Self::checked(Bytes::copy_from_slice(text.get().as_bytes()))
    }

    fn checked(text: Bytes) -> Result<Self, ObjectError> {
        let is_object = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        if is_object {
            Ok(Self::of_text(text))
        } else {
            Err(ObjectError::Absent)
        }
    }

    /// An object from the text of a JSON object that was checked before.
    pub(super) fn of_text(text: Bytes) -> Self {
        Self {
            text,
            parts: OnceLock::new(),
            crosswalks: OnceLock::new(),
            tree: OnceLock::new(),
        }
    }

    /// Its JSON text, as sent or read.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The whole tree, built when it is first asked for as [`json::tree`] tells; null if the text is
    /// nested deeper than [`json::MAX_LEVELS`]. Some senders print `URI` where others print `uri`;
    /// here it is always `uri`.
    pub fn json(&self) -> &Value {
        self.tree.get_or_init(|| {
            let mut tree = json::tree(&self.text).unwrap_or_default();
            // Two spellings of one member would make two objects of copies of one change.
            if let Value::Object(members) = &mut tree
                && let Some(uri) = members.remove("URI")
            {
                members.entry("uri").or_insert(uri);
            }
            tree
        })
    }

    fn parts(&self) -> &Parts {
        self.parts.get_or_init(|| Parts::of(&self.text))
    }

    /// Whether the text can be a tree: it is not nested too deeply.
    pub fn is_tree(&self) -> bool {
        self.parts().is_tree()
    }

    /// The tree of one member, as [`json`](Self::json) has it, without that of all others.
    pub fn part(&self, member: &str) -> Option<Value> {
        json::tree(self.member_text(member)?.as_bytes()).ok()
    }

    /// All values of the attribute `name`, as a tree.
    pub fn attribute(&self, name: &str) -> Option<Value> {
        self.parts().attribute(&self.text, name)
    }

    fn member_text(&self, member: &str) -> Option<&str> {
        let of = |name| self.parts().member(&self.text, name);
        match member {
            "uri" => of("uri").or_else(|| of("URI")),
            "URI" => None,
            member => of(member),
        }
    }

    /// Bytes of the text.
    pub fn weight(&self) -> usize {
        self.text.len()
    }

    /// `uri`, also where the sender printed `URI`.
    pub fn uri(&self) -> Option<&str> {
        self.member("uri")
    }

    /// A member that is text.
    pub fn member(&self, member: &str) -> Option<&str> {
        let text = self.member_text(member)?;
        // What is escaped has to be written out somewhere.
        plain(text).or_else(|| self.json().get(member)?.as_str())
    }

    /// Short name of the type: `Individual` of `configuration/entityTypes/Individual`.
    pub fn object_type(&self) -> Option<&str> {
        self.member("type").map(short_name)
    }

    /// From when and until when it is active. Builds no tree where the text has no date.
    pub fn activity(&self) -> Activity {
        if Activity::is_told(&self.text) {
            Activity::of(self.json())
        } else {
            Activity::default()
        }
    }

    /// The crosswalks, in the order sent; nothing if the member is absent.
    pub fn crosswalks(&self) -> Option<&[Crosswalk]> {
        let read = || {
            let list = self.part("crosswalks")?;
            Some(list.as_array()?.iter().filter_map(crosswalk).collect())
        };
        self.crosswalks.get_or_init(read).as_deref()
    }
}

fn crosswalk(json: &Value) -> Option<Crosswalk> {
    let text = |member: &str| json.get(member).and_then(Value::as_str);
    Some(Crosswalk {
        source: short_name(text("type")?).to_owned(),
        value: text("value")?.to_owned(),
        created: text("createDate").unwrap_or_default().to_owned(),
        deleted: activity::deleted(json),
    })
}

/// The last part of a configuration path or of a dotted name: `Individual` of
/// `configuration/entityTypes/Individual` and of `com.example.Individual`.
pub fn short_name(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rsplit('.').next().unwrap_or(last)
}
