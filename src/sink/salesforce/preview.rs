//! The record that a write would make, as far as it shows without the org.

use std::fmt::Write as _;

use serde_json::Value;

use super::config::{Ended, FieldSource, OnEmpty, SalesforceObject, SalesforceSink};
use super::content::{content, erased};
use super::ids;
use super::plan::{bad_crosswalk, naming};
use crate::event::attributes::operational;
use crate::event::{Object, SubjectState};
use crate::sink::preview::{Preview, PreviewValue, Previewed};
use crate::sink::{Current, SinkError, Write};
use crate::time::{Clock as _, Millis, SystemClock};

/// # Errors
/// If nothing tells the entity's type, its snapshot is no tree, or a crosswalk names no record.
pub(super) fn preview(config: &SalesforceSink, write: &Write) -> Previewed {
    let Some(current) = &write.current else {
        return Ok(Vec::new());
    };
    let rejected = |code: &str| SinkError::Rejected {
        code: code.to_owned(),
        fields: Vec::new(),
        action: "map",
    };
    let mut object_type = &*write.object_type;
    if let SubjectState::Alive(object) = &current.state {
        if !object.is_tree() {
            return Err(rejected("no_tree"));
        }
        object_type = object.object_type().unwrap_or(object_type);
        if object_type.is_empty() {
            return Err(rejected("no_type"));
        }
    }
    let tables = config.objects.iter();
    let mut tables: Vec<_> = tables
        .filter(|(name, _)| object_type.is_empty() || *name == object_type)
        .map(|(_, object)| object)
        .collect();
    tables.dedup_by(|one, other| one.sobject == other.sobject);
    let of_table = |table: &SalesforceObject| match &current.state {
        SubjectState::Alive(object) if is_used(table, object, SystemClock.now()) => {
            living(config, table, write, current, object)
        }
        SubjectState::Alive(_)
        | SubjectState::Absorbed { .. }
        | SubjectState::Removed
        | SubjectState::Erased
        | SubjectState::Gone => Ok(dead(table, write, current)),
    };
    tables.into_iter().map(of_table).collect()
}

/// Whether an entity's record is in use, by its dates.
fn is_used(table: &SalesforceObject, object: &Object, now: Millis) -> bool {
    table.ended == Ended::Keep || object.activity().is_active(now)
}

fn living(
    config: &SalesforceSink,
    table: &SalesforceObject,
    write: &Write,
    current: &Current,
    object: &Object,
) -> Result<Preview, SinkError> {
    let entity = write.subject.uri();
    let source = &config.crosswalk_source;
    let known = current.fields.as_deref();
    let action = if object.crosswalks().is_none() {
        "read Reltio, since the event has no crosswalks, and upsert what it answers".to_owned()
    } else {
        format!("update what a crosswalk of {source} names, else what bears its id, else create")
    };
    let mut values = Vec::new();
    for crosswalk in naming(object, source, SystemClock.now()) {
        let id = ids::canonical(&crosswalk.value).ok_or_else(bad_crosswalk)?;
        let folded = if ids::may_be_folded(&crosswalk.value) {
            ", whose case a source may have folded: it counts if the org knows it"
        } else {
            ""
        };
        let from = format!("crosswalk {source} {:?}{folded}", crosswalk.value);
        values.push(PreviewValue::new("Id", id, from));
    }
    values.push(PreviewValue::new(&table.ext_field, entity, "the entity"));
    let told = content(&table.fields, object, known);
    for (field, source) in &table.fields {
        let value = told.values.get(field).or_else(|| told.empty.get(field));
        let Some(value) = value.cloned() else {
            continue;
        };
        let from = origin(source, object, &value);
        let kept = told.empty.contains_key(field) && source.on_empty().0 == OnEmpty::Keep;
        let from = if kept {
            format!("for a new record alone, since it is kept when empty: {from}")
        } else {
            from
        };
        values.push(PreviewValue::new(field, value, from));
    }
    let kept = table.fields.keys();
    let kept = kept.filter(|field| !values.iter().any(|value| value.field == **field));
    let kept: Vec<&str> = kept.map(String::as_str).collect();
    if !kept.is_empty() {
        let from = format!("kept, since the event does not tell: {}", kept.join(", "));
        values.push(PreviewValue::new("-", Value::Null, from));
    }
    values.extend(marks(table, write, current, false));
    Ok(Preview {
        target: table.sobject.clone(),
        action,
        values,
    })
}

fn dead(table: &SalesforceObject, write: &Write, current: &Current) -> Preview {
    let mut values = marks(table, write, current, true);
    if current.erased {
        for (field, value) in erased(&table.fields) {
            let from = "erased: what the mapping makes of no values";
            values.push(PreviewValue::new(&field, value, from));
        }
    }
    Preview {
        target: table.sobject.clone(),
        action: "archive the records that the entity owns; create none".to_owned(),
        values,
    }
}

/// The fields that goldwire keeps for itself.
fn marks(
    table: &SalesforceObject,
    write: &Write,
    current: &Current,
    archived: bool,
) -> Vec<PreviewValue> {
    vec![
        PreviewValue::new(&table.mark_field, write.subject.uri(), "the entity"),
        PreviewValue::new(&table.archived_field, archived, "its state"),
        PreviewValue::new(
            &table.guard_field,
            current.content_time,
            "the guard: commit time, or when Reltio was read",
        ),
    ]
}

/// Where the value of a field comes from.
fn origin(source: &FieldSource, object: &Object, value: &Value) -> String {
    match source {
        FieldSource::Constant(_) => "a constant of the mapping".to_owned(),
        FieldSource::Member(member) => format!("object.{member}"),
        FieldSource::Attribute(path) => chosen(object, path),
        FieldSource::AttributeOr(field) if *value == field.default => {
            format!("the default, if not {}", chosen(object, &field.path))
        }
        FieldSource::AttributeOr(field) => chosen(object, &field.path),
    }
}

/// Which value of an attribute counts, level by level.
fn chosen(object: &Object, path: &str) -> String {
    let mut told = format!("attributes.{path}");
    let mut level = object.json().get("attributes");
    for step in path.split('.') {
        let values = level.and_then(|level| level.get(step));
        let list = values.and_then(Value::as_array).map_or(0, Vec::len);
        let Some(value) = values.and_then(operational) else {
            let none = if list == 0 {
                "is not there"
            } else {
                "has no operational value"
            };
            return format!("{told}: {step} {none}");
        };
        let uri = value.get("uri").and_then(Value::as_str);
        // Writing to a string does not fail.
        if let Some(place) = uri.filter(|_| list > 1) {
            write!(told, ", {place} of {list} values").ok();
        } else if list > 1 {
            write!(told, ", the operational one of {list} values").ok();
        }
        level = value.get("value");
    }
    told
}
