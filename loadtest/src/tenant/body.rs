//! Bodies of events, in each of Reltio's payload types.

use serde_json::{Map, Value, json};

use super::delta;
use super::emission::{Form, Payload};
use super::event_type::EventType;
use super::form::SELECTED_FIELDS;
use super::json::ACTOR;
use super::world::Happening;

/// The event's body as JSON.
pub(super) fn body(event: &Happening, form: Form) -> Value {
    let mut map = Map::new();
    let mut put = |member: &str, value: Value| map.insert(member.to_owned(), value);
    put("type", type_name(event.event, form).into());
    match form.payload {
        Payload::Whole | Payload::Fields | Payload::OvOnly => {
            put("object", object(event, form));
        }
        Payload::WholeWithDelta => {
            put("object", object(event, form));
            put(uri_member(form), event.subject.clone().into());
            put("deltas", delta::deltas(event));
        }
        Payload::Delta => {
            put(uri_member(form), event.subject.clone().into());
            put("deltas", delta::deltas(event));
        }
        Payload::Oversize => {
            put("exceededQueueSizeLimit", true.into());
        }
        Payload::Participants => {
            put("uris", json!(event.uris));
            put("updatedTime", event.commit_time.into());
        }
        Payload::IdOnly => {}
    }
    let changed = matches!(event.event, EventType::Changed | EventType::RelationChanged);
    if changed && form.payload != Payload::Delta {
        put("ovChanged", true.into());
    }
    Value::Object(map)
}

/// The event type in the vocabulary of the form.
pub(super) fn type_name(event: EventType, form: Form) -> &'static str {
    match event.int004() {
        Some(name) if form.int004 => name,
        Some(_) | None => event.name(),
    }
}

fn uri_member(form: Form) -> &'static str {
    if form.upper_case_uri { "URI" } else { "uri" }
}

/// The event's object. Of one that does not live any more, only who it was.
fn object(event: &Happening, form: Form) -> Value {
    let mut object = match &event.after {
        Some(after) => Value::clone(after),
        None => json!({
            "uri": event.subject,
            "type": event.before.as_ref().and_then(|before| before.get("type")),
            "updatedBy": ACTOR,
            "updatedTime": event.commit_time,
        }),
    };
    if let Some(map) = object.as_object_mut() {
        match form.payload {
            Payload::Fields => map.retain(|name, _| SELECTED_FIELDS.contains(&name.as_str())),
            Payload::OvOnly => operational(map),
            Payload::Whole
            | Payload::WholeWithDelta
            | Payload::Delta
            | Payload::IdOnly
            | Payload::Oversize
            | Payload::Participants => {}
        }
        if form.upper_case_uri
            && let Some(uri) = map.remove("uri")
        {
            map.insert("URI".to_owned(), uri);
        }
    }
    object
}

/// Leaves the operational values; crosswalks are not filtered.
fn operational(object: &mut Map<String, Value>) {
    let Some(attributes) = object.get_mut("attributes").and_then(Value::as_object_mut) else {
        return;
    };
    for list in attributes.values_mut().filter_map(Value::as_array_mut) {
        list.retain(|value| value.get("ov") == Some(&Value::Bool(true)));
    }
    attributes.retain(|_, list| list.as_array().is_none_or(|list| !list.is_empty()));
}
