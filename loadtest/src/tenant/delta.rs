//! What changed between two snapshots, as Reltio's `DELTAS` payloads say it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::world::Happening;

/// The member `deltas` of an event's body.
pub(super) fn deltas(event: &Happening) -> Value {
    let mut map = Map::new();
    let object = event.after.as_ref().or(event.before.as_ref());
    let relation = event.subject.starts_with("relations/");
    let text = |pointer: &str| {
        let text = object.and_then(|object| object.pointer(pointer)?.as_str());
        let last = text.map(|text| text.rsplit('/').next().unwrap_or(text));
        (last.map(str::to_owned), text.map(str::to_owned))
    };
    if relation {
        map.insert("relationType".to_owned(), json!(text("/type").0));
        for (side, name) in [("startObject", "startObject"), ("endObject", "endObject")] {
            let uri = text(&format!("/{side}/objectURI")).1;
            map.insert(format!("{name}Uri"), json!(uri));
            let short = text(&format!("/{side}/type")).0;
            map.insert(format!("{name}Type"), json!(short));
        }
    } else {
        map.insert("entityType".to_owned(), json!(text("/type").0));
    }
    let items = items(event);
    map.insert("ovChanged".to_owned(), json!(ov_changed(&items)));
    // The delta of a removal says nothing more.
    if event.after.is_some() {
        map.insert("delta".to_owned(), Value::Array(items));
    }
    Value::Object(map)
}

fn items(event: &Happening) -> Vec<Value> {
    let created = |after: &Value| vec![json!({ "type": event.event.name(), "newValue": after })];
    match (&event.before, &event.after) {
        (None, Some(after)) => created(after),
        (Some(before), Some(after)) => between(before, after),
        (_, None) => Vec::new(),
    }
}

fn between(before: &Value, after: &Value) -> Vec<Value> {
    let (old, new) = (values(before), values(after));
    let mut items = Vec::new();
    for (id, value) in &new {
        let path = value.get("type");
        match old.get(id) {
            None => items.push(json!({
                "type": "ATTRIBUTE_ADDED",
                "attributeType": path,
                "newValue": said(id, value),
            })),
            Some(known) if known == value => {}
            Some(known) => items.push(json!({
                "type": "ATTRIBUTE_CHANGED",
                "attributeType": path,
                "newValue": said(id, value),
                "oldValue": said(id, known),
            })),
        }
    }
    for (id, value) in old.iter().filter(|(id, _)| !new.contains_key(*id)) {
        items.push(json!({
            "type": "ATTRIBUTE_REMOVED",
            "attributeType": value.get("type"),
            "oldValue": said(id, value),
        }));
    }
    items
}

/// The attribute values of a snapshot, by id.
fn values(object: &Value) -> BTreeMap<String, &Value> {
    let attributes = object.get("attributes").and_then(Value::as_object);
    let lists = attributes.into_iter().flat_map(Map::values);
    let values = lists.filter_map(Value::as_array).flatten();
    values
        .filter_map(|value| {
            let id = value.get("uri")?.as_str()?.rsplit('/').next()?;
            Some((id.to_owned(), value))
        })
        .collect()
}

fn said(id: &str, value: &Value) -> Value {
    json!({ "value": value.get("value"), "ov": value.get("ov"), "id": id })
}

fn ov_changed(items: &[Value]) -> bool {
    let operational = |item: &Value| {
        ["/newValue/ov", "/oldValue/ov"]
            .iter()
            .any(|pointer| item.pointer(pointer) == Some(&Value::Bool(true)))
    };
    items.iter().any(operational)
}
