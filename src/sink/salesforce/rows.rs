//! Writes as the rows of a request, and records as the rows of an answer. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_json::Value;

use super::ids;
use super::org::{Record, RecordWrite, Sought, Table};
use crate::time::Millis;

/// The body of a write.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rows<'a> {
    all_or_none: bool,
    records: Vec<Row<'a>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(table: &'a Table, writes: &[&'a RecordWrite]) -> Self {
        let writes = writes.iter();
        Self {
            all_or_none: false,
            records: writes.map(|write| Row { table, write }).collect(),
        }
    }
}

/// A write as a row of a request.
struct Row<'a> {
    table: &'a Table,
    write: &'a RecordWrite,
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, json: S) -> Result<S::Ok, S::Error> {
        let Self { table, write } = *self;
        let mut row = json.serialize_map(None)?;
        row.serialize_entry("attributes", &BTreeMap::from([("type", &table.sobject)]))?;
        if let Some(id) = &write.id {
            row.serialize_entry("id", id)?;
        }
        row.serialize_entry(&table.mark, &write.mark)?;
        row.serialize_entry(&table.guard, &write.guard)?;
        if let Some(ext) = &write.ext {
            row.serialize_entry(&table.ext, ext)?;
        }
        if let Some(home) = &write.home {
            row.serialize_entry(&table.home, home)?;
        }
        if let Some((archived, into)) = &write.archived {
            row.serialize_entry(&table.archived, archived)?;
            row.serialize_entry(&table.merged_into, into)?;
        }
        // None of them is one of goldwire's own: the configuration refuses that.
        for (field, value) in &write.content {
            row.serialize_entry(field, value)?;
        }
        row.end()
    }
}

/// The JSON of a write, as a row of a request.
pub fn row(table: &Table, write: &RecordWrite) -> Value {
    serde_json::to_value(Row { table, write }).unwrap_or_default()
}

/// A record as a query's answer prints it. `columns` are the mapped fields.
pub fn record(table: &Table, columns: &BTreeSet<String>, row: &Value) -> Option<Record> {
    let text = |field: &str| {
        row.get(field)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let into = text(&table.merged_into);
    let content = columns
        .iter()
        .filter_map(|field| Some((field.clone(), row.get(field)?.clone())));
    Some(Record {
        id: ids::canonical(row.get("Id")?.as_str()?)?,
        ext: text(&table.ext),
        mark: text(&table.mark),
        home: text(&table.home),
        archived: row
            .get(&table.archived)
            .and_then(Value::as_bool)
            .unwrap_or_default(),
        merged_into: into.map(|id| ids::canonical(&id).unwrap_or(id)),
        guard: row
            .get(&table.guard)
            .and_then(whole_number)
            .unwrap_or_default(),
        content: content.collect(),
    })
}

/// Numbers come back with a fraction: `1.726E12`.
fn whole_number(value: &Value) -> Option<Millis> {
    value
        .as_i64()
        .or_else(|| format!("{:.0}", value.as_f64()?).parse().ok())
}

/// The records that each of `sought` finds.
pub(super) fn found_by(sought: &[&Sought], found: &[Record]) -> Vec<Vec<Record>> {
    let mut bearers: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, record) in found.iter().enumerate() {
        let entities = [&record.ext, &record.mark, &record.home];
        let names = entities.into_iter().flatten().chain([&record.id]);
        names.for_each(|name| bearers.entry(name).or_default().push(at));
    }
    let of = |sought: &&Sought| {
        let names = sought.ids.iter().chain([&sought.entity]);
        let places = names.filter_map(|name| bearers.get(name.as_str()));
        let places: BTreeSet<usize> = places.flatten().copied().collect();
        let records = places.into_iter().filter_map(|at| found.get(at));
        let records = records.filter(|record| sought.finds(record));
        records.cloned().collect()
    };
    sought.iter().map(of).collect()
}
