//! A snapshot of which only some members are known, laid over what the table holds. The one place
//! where a snapshot is a tree.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::content::{Content, Unfit};
use super::scan::shown;
use crate::event::Object;

/// A snapshot of which only some members are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial<'a> {
    /// The members, `attributes` or `attributes.FirstName`: listed and absent means empty.
    pub(super) fields: &'a [String],
    pub(super) object: &'a Object,
}

impl Partial<'_> {
    /// The content after the known members replaced those of `before`, a snapshot's JSON.
    ///
    /// # Errors
    /// If either holds what no tree can: the members that are not known would be lost.
    pub(super) fn over(&self, before: Option<&str>) -> Result<Content<'static>, Unfit> {
        let mut members = before.map_or_else(|| Ok(Map::new()), tree)?;
        let Value::Object(known) = self.object.json() else {
            return Err(Unfit("no_tree"));
        };
        for path in self.fields {
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
        Content::of_text(Cow::Owned(Value::Object(members).to_string()))
    }
}

fn tree(before: &str) -> Result<Map<String, Value>, Unfit> {
    let tree = serde_json::from_str(before);
    // Half of a surrogate pair is no text that a tree can hold.
    let tree =
        tree.or_else(|error| shown(before).map_or(Err(error), |text| serde_json::from_str(&text)));
    tree.map_err(|_| Unfit("no_tree"))
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
        let fields: Vec<String> = fields.iter().map(|&field| field.to_owned()).collect();
        let partial = Partial {
            fields: &fields,
            object: &object(known),
        };
        let content = partial.over(Some(&before.to_string())).unwrap();
        serde_json::from_str(&content.object.unwrap()).unwrap()
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

    #[test]
    fn members_that_are_not_known_are_never_lost_with_a_number_that_no_tree_holds() {
        let known = object(&json!({"label": "x"}));
        let partial = Partial {
            fields: &[],
            object: &known,
        };
        assert_eq!(partial.over(Some(r#"{"a": 1e999}"#)), Err(Unfit("no_tree")));
        let content = partial.over(Some(r#"{"a": "\ud800"}"#)).unwrap();
        let seen: Value = serde_json::from_str(&content.object.unwrap()).unwrap();
        assert_eq!(seen, json!({"a": "\u{fffd}", "label": "x"}));
    }
}
