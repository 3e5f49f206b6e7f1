//! The part of SOQL that the sink speaks: `SELECT … FROM … WHERE field IN (…) OR …`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ids;
use super::org::{FakeObject, FakeRecord, Refused};

struct Query {
    columns: Vec<String>,
    sobject: String,
    conditions: Vec<(String, Vec<String>)>,
}

/// The records that a query finds, as its answer prints them.
pub(super) fn run<'a>(
    text: &str,
    object: impl Fn(&str) -> Option<&'a FakeObject>,
) -> Result<Vec<Value>, Refused> {
    let query =
        parse(text).ok_or_else(|| ("MALFORMED_QUERY", format!("unexpected token: {text}")))?;
    let Some(object) = object(&query.sobject) else {
        return Err((
            "INVALID_TYPE",
            format!("sObject type '{}' is not supported", query.sobject),
        ));
    };
    let used = query
        .columns
        .iter()
        .chain(query.conditions.iter().map(|(field, _)| field));
    for name in used {
        if name != "Id" && !object.fields.contains_key(name) {
            return Err((
                "INVALID_FIELD",
                format!("No such column '{name}' on entity"),
            ));
        }
    }
    let id_lists = query.conditions.iter().filter(|(field, _)| field == "Id");
    if let Some(odd) = id_lists
        .flat_map(|(_, list)| list)
        .find(|id| ids::canonical(id).is_none())
    {
        return Err((
            "INVALID_QUERY_FILTER_OPERATOR",
            format!("invalid ID field: {odd}"),
        ));
    }
    let mut found: BTreeMap<&str, &FakeRecord> = BTreeMap::new();
    for (field, list) in &query.conditions {
        for value in list {
            let records = matching(object, field, value);
            found.extend(records.map(|record| (record.id.as_str(), record)));
        }
    }
    Ok(found.values().map(|record| row(&query, record)).collect())
}

/// How many values a query compares with.
pub(super) fn values(text: &str) -> usize {
    let query = parse(text)
        .map(|query| query.conditions)
        .unwrap_or_default();
    query.iter().map(|(_, list)| list.len()).sum()
}

fn matching<'a>(
    object: &'a FakeObject,
    field: &'a str,
    wanted: &'a str,
) -> Box<dyn Iterator<Item = &'a FakeRecord> + 'a> {
    if field == "Id" {
        let id = ids::canonical(wanted);
        return Box::new(id.and_then(|id| object.records.get(&id)).into_iter());
    }
    let alike = object.records.alike(field, wanted);
    Box::new(alike.filter(move |record| {
        let value = record.fields.get(field).and_then(Value::as_str);
        let kind = object.fields.get(field);
        value
            .zip(kind)
            .is_some_and(|(value, kind)| kind.same(value, wanted))
    }))
}

/// Numbers are printed as the real one prints them, with a fraction.
fn row(query: &Query, record: &FakeRecord) -> Value {
    let mut row = serde_json::Map::new();
    row.insert("attributes".to_owned(), json!({ "type": query.sobject }));
    for column in &query.columns {
        let value = match record.fields.get(column) {
            _ if column == "Id" => json!(record.id),
            Some(number) if number.is_number() => json!(number.as_f64()),
            Some(value) => value.clone(),
            None => Value::Null,
        };
        row.insert(column.clone(), value);
    }
    Value::Object(row)
}

fn parse(text: &str) -> Option<Query> {
    let rest = text.strip_prefix("SELECT ")?;
    let (columns, rest) = rest.split_once(" FROM ")?;
    let (sobject, mut rest) = rest.split_once(" WHERE ")?;
    let mut conditions = Vec::new();
    loop {
        let (field, list) = rest.split_once(" IN (")?;
        let (list, after) = literals(list)?;
        conditions.push((field.trim().to_owned(), list));
        match after.trim_start().strip_prefix("OR ") {
            Some(more) => rest = more,
            None if after.trim().is_empty() => break,
            None => return None,
        }
    }
    let columns = columns
        .split(',')
        .map(|column| column.trim().to_owned())
        .collect();
    Some(Query {
        columns,
        sobject: sobject.trim().to_owned(),
        conditions,
    })
}

/// The literals up to the closing parenthesis, and what follows it.
fn literals(mut text: &str) -> Option<(Vec<String>, &str)> {
    let mut list = Vec::new();
    loop {
        let inner = text.trim_start().strip_prefix('\'')?;
        let mut literal = String::new();
        let mut letters = inner.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '\'') => break at + 1,
                (_, '\\') => literal.push(match letters.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    plain => plain,
                }),
                (_, plain) => literal.push(plain),
            }
        };
        list.push(literal);
        let after = inner.get(end..)?.trim_start();
        if let Some(after) = after.strip_prefix(')') {
            return Some((list, after));
        }
        text = after.strip_prefix(',')?;
    }
}
