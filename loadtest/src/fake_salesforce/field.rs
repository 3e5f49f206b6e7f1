//! Fields of an object, and how a describe prints them.

use serde_json::{Value, json};

use super::org::FakeObject;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text up to so many characters.
    Text(usize),
    /// A checkbox.
    Checkbox,
    /// A whole number.
    Number,
}

/// A field of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are what a describe answers"
)]
pub struct Field {
    /// What it holds.
    pub kind: Kind,
    /// No two records have the same value.
    pub unique: bool,
    /// External id.
    pub external_id: bool,
    /// Comparisons respect case.
    pub case_sensitive: bool,
    /// Never empty.
    pub required: bool,
    /// The run-as user may write it.
    pub writable: bool,
}

impl Field {
    /// A plain field.
    pub fn of(kind: Kind) -> Self {
        Self {
            kind,
            unique: false,
            external_id: false,
            case_sensitive: false,
            required: false,
            writable: true,
        }
    }
}

impl Field {
    pub(super) fn same(&self, one: &str, other: &str) -> bool {
        if self.case_sensitive {
            one == other
        } else {
            one.eq_ignore_ascii_case(other)
        }
    }
}

impl FakeObject {
    /// What `GET …/describe` answers.
    pub(super) fn describe(&self) -> Value {
        let field = |(name, field): (&String, &Field)| {
            let (kind, length, precision) = match field.kind {
                Kind::Text(length) => ("string", length, 0),
                Kind::Checkbox => ("boolean", 0, 0),
                Kind::Number => ("double", 0, 18),
            };
            json!({
                "name": name, "type": kind, "length": length, "precision": precision, "scale": 0,
                "unique": field.unique, "externalId": field.external_id,
                "caseSensitive": field.case_sensitive, "nillable": !field.required,
                "defaultedOnCreate": field.kind == Kind::Checkbox,
                "createable": field.writable, "updateable": field.writable,
            })
        };
        let fields: Vec<Value> = self.fields.iter().map(field).collect();
        json!({
            "name": self.table.sobject, "createable": self.writable, "updateable": self.writable,
            "fields": fields,
        })
    }
}
