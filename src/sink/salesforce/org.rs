//! The org as the procedure sees it: records that can be found, and written one at a time.
//!
//! The procedure runs over [`Org`] alone, so that a model org can argue with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::config::SalesforceObject;
use super::stored::FieldTypes;
use crate::sink::SinkError;
use crate::time::Millis;

/// An sObject with the fields that goldwire keeps its own accounts in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Table {
    /// The sObject: `Contact`.
    pub sobject: String,
    /// External id: the entity that the record stands for.
    pub ext: String,
    /// The entity whose lane wrote last.
    pub mark: String,
    /// The entity that the record was created for.
    pub home: String,
    /// Out of use.
    pub archived: String,
    /// The record that took over.
    pub merged_into: String,
    /// The time that the content stands for.
    pub guard: String,
}

impl Table {
    /// The table of a configured object.
    pub fn of(object: &SalesforceObject) -> Self {
        Self {
            sobject: object.sobject.clone(),
            ext: object.ext_field.clone(),
            mark: object.mark_field.clone(),
            home: object.home_field.clone(),
            archived: object.archived_field.clone(),
            merged_into: object.merged_into_field.clone(),
            guard: object.guard_field.clone(),
        }
    }

    /// The names of its own fields.
    pub fn fields(&self) -> [&str; 6] {
        [
            &self.ext,
            &self.mark,
            &self.home,
            &self.archived,
            &self.merged_into,
            &self.guard,
        ]
    }
}

/// Content of a record by field. `Null` is an empty field.
pub type Values = BTreeMap<String, Value>;

/// Which records a lane wants to see: those with one of `ids`, or that bear its entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The entity: sought as external id and as mark.
    pub entity: String,
    /// Also records created for it: it lives.
    pub homes: bool,
    /// Record ids, 18 characters.
    pub ids: BTreeSet<String>,
}

impl Sought {
    /// Whether `record` is among them. Case counts, whatever the target's own comparison does.
    pub fn finds(&self, record: &Record) -> bool {
        let entity = Some(self.entity.as_str());
        self.ids.contains(&record.id)
            || record.ext.as_deref() == entity
            || record.mark.as_deref() == entity
            || self.homes && record.home.as_deref() == entity
    }
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Record {
    /// Record id, 18 characters.
    pub id: String,
    /// The entity that it stands for.
    pub ext: Option<String>,
    /// The entity whose lane wrote last.
    pub mark: Option<String>,
    /// The entity that it was created for.
    pub home: Option<String>,
    /// Out of use.
    pub archived: bool,
    /// The record that took over.
    pub merged_into: Option<String>,
    /// The time that its content stands for, ms; 0 if none was ever written.
    pub guard: Millis,
    /// Mapped fields.
    pub content: Values,
}

/// A write of one record. What is `None` or absent is left as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordWrite {
    /// The record; `None` creates one.
    pub id: Option<String>,
    /// External id; `Some(None)` takes it off.
    pub ext: Option<Option<String>>,
    /// The writing entity: every write names it.
    pub mark: String,
    /// Set once, by the write that creates.
    pub home: Option<String>,
    /// In or out of use, and which record took over.
    pub archived: Option<(bool, Option<String>)>,
    /// The time that the content stands for.
    pub guard: Millis,
    /// Mapped fields.
    pub content: Values,
    /// What is being done, for a rejection: free, create, update, archive.
    pub action: &'static str,
}

/// What became of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is there; the record's id.
    Done(String),
    /// The guard refused it: the record holds something newer of the same entity.
    Stale,
    /// The org is not as it was read: the external id is taken, or the record is gone. The lane
    /// reads again, from the top.
    Moved(String),
    /// A duplicate rule refused it: ids of the records that it takes for the same, as far as the
    /// org tells them. They may be of another sObject.
    Duplicate(Vec<String>),
}

/// Records of one org. Many lanes call at once; an implementation may put them into one request.
#[async_trait]
pub trait Org: Debug + Send + Sync {
    /// What the table's fields hold. Nothing is known of an org that does not tell: then every
    /// field is taken for text.
    async fn field_types(&self, table: &Table) -> Result<Arc<FieldTypes>, SinkError> {
        let _ = table;
        Ok(Arc::default())
    }

    /// The records that `sought` finds, with goldwire's fields and the mapped ones.
    async fn find(&self, table: &Table, sought: Sought) -> Result<Vec<Record>, SinkError>;

    /// Writes one record.
    async fn write(&self, table: &Table, write: RecordWrite) -> Result<Written, SinkError>;
}
