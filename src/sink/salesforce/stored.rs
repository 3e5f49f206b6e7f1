//! How the org keeps what is written to it, by the described type of the field. Pure.
//!
//! Guarantee: a write that would leave a field as it is counts as none. The org folds mail addresses
//! to lower case, rounds numbers to the field's scale, keeps times in whole seconds of UTC, orders
//! the values of a multi-select picklist, trims text and keeps empty text as null.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::decimal::units;
use super::ids;
use super::org::{Record, Values};

/// What a field holds, as far as it decides how a value is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// A checkbox: yes or no, never empty.
    Checkbox,
    /// A mail address.
    Email,
    /// A number with so many digits behind the point.
    Number {
        /// Digits behind the point.
        scale: i32,
    },
    /// A time.
    DateTime,
    /// A day.
    Date,
    /// Several values with `;` between.
    MultiPicklist,
    /// The id of another record.
    Reference,
}

impl FieldType {
    /// The type that a describe calls `name`; nothing for plain text and what is not told apart.
    pub(super) fn named(name: &str, scale: u32) -> Option<Self> {
        Some(match name {
            "boolean" => Self::Checkbox,
            "email" => Self::Email,
            "double" | "currency" | "percent" => Self::Number {
                scale: i32::try_from(scale).ok()?,
            },
            "int" | "long" => Self::Number { scale: 0 },
            "datetime" => Self::DateTime,
            "date" => Self::Date,
            "multipicklist" => Self::MultiPicklist,
            "reference" => Self::Reference,
            _ => return None,
        })
    }

    /// `value` as the org would keep it, in a form of our own; nothing if it is not of the type.
    fn kept(self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(yes) => yes.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        match self {
            Self::Checkbox | Self::Email => Some(text.to_lowercase()),
            Self::Number { scale } => units(&text, scale),
            Self::DateTime => moment(&text).map(|second| second.to_string()),
            Self::Date => day(&text).map(|day| day.to_string()),
            Self::MultiPicklist => {
                let mut values: Vec<&str> = text.split(';').map(str::trim).collect();
                values.sort_unstable();
                values.dedup();
                Some(values.join(";"))
            }
            Self::Reference => ids::canonical(&text),
        }
    }
}

/// The second of a time in any of the forms that Reltio and Salesforce print.
fn moment(text: &str) -> Option<i64> {
    let of = |text: &str| {
        text.parse::<Timestamp>()
            .ok()
            .map(Timestamp::as_millisecond)
    };
    // `+0000`, as Salesforce prints it.
    let with_colon = || {
        let (head, minutes) = text.split_at_checked(text.len().checked_sub(2)?)?;
        of(&format!("{head}:{minutes}"))
    };
    let at_midnight = || {
        let day: Date = text.parse().ok()?;
        let zoned = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp().as_millisecond())
    };
    let millis = of(text).or_else(with_colon).or_else(at_midnight)?;
    Some(millis.div_euclid(1000))
}

fn day(text: &str) -> Option<Date> {
    text.get(..10)?.parse().ok()
}

/// The types of an object's fields, by name. A field that is not there is taken for text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldTypes(BTreeMap<String, FieldType>);

impl FromIterator<(String, FieldType)> for FieldTypes {
    fn from_iter<I: IntoIterator<Item = (String, FieldType)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl FieldTypes {
    fn of(&self, field: &str) -> Option<FieldType> {
        self.0.get(field).copied()
    }

    /// Whether `field` holds what it would after a write of `wanted`.
    pub(super) fn same(&self, field: &str, wanted: &Value, stored: Option<&Value>) -> bool {
        let stored = stored.unwrap_or(&Value::Null);
        match (blank(wanted), blank(stored)) {
            (true, true) => return true,
            (true, false) | (false, true) => return false,
            (false, false) => {}
        }
        let of_type = self.of(field);
        let kept = |value| of_type.and_then(|of_type| of_type.kept(value));
        if let (Some(wanted), Some(stored)) = (kept(wanted), kept(stored)) {
            return wanted == stored;
        }
        match (wanted, stored) {
            (Value::String(wanted), Value::String(stored)) => plain(wanted) == plain(stored),
            (Value::Number(one), Value::Number(other)) => {
                // What is beyond a float is none.
                one == other || one.as_f64().is_some_and(|one| Some(one) == other.as_f64())
            }
            (wanted, stored) => wanted == stored,
        }
    }

    /// `content` as a new record takes it: null would undo the org's own defaults, and the org
    /// refuses it in a checkbox.
    pub(super) fn for_create(&self, content: &Values) -> Values {
        let given = |(field, value): (&String, &Value)| {
            let value = match self.of(field) {
                Some(FieldType::Checkbox) if blank(value) => Value::Bool(false),
                _ if blank(value) => return None,
                _ => value.clone(),
            };
            Some((field.clone(), value))
        };
        content.iter().filter_map(given).collect()
    }

    /// `content` as `record` takes it: a checkbox is never empty, so nothing is no.
    pub(super) fn for_update(&self, content: &Values, record: &Record) -> Values {
        let mut content = content.clone();
        for (field, value) in content.iter_mut().filter(|(_, value)| blank(value)) {
            let is_told = self.of(field) == Some(FieldType::Checkbox);
            let is_seen = record.content.get(field).is_some_and(Value::is_boolean);
            *value = if is_told || is_seen {
                Value::Bool(false)
            } else {
                Value::Null
            };
        }
        content
    }
}

/// Text as the org compares it: without space around it, and with one sign for a line's end.
fn plain(text: &str) -> String {
    text.trim().replace("\r\n", "\n")
}

/// Whether there is nothing to be kept.
pub(super) fn blank(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn types() -> FieldTypes {
        [
            ("Email", "email"),
            ("Amount", "currency"),
            ("Count", "int"),
            ("Active", "boolean"),
            ("Seen", "datetime"),
            ("Born", "date"),
            ("Tags", "multipicklist"),
            ("OwnerId", "reference"),
            ("Name", "string"),
        ]
        .into_iter()
        .filter_map(|(field, kind)| Some((field.to_owned(), FieldType::named(kind, 2)?)))
        .collect()
    }

    fn number(text: &str) -> Value {
        Value::Number(text.parse().unwrap())
    }

    #[test]
    fn what_salesforce_stores_differently_is_the_same_and_nothing_else_is() {
        for (field, wanted, stored, same) in [
            ("Name", json!(" Ada "), json!("Ada"), true),
            ("Name", json!("Ada"), json!("ada"), false),
            ("Name", json!("one\ntwo"), json!("one\r\ntwo"), true),
            ("Name", json!("5"), json!(5), false),
            ("Other", json!(5), json!(5.0), true),
            ("Other", number("1e400"), number("1e400"), true),
            ("Other", number("1e400"), number("2e400"), false),
            (
                "Email",
                json!("Ada@Example.ORG"),
                json!("ada@example.org"),
                true,
            ),
            (
                "Email",
                json!("ada@example.org"),
                json!("bea@example.org"),
                false,
            ),
            ("Amount", json!(1.005), json!(1.01), true),
            ("Amount", json!(-1.005), json!(-1.01), true),
            ("Amount", json!("12.30"), json!(12.3), true),
            ("Amount", json!(1.014), json!(1.02), false),
            ("Count", json!(5), json!(5.0), true),
            ("Active", json!("TRUE"), json!(true), true),
            ("Active", json!("no"), json!(false), false),
            (
                "Seen",
                json!("2026-01-31T10:30:00.454+01:00"),
                json!("2026-01-31T09:30:00.000+0000"),
                true,
            ),
            (
                "Seen",
                json!("2026-01-31"),
                json!("2026-01-31T00:00:00.000+0000"),
                true,
            ),
            (
                "Seen",
                json!("2026-01-31T10:30:01Z"),
                json!("2026-01-31T10:30:00.000+0000"),
                false,
            ),
            (
                "Born",
                json!("1815-12-10T00:00:00Z"),
                json!("1815-12-10"),
                true,
            ),
            ("Born", json!("1815-12-10"), json!("1815-12-11"), false),
            ("Tags", json!("b;a"), json!("a;b"), true),
            ("Tags", json!("b"), json!("a;b"), false),
            (
                "OwnerId",
                json!("001A0000006Vm9r"),
                json!("001A0000006Vm9rIAC"),
                true,
            ),
            (
                "OwnerId",
                json!("001A0000006Vm9s"),
                json!("001A0000006Vm9rIAC"),
                false,
            ),
        ] {
            assert_eq!(
                types().same(field, &wanted, Some(&stored)),
                same,
                "{field} {wanted} {stored}"
            );
        }
        assert!(types().same("Name", &json!(""), None));
        assert!(types().same("Name", &Value::Null, Some(&json!(""))));
        assert!(!types().same("Name", &json!("Ada"), None));
        assert!(!types().same("Email", &Value::Null, Some(&json!("a@b"))));
    }

    #[test]
    fn a_new_record_is_given_what_there_is_and_no_in_checkboxes() {
        let content = [
            ("Name", json!("Ada")),
            ("Email", Value::Null),
            ("Born", json!(" ")),
            ("Active", Value::Null),
        ]
        .map(|(field, value)| (field.to_owned(), value))
        .into();
        let wanted = json!({ "Name": "Ada", "Active": false });
        assert_eq!(json!(types().for_create(&content)), wanted);
        let wanted = json!({ "Name": "Ada", "Email": null, "Born": null, "Active": false });
        assert_eq!(
            json!(types().for_update(&content, &Record::default())),
            wanted
        );
    }
}
