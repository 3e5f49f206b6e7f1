//! What an sObject is to the run-as user: its fields, and what may be done with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::codes::Fault;
use super::stored::{FieldType, FieldTypes};
use super::wire::Wire;
use crate::sink::SinkError;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    /// The run-as user may create records.
    #[serde(default = "yes")]
    createable: bool,
    /// The run-as user may change records.
    #[serde(default = "yes")]
    updateable: bool,
    pub(super) fields: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are what a describe answers"
)]
pub(super) struct Field {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) unique: bool,
    #[serde(default)]
    pub(super) external_id: bool,
    #[serde(default)]
    pub(super) case_sensitive: bool,
    #[serde(default)]
    pub(super) createable: bool,
    #[serde(default)]
    pub(super) updateable: bool,
    #[serde(default)]
    pub(super) nillable: bool,
    #[serde(default)]
    pub(super) defaulted_on_create: bool,
    #[serde(default)]
    pub(super) length: u32,
    #[serde(default)]
    pub(super) precision: u32,
    #[serde(default)]
    pub(super) scale: u32,
}

fn yes() -> bool {
    true
}

/// Asks the org to describe `sobject`.
pub(super) async fn describe(wire: &Wire, sobject: &str) -> Result<Description, SinkError> {
    let path = format!("/sobjects/{sobject}/describe");
    let unknown = |code: String, remedy: &str| SinkError::Systemic {
        code,
        remedy: remedy.to_owned(),
    };
    let answer = wire.get(&path, &[]).await.map_err(|fault| match fault {
        Fault::All(error) | Fault::OneRow(error @ SinkError::Retryable { .. }) => error,
        Fault::OneRow(error) => unknown(error.code().to_owned(), "correct its name"),
    })?;
    serde_json::from_value(answer)
        .map_err(|_| unknown("unreadable_description".to_owned(), "correct api_version"))
}

/// How long a description is taken for the org's own: an administrator may change a field's type.
const FRESH: Duration = Duration::from_hours(1);

/// What the fields of an sObject hold, asked when it is first needed and once an hour.
#[derive(Debug, Default)]
pub(super) struct Described {
    known: Mutex<Option<(Instant, Arc<FieldTypes>)>>,
}

impl Described {
    /// The types of `sobject`'s fields, none if the org refuses to describe it. Who comes while the
    /// org is asked waits for its answer.
    ///
    /// # Errors
    /// If the org does not answer; it is asked again by the next who comes.
    pub(super) async fn types(
        &self,
        wire: &Wire,
        sobject: &str,
    ) -> Result<Arc<FieldTypes>, SinkError> {
        let mut known = self.known.lock().await;
        if let Some((asked, types)) = &*known
            && asked.elapsed() < FRESH
        {
            return Ok(Arc::clone(types));
        }
        let asked = Instant::now();
        let types = match describe(wire, sobject).await {
            Ok(description) => Arc::new(description.types()),
            // Who may not describe it may still write; if not, the write is refused for itself.
            Err(SinkError::Systemic { .. } | SinkError::Rejected { .. }) => Arc::default(),
            Err(error) => return Err(error),
        };
        *known = Some((asked, Arc::clone(&types)));
        Ok(types)
    }
}

impl Description {
    fn types(&self) -> FieldTypes {
        let of = |field: &Field| {
            let kind = FieldType::named(&field.kind, field.scale)?;
            Some((field.name.clone(), kind))
        };
        self.fields.iter().filter_map(of).collect()
    }

    /// Whether the run-as user may create, or else change, records with these `fields`.
    pub(super) fn allows<'a>(
        &self,
        creates: bool,
        fields: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let known: BTreeMap<&str, &Field> = self
            .fields
            .iter()
            .map(|field| (field.name.as_str(), field))
            .collect();
        let writable = |field: &Field| {
            if creates {
                field.createable
            } else {
                field.updateable
            }
        };
        let object = if creates {
            self.createable
        } else {
            self.updateable
        };
        object
            && fields
                .into_iter()
                .all(|name| known.get(name).is_some_and(|field| writable(field)))
    }
}

impl Field {
    /// Whether a create without it fails. A checkbox is never empty.
    pub(super) fn required(&self) -> bool {
        !self.nillable && !self.defaulted_on_create && self.createable && self.kind != "boolean"
    }
}
