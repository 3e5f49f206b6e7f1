//! A snapshot as it goes into the tables.
//!
//! Nothing is lost in silence: PostgreSQL holds no U+0000 in text or `jsonb`, so where a snapshot
//! has one, `object` shows U+FFFD in its place and `object_exact` keeps the JSON as it was, in
//! both databases alike.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::event::Object;

/// What the tables keep of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// JSON that either database takes.
    pub(super) object: Option<Arc<str>>,
    /// The JSON as it was, where `object` differs from it.
    pub(super) exact: Option<Arc<str>>,
    pub(super) label: Option<Arc<str>>,
    /// Ends of a relation.
    pub(super) start: Option<Arc<str>>,
    pub(super) end: Option<Arc<str>>,
}

impl Content {
    /// How much room it takes, roughly.
    pub(super) fn bytes(&self) -> usize {
        let length = |text: &Option<Arc<str>>| text.as_ref().map_or(0, |text| text.len());
        length(&self.object) + length(&self.exact)
    }

    /// The content of `object`.
    pub(super) fn of(object: &Object) -> Self {
        Self::of_json(object.json())
    }

    fn of_json(json: &Value) -> Self {
        let text = json.to_string();
        // The escape may also be an escaped backslash before `u0000`: only the tree can tell.
        let shown = text.contains("\\u0000").then(|| shown(json));
        let (object, exact) = match shown {
            Some(shown) if shown != *json => (shown.to_string(), Some(text)),
            Some(_) | None => (text, None),
        };
        Self {
            object: Some(object.into()),
            exact: exact.map(Into::into),
            label: json.get("label").and_then(Value::as_str).map(plain),
            start: end(json, "startObject"),
            end: end(json, "endObject"),
        }
    }
}

/// The entity at an end of a relation; both spellings are in use.
fn end(json: &Value, member: &str) -> Option<Arc<str>> {
    let end = json.get(member)?;
    let uri = end.get("objectURI").or_else(|| end.get("objectUri"))?;
    uri.as_str().map(plain)
}

/// Text that either database takes.
pub(super) fn plain(text: &str) -> Arc<str> {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}").into()
    } else {
        text.into()
    }
}

fn shown(json: &Value) -> Value {
    match json {
        Value::String(text) => Value::String(plain(text).as_ref().to_owned()),
        Value::Array(items) => items.iter().map(shown).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (plain(name).as_ref().to_owned(), shown(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => json.clone(),
    }
}

/// A snapshot of which only some members are known.
#[derive(Debug, Clone)]
pub(super) struct Partial {
    /// The members, `attributes` or `attributes.FirstName`: listed and absent means empty.
    pub(super) fields: Vec<String>,
    pub(super) object: Arc<Object>,
}

impl Partial {
    /// The content after the known members replaced those of `before`, a snapshot's JSON.
    pub(super) fn over(&self, before: Option<&str>) -> Content {
        let before = before.and_then(|text| serde_json::from_str(text).ok());
        let mut members = match before {
            Some(Value::Object(members)) => members,
            Some(_) | None => Map::new(),
        };
        let Value::Object(known) = self.object.json() else {
            return Content::of_json(&Value::Object(members));
        };
        for path in &self.fields {
            lay(&mut members, known, path);
        }
        for (name, value) in known {
            // What is there is known, listed or not; a member listed in parts was laid above.
            let in_parts = self
                .fields
                .iter()
                .any(|path| path.split_once('.').is_some_and(|(head, _)| head == name));
            if !in_parts {
                members.insert(name.clone(), value.clone());
            }
        }
        Content::of_json(&Value::Object(members))
    }
}

/// Makes `path` in `to` what it is in `from`; takes it out if it is not there.
fn lay(to: &mut Map<String, Value>, from: &Map<String, Value>, path: &str) {
    let Some((head, rest)) = path.split_once('.') else {
        match from.get(path) {
            Some(value) => to.insert(path.to_owned(), value.clone()),
            None => to.remove(path),
        };
        return;
    };
    let empty = Map::new();
    let inner = from.get(head).and_then(Value::as_object);
    if inner.is_none() && !to.contains_key(head) {
        return;
    }
    let target = to.entry(head).or_insert_with(|| Value::Object(Map::new()));
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        lay(target, inner.unwrap_or(&empty), rest);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(json: &Value) -> Object {
        Object::parse(json.to_string().as_bytes()).unwrap()
    }

    fn laid(fields: &[&str], known: &Value, before: &Value) -> Value {
        let partial = Partial {
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            object: object(known).into(),
        };
        let content = partial.over(Some(&before.to_string()));
        serde_json::from_str(&content.object.unwrap()).unwrap()
    }

    #[test]
    fn a_nul_is_shown_as_a_mark_and_the_exact_json_is_kept() {
        let with = json!({"label": "a\0b", "attributes": {"x\0": ["\0", 1]}});
        let content = Content::of(&object(&with));
        assert!(!content.object.as_deref().unwrap().contains("u0000"));
        assert_eq!(content.label.as_deref(), Some("a\u{fffd}b"));
        let exact: Value = serde_json::from_str(content.exact.as_deref().unwrap()).unwrap();
        assert_eq!(exact, with);
    }

    #[test]
    fn a_written_out_escape_is_not_a_nul() {
        let content = Content::of(&object(&json!({"label": "a\\u0000b"})));
        assert_eq!(content.exact, None);
        assert_eq!(content.label.as_deref(), Some("a\\u0000b"));
    }

    #[test]
    fn listed_members_are_replaced_and_others_stay() {
        let before = json!({"label": "old", "attributes": {"A": 1}, "crosswalks": [1]});
        let known = json!({"uri": "u", "attributes": {"B": 2}});
        assert_eq!(
            laid(&["attributes", "label"], &known, &before),
            json!({"uri": "u", "attributes": {"B": 2}, "crosswalks": [1]})
        );
    }

    #[test]
    fn a_member_listed_in_parts_is_replaced_in_parts() {
        let before = json!({"attributes": {"A": 1, "B": 1, "C": 1}});
        let known = json!({"attributes": {"A": 2}});
        assert_eq!(
            laid(&["attributes.A", "attributes.B"], &known, &before),
            json!({"attributes": {"A": 2, "C": 1}})
        );
        assert_eq!(
            laid(&["attributes.A"], &json!({"uri": "u"}), &before),
            json!({"uri": "u", "attributes": {"B": 1, "C": 1}})
        );
    }
}
