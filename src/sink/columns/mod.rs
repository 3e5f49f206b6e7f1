//! Columns of attributes: typed values of the mapping beside a snapshot's JSON.
//!
//! Guarantee: a column's value follows from the snapshot alone, so that what is filled in afterwards
//! is what would have been written. A value that does not fit its type is NULL, and counted; the
//! JSON has it. Without columns nothing is read.

mod config;
mod value;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

pub use config::{ColumnConfig, ColumnType, TypedColumn};

pub(super) use config::check;
pub(super) use value::plain;

use crate::event::attributes::{first_step, operational_at};
use crate::event::{Object, short_name};
use crate::telemetry::Metrics;

/// A doubt of the mapping: a value is none of its column's type.
const UNFIT_VALUE: &str = "unfit_value";

/// The columns of a mapping. Those of one attribute follow each other.
#[derive(Debug, Default)]
pub(super) struct Columns(pub(super) Vec<Column>);

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnType,
    /// The attribute that its path begins with.
    attribute: String,
    /// The rest of the path, if there is one.
    below: Option<String>,
    object_type: Option<String>,
    /// Values that did not fit since they were last taken.
    unfit: AtomicU64,
}

impl Columns {
    /// The columns of a configuration.
    pub(super) fn new(config: &BTreeMap<String, ColumnConfig>) -> Self {
        let column = |(name, config): (&String, &ColumnConfig)| {
            let (path, kind, object_type) = match config {
                ColumnConfig::Attribute(path) => (path, ColumnType::Text, None),
                ColumnConfig::Typed(typed) => {
                    (&typed.attribute, typed.kind, typed.object_type.as_deref())
                }
            };
            let (attribute, below) = first_step(path);
            Column {
                name: name.clone(),
                kind,
                attribute: attribute.to_owned(),
                below: below.map(ToOwned::to_owned),
                object_type: object_type.map(|name| short_name(name).to_owned()),
                unfit: AtomicU64::new(0),
            }
        };
        let mut columns: Vec<Column> = config.iter().map(column).collect();
        columns.sort_by(|one, other| {
            (&one.attribute, &one.name).cmp(&(&other.attribute, &other.name))
        });
        Self(columns)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// What `object` says, of the type `told` if it names none itself; in the order of the columns.
    /// Reads the attributes that are asked for, each once.
    pub(super) fn read(&self, object: &Object, told: &str) -> Vec<Option<String>> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let object_type = object.object_type().unwrap_or(told);
        let mut last: Option<(&str, _)> = None;
        let values = self.0.iter().map(|column| {
            if !column.is_of(object_type) {
                return None;
            }
            let known = last
                .as_ref()
                .is_some_and(|(name, _)| *name == column.attribute);
            if !known {
                last = Some((&column.attribute, object.attribute(&column.attribute)));
            }
            let (_, values) = last.as_ref()?;
            let value = operational_at(values.as_ref()?, column.below.as_deref())?;
            column.typed(&value)
        });
        values.collect()
    }

    /// The same of a snapshot's JSON text.
    pub(super) fn read_text(&self, json: &str, told: &str) -> Vec<Option<String>> {
        if self.0.is_empty() {
            return Vec::new();
        }
        match Object::parse(json.as_bytes()) {
            Ok(object) => self.read(&object, told),
            Err(_) => vec![None; self.0.len()],
        }
    }

    /// Names of columns whose values did not fit since this was last asked, and how many.
    fn take_unfit(&self) -> impl Iterator<Item = (&str, u64)> {
        let taken = self.0.iter().map(|column| {
            let count = column.unfit.swap(0, Ordering::Relaxed);
            (column.name.as_str(), count)
        });
        taken.filter(|(_, count)| *count > 0)
    }

    /// Where the values of the column called `name` come from; nothing if it is none of these.
    pub(super) fn source(&self, name: &str) -> Option<String> {
        let column = self.0.iter().find(|column| column.name == name);
        column.map(Column::source)
    }

    /// Counts the values that did not fit since this was last asked.
    pub(super) fn tell_unfit(&self, sink: &str, metrics: &Metrics) {
        for (column, count) in self.take_unfit() {
            metrics.mapping_doubts(sink, UNFIT_VALUE, count);
            tracing::debug!(
                sink,
                column,
                count,
                "values do not fit the type of their column, which is NULL there"
            );
        }
    }
}

impl Column {
    fn is_of(&self, object_type: &str) -> bool {
        let wanted = self.object_type.as_deref();
        wanted.is_none_or(|wanted| wanted == object_type)
    }

    /// `value` as the column holds it, as text; nothing if it does not fit.
    fn typed(&self, value: &serde_json::Value) -> Option<String> {
        let made = value::typed(self.kind, value);
        if made.is_none() && !value::is_blank(value) {
            self.count_unfit();
        }
        made
    }

    /// Counts a value that did not fit.
    pub(super) fn count_unfit(&self) {
        self.unfit.fetch_add(1, Ordering::Relaxed);
    }

    /// Where its values come from, as people read it.
    pub(super) fn source(&self) -> String {
        let below = self.below.as_ref().map(|below| format!(".{below}"));
        let below = below.unwrap_or_default();
        let of = self.object_type.as_ref().map(|name| format!(" of {name}"));
        format!("{}{below}{}", self.attribute, of.unwrap_or_default())
    }
}

impl ColumnType {
    /// Its name in the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn columns(config: serde_json::Value) -> Columns {
        Columns::new(&serde_json::from_value(config).unwrap())
    }

    #[test]
    fn columns_are_read_by_their_attributes_and_of_their_type_only() {
        let columns = columns(json!({
            "zip": "Address.Zip", "born": {"attribute": "DateOfBirth", "type": "date"},
            "city": "Address.City", "size": {"attribute": "Size", "type": "integer",
             "object_type": "configuration/entityTypes/Organization"},
        }));
        let names: Vec<&str> = columns.0.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["city", "zip", "born", "size"]);
        let object = |kind: &str, born: &str| {
            let json = json!({"type": format!("configuration/entityTypes/{kind}"), "attributes": {
                "DateOfBirth": [{"value": born}], "Size": [{"value": "7"}],
                "Address": [{"value": {"City": [{"value": "Rome"}]}}],
            }});
            Object::parse(json.to_string().as_bytes()).unwrap()
        };
        let read = |object| {
            let values = columns.read(object, "Organization").into_iter();
            values.map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        let person = object("Individual", "1980-05-17");
        assert_eq!(read(&person), ["Rome", "", "1980-05-17", ""]);
        assert_eq!(columns.take_unfit().count(), 0);
        let company = object("Organization", "long ago");
        assert_eq!(read(&company), ["Rome", "", "", "7"]);
        assert_eq!(columns.take_unfit().collect::<Vec<_>>(), [("born", 1)]);
        assert_eq!(columns.take_unfit().count(), 0);
        let untyped = Object::parse(br#"{"attributes": {"Size": [{"value": 7}]}}"#).unwrap();
        assert_eq!(read(&untyped), ["", "", "", "7"]);
        assert_eq!(
            columns.source("size").as_deref(),
            Some("Size of Organization")
        );
        assert_eq!(columns.source("zip").as_deref(), Some("Address.Zip"));
    }
}
