//! The snapshot of an entity or a relation, as Reltio sends it and as its API answers.

use serde_json::{Value, value::RawValue};

use super::proto::{Content, EventRecord};
use crate::mutation::{self, Mutation};

/// A snapshot, parsed once for a sink that needs its tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object {
    json: Value,
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
    /// Whether a `deleteDate` ended it.
    pub deleted: bool,
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
        match record.content() {
            Content::None => Err(ObjectError::Absent),
            Content::Object => Self::parse(&record.payload),
            Content::Event => {
                let event: Event<'_> = serde_json::from_slice(&record.payload)?;
                let deltas = event
                    .deltas
                    .filter(|_| mutation::is(Mutation::DeltaApplied));
                let object = event.object.or(deltas).ok_or(ObjectError::Absent)?;
                Self::parse(object.get().as_bytes())
            }
        }
    }

    /// An object from its JSON text. Some senders print `URI` where others print `uri`; here it
    /// is always `uri`.
    ///
    /// # Errors
    /// [`ObjectError`] if it is not a JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, ObjectError> {
        match serde_json::from_slice(json)? {
            Value::Object(mut members) => {
                // Two spellings of one member would make two objects of copies of one change.
                if let Some(uri) = members.remove("URI") {
                    members.entry("uri").or_insert(uri);
                }
                Ok(Self {
                    json: Value::Object(members),
                })
            }
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Err(ObjectError::Absent),
        }
    }

    /// The whole tree.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// About how many bytes of memory the tree takes.
    pub fn weight(&self) -> usize {
        weight(&self.json)
    }

    /// `uri`, also where the sender printed `URI`.
    pub fn uri(&self) -> Option<&str> {
        self.text("uri")
    }

    /// A member that is text.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.json.get(member)?.as_str()
    }

    /// Short name of the type: `Individual` of `configuration/entityTypes/Individual`.
    pub fn object_type(&self) -> Option<&str> {
        self.text("type").map(short_name)
    }

    /// The crosswalks, in the order sent; nothing if the member is absent.
    pub fn crosswalks(&self) -> Option<Vec<Crosswalk>> {
        let list = self.json.get("crosswalks")?.as_array()?;
        Some(list.iter().filter_map(crosswalk).collect())
    }
}

fn weight(json: &Value) -> usize {
    let below: usize = match json {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| size_of::<String>() + name.len() + weight(value))
            .sum(),
    };
    size_of::<Value>() + below
}

fn crosswalk(json: &Value) -> Option<Crosswalk> {
    let text = |member: &str| json.get(member).and_then(Value::as_str);
    Some(Crosswalk {
        source: short_name(text("type")?).to_owned(),
        value: text("value")?.to_owned(),
        created: text("createDate").unwrap_or_default().to_owned(),
        deleted: text("deleteDate").is_some_and(|date| !date.is_empty()),
    })
}

/// The last part of a configuration path or of a dotted name: `Individual` of
/// `configuration/entityTypes/Individual` and of `com.example.Individual`.
pub fn short_name(path: &str) -> &str {
    let last = path.rsplit('/').next().unwrap_or(path);
    last.rsplit('.').next().unwrap_or(last)
}
