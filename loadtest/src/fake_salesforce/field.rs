//! Fields of an object: how a describe prints them, what they take, and how they store it.

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::ids;
use super::org::FakeObject;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text up to so many characters.
    Text(usize),
    /// A mail address up to so many characters, kept in lower case.
    Email(usize),
    /// A checkbox.
    Checkbox,
    /// A whole number.
    Number,
    /// A number, kept with so many digits behind the point.
    Decimal(i32),
    /// A time, kept in whole seconds and printed as `2026-01-31T09:30:00.000+0000`.
    DateTime,
    /// A day.
    Date,
    /// Several of these values, kept in this order.
    Picklist(&'static [&'static str]),
    /// The id of another record, printed with 18 characters.
    Reference,
}

impl Kind {
    /// `value` as it is kept; nothing if it is not of this kind, and the request is refused.
    fn stored(self, value: &Value) -> Option<Value> {
        let text = value.as_str().map(str::trim);
        match self {
            Self::Text(_) => text.map(|text| json!(text)),
            Self::Email(_) => text.map(|text| json!(text.to_lowercase())),
            Self::Checkbox => value.as_bool().map(|yes| json!(yes)),
            Self::Number => rounded(value, 0),
            Self::Decimal(scale) => rounded(value, scale),
            Self::DateTime => {
                let time: Timestamp = text?.parse().ok()?;
                Some(json!(
                    time.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
                ))
            }
            Self::Date => {
                let day: Date = text?.parse().ok()?;
                Some(json!(day.to_string()))
            }
            Self::Picklist(values) => {
                let given: Vec<&str> = text?.split(';').collect();
                let kept = values.iter().filter(|value| given.contains(*value));
                let kept: Vec<&str> = kept.copied().collect();
                (kept.len() == given.len()).then(|| json!(kept.join(";")))
            }
            Self::Reference => ids::canonical(text?).map(|id| json!(id)),
        }
    }

    /// Characters at most, if it is text.
    pub(super) fn longest(self) -> Option<usize> {
        match self {
            Self::Text(longest) | Self::Email(longest) => Some(longest),
            Self::Checkbox
            | Self::Number
            | Self::Decimal(_)
            | Self::DateTime
            | Self::Date
            | Self::Picklist(_)
            | Self::Reference => None,
        }
    }
}

/// A number with no more than `scale` digits behind the point; one that has no more keeps every digit.
fn rounded(value: &Value, scale: i32) -> Option<Value> {
    let number = value.as_number()?.to_string();
    let behind = number.split_once('.').map_or(0, |(_, digits)| digits.len());
    if !number.contains(['e', 'E']) && i32::try_from(behind).is_ok_and(|behind| behind <= scale) {
        return Some(value.clone());
    }
    let unit = 10_f64.powi(scale);
    Some(json!((value.as_f64()? * unit).round() / unit))
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
    /// What a new record has there if its creator does not name the field.
    pub default: Option<&'static str>,
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
            default: None,
        }
    }
}

impl Field {
    /// `value` as it is kept, null for nothing; nothing at all if the field cannot take it.
    pub(super) fn stored(&self, value: &Value) -> Option<Value> {
        let kept = self.kind.stored(value);
        if value.is_null() || kept.as_ref().and_then(Value::as_str) == Some("") {
            return Some(Value::Null);
        }
        kept
    }

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
            let (kind, precision, scale) = match field.kind {
                Kind::Text(_) => ("string", 0, 0),
                Kind::Email(_) => ("email", 0, 0),
                Kind::Checkbox => ("boolean", 0, 0),
                Kind::Number => ("double", 18, 0),
                Kind::Decimal(scale) => ("currency", 18, scale),
                Kind::DateTime => ("datetime", 0, 0),
                Kind::Date => ("date", 0, 0),
                Kind::Picklist(_) => ("multipicklist", 0, 0),
                Kind::Reference => ("reference", 0, 0),
            };
            let length = field.kind.longest().unwrap_or_default();
            json!({
                "name": name, "type": kind, "length": length, "precision": precision, "scale": scale,
                "unique": field.unique, "externalId": field.external_id,
                "caseSensitive": field.case_sensitive, "nillable": !field.required,
                "defaultedOnCreate": field.kind == Kind::Checkbox || field.default.is_some(),
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
