//! The org's objects and records, and what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::duplicates::DuplicateRule;
use super::field::{Field, Kind};
use super::records::Records;
use super::table::{GUARD_MESSAGE, Table};
use super::{ids, soql};

/// A record as the org keeps it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FakeRecord {
    /// 18 characters.
    pub id: String,
    /// Fields that are not empty.
    pub fields: BTreeMap<String, Value>,
    /// Every entity whose lane ever wrote it.
    pub ever_by: BTreeSet<String>,
}

/// An object of the org: fields, rule, records.
#[derive(Debug, Clone)]
pub struct FakeObject {
    /// Its name, and goldwire's fields.
    pub table: Table,
    /// All fields but `Id`.
    pub fields: BTreeMap<String, Field>,
    /// Whether it has the validation rule that is the guard.
    pub guard: bool,
    /// Whether the run-as user may create and change records.
    pub writable: bool,
    /// Its duplicate rule, if it has one.
    pub duplicates: Option<DuplicateRule>,
    /// Records that are not shared with the run-as user: it sees them, and may not change them.
    pub read_only: BTreeSet<String>,
    prefix: &'static str,
    /// Whether the write under way is to be saved past rules that alert.
    pub(super) saves_duplicates: bool,
    pub(super) records: Records,
    created: usize,
}

/// Why a whole request is refused: code, and a message like the real one's.
pub type Refused = (&'static str, String);

impl FakeObject {
    /// An object with goldwire's own fields as `goldwire schema salesforce` says, and `mapped`.
    /// Ids begin with `prefix`, three characters: `003` for contacts.
    pub fn new(table: Table, prefix: &'static str, mapped: &[(&str, Field)]) -> Self {
        let key = Field {
            external_id: true,
            case_sensitive: true,
            ..Field::of(Kind::Text(80))
        };
        let mut fields: BTreeMap<String, Field> = [
            (
                table.ext.clone(),
                Field {
                    unique: true,
                    ..key
                },
            ),
            (table.mark.clone(), key),
            (table.home.clone(), key),
            (table.archived.clone(), Field::of(Kind::Checkbox)),
            (table.merged_into.clone(), Field::of(Kind::Text(18))),
            (table.guard.clone(), Field::of(Kind::Number)),
        ]
        .into();
        fields.extend(
            mapped
                .iter()
                .map(|(name, field)| ((*name).to_owned(), *field)),
        );
        let looked_up = fields
            .iter()
            .filter(|(_, field)| field.external_id || field.unique);
        let records = Records::indexed_by(looked_up.map(|(name, _)| name));
        Self {
            table,
            fields,
            guard: true,
            writable: true,
            duplicates: None,
            saves_duplicates: false,
            read_only: BTreeSet::new(),
            prefix,
            records,
            created: 0,
        }
    }

    fn new_id(&mut self) -> String {
        self.created += 1;
        let id = format!("{}FK{:010}", self.prefix, self.created);
        ids::canonical(&id).unwrap_or(id)
    }

    /// Adds a record that a user made; answers its id.
    pub fn add(&mut self, fields: &[(&str, Value)]) -> String {
        let id = self.new_id();
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let record = FakeRecord {
            id: id.clone(),
            fields,
            ever_by: BTreeSet::new(),
        };
        self.records.insert(record);
        id
    }

    /// Adds a record that a user made, under an id of 18 characters that others know already.
    pub fn add_as(&mut self, id: &str, fields: &[(&str, Value)]) {
        let fields = fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let record = FakeRecord {
            id: id.to_owned(),
            fields,
            ever_by: BTreeSet::new(),
        };
        self.records.insert(record);
    }

    /// All records, by id.
    pub fn records(&self) -> impl Iterator<Item = &FakeRecord> {
        self.records.values()
    }

    /// Deletes a record, as a user does.
    pub fn delete(&mut self, id: &str) {
        self.records.remove(id);
    }

    /// Whether a row can be read at all; if not, the whole request is refused.
    pub(super) fn parses(&self, row: &Map<String, Value>) -> Result<(), Refused> {
        for (name, value) in row {
            if matches!(name.as_str(), "attributes" | "id" | "Id") {
                continue;
            }
            let Some(field) = self.fields.get(name) else {
                let text = format!(
                    "No such column '{name}' on sobject of type {}",
                    self.table.sobject
                );
                return Err(("INVALID_FIELD", text));
            };
            if field.stored(value).is_none() {
                let text = format!("Cannot deserialize instance from value {value}");
                return Err(("JSON_PARSER_ERROR", text));
            }
        }
        Ok(())
    }

    /// The records that a query finds, as its answer prints them, in one page.
    ///
    /// # Errors
    /// As the real one refuses a query that it does not understand.
    pub fn query(&self, text: &str) -> Result<Vec<Value>, Refused> {
        soql::run(text, |name| (name == self.table.sobject).then_some(self))
    }

    /// Creates a record, or updates the one that the row names; answers as Collections do for a
    /// row.
    ///
    /// # Errors
    /// Where the row makes the whole request fail.
    pub fn write(&mut self, row: &Map<String, Value>) -> Result<Value, Refused> {
        self.parses(row)?;
        Ok(if row.contains_key("id") {
            self.update(row)
        } else {
            self.create(row)
        })
    }

    /// Creates a record.
    pub(super) fn create(&mut self, row: &Map<String, Value>) -> Value {
        if row.contains_key("id") {
            return failed(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                "cannot specify Id in an insert call",
                &["Id"],
            );
        }
        if let Err(answer) = self.check(None, row) {
            return answer;
        }
        let id = self.new_id();
        let mut row = row.clone();
        for (name, field) in &self.fields {
            if let (Some(default), false) = (field.default, row.contains_key(name)) {
                row.insert(name.clone(), json!(default));
            }
        }
        self.put(&id, &row);
        json!({ "id": id, "success": true, "errors": [], "created": true })
    }

    /// Updates the record that the row names.
    pub(super) fn update(&mut self, row: &Map<String, Value>) -> Value {
        let id = row
            .get("id")
            .and_then(Value::as_str)
            .and_then(ids::canonical);
        let Some(id) = id else {
            return failed("MALFORMED_ID", "malformed id", &["Id"]);
        };
        let Some(before) = self.records.get(&id) else {
            return failed("ENTITY_IS_DELETED", "entity is deleted", &[]);
        };
        if let Err(answer) = self.check(Some(before), row) {
            return answer;
        }
        self.put(&id, row);
        json!({ "id": id, "success": true, "errors": [] })
    }

    /// Updates the record with the row's external id, or creates one.
    pub(super) fn upsert(&mut self, ext: &str, row: &Map<String, Value>) -> Value {
        let wanted = row.get(ext).cloned().unwrap_or_default();
        let matches = |record: &&FakeRecord| record.fields.get(ext) == Some(&wanted);
        let mut row = row.clone();
        let mut alike = match wanted.as_str() {
            Some(text) => self.records.alike(ext, text),
            None => Box::new(self.records.values()),
        };
        let found = alike.find(matches).map(|record| record.id.clone());
        drop(alike);
        match found {
            None => self.create(&row),
            Some(id) => {
                row.insert("id".to_owned(), json!(id));
                self.update(&row)
            }
        }
    }

    fn check(&self, before: Option<&FakeRecord>, row: &Map<String, Value>) -> Result<(), Value> {
        if !self.writable || before.is_some_and(|before| self.read_only.contains(&before.id)) {
            let text = "insufficient access rights on object id";
            return Err(failed("INSUFFICIENT_ACCESS_OR_READONLY", text, &[]));
        }
        for (name, field) in &self.fields {
            let given = row.get(name);
            let empty = |value: &Value| {
                value.is_null() || value.as_str().is_some_and(|it| it.trim().is_empty())
            };
            if field.required && given.map_or(before.is_none(), empty) {
                let text = format!("Required fields are missing: [{name}]");
                return Err(failed("REQUIRED_FIELD_MISSING", &text, &[name]));
            }
            let Some(given) = given else { continue };
            if given.is_null() && field.kind == Kind::Checkbox {
                let text = format!("{name}: value not of required type: null");
                return Err(failed("INVALID_TYPE_ON_FIELD_IN_RECORD", &text, &[name]));
            }
            if !field.writable {
                let text = format!("Unable to create/update fields: {name}");
                return Err(failed("INVALID_FIELD_FOR_INSERT_UPDATE", &text, &[name]));
            }
            if let (Kind::Email(_), Some(text)) = (field.kind, given.as_str())
                && !text.trim().is_empty()
                && !text.contains('@')
            {
                let text = format!("{name}: invalid email address: {text}");
                return Err(failed("INVALID_EMAIL_ADDRESS", &text, &[name]));
            }
            if let (Some(longest), Some(text)) = (field.kind.longest(), given.as_str())
                && text.chars().count() > longest
            {
                let text = format!("{name}: data value too large: {text} (max length={longest})");
                return Err(failed("STRING_TOO_LONG", &text, &[name]));
            }
        }
        self.check_guard(before, row)?;
        self.check_unique(before, row)?;
        self.check_duplicates(before, row)
    }

    /// `AND(NOT(ISNEW()), NOT(ISCHANGED(mark)), guard < PRIORVALUE(guard))`.
    fn check_guard(
        &self,
        before: Option<&FakeRecord>,
        row: &Map<String, Value>,
    ) -> Result<(), Value> {
        let (Some(before), true) = (before, self.guard) else {
            return Ok(());
        };
        let Table { mark, guard, .. } = &self.table;
        let same_mark = row
            .get(mark)
            .is_none_or(|given| before.fields.get(mark) == Some(given));
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        let (given, prior) = (number(row.get(guard)), number(before.fields.get(guard)));
        if same_mark && given.zip(prior).is_some_and(|(given, prior)| given < prior) {
            return Err(failed(
                "FIELD_CUSTOM_VALIDATION_EXCEPTION",
                GUARD_MESSAGE,
                &[guard],
            ));
        }
        Ok(())
    }

    fn check_unique(
        &self,
        before: Option<&FakeRecord>,
        row: &Map<String, Value>,
    ) -> Result<(), Value> {
        for (name, field) in self.fields.iter().filter(|(_, field)| field.unique) {
            let Some(given) = row
                .get(name)
                .and_then(Value::as_str)
                .filter(|it| !it.is_empty())
            else {
                continue;
            };
            let taken = |record: &&FakeRecord| {
                let value = record.fields.get(name).and_then(Value::as_str);
                before.is_none_or(|before| before.id != record.id)
                    && value.is_some_and(|value| field.same(value, given))
            };
            if let Some(other) = self.records.alike(name, given).find(taken) {
                let text = format!(
                    "duplicate value found: {name} duplicates value on record with id: {}",
                    other.id
                );
                return Err(failed("DUPLICATE_VALUE", &text, &[]));
            }
        }
        Ok(())
    }

    fn put(&mut self, id: &str, row: &Map<String, Value>) {
        let Self {
            fields,
            table,
            records,
            ..
        } = self;
        records.change(id, |record| {
            for (name, value) in row {
                let kept = fields.get(name).and_then(|field| field.stored(value));
                match kept {
                    None => {}
                    Some(Value::Null) => drop(record.fields.remove(name)),
                    Some(kept) => drop(record.fields.insert(name.clone(), kept)),
                }
            }
            if let Some(mark) = row.get(&table.mark).and_then(Value::as_str) {
                record.ever_by.insert(mark.to_owned());
            }
        });
    }
}

/// One row's failure, as Collections print it.
pub(super) fn failed(code: &str, message: &str, fields: &[&str]) -> Value {
    json!({ "success": false, "errors": [{ "statusCode": code, "message": message, "fields": fields }] })
}
