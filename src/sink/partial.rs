//! A snapshot of which only some members are known, laid over what the target holds.
//!
//! Guarantee: every value stays the text that it was. An object is opened only where a path leads
//! into it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::event::Object;
use crate::event::json::text_within;
use crate::event::members::Members;

/// A snapshot of which only some members are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Partial<'a> {
    /// The members, `attributes` or `attributes.FirstName`: listed and absent means empty.
    pub(super) fields: &'a [String],
    pub(super) object: &'a Object,
}

/// One of the two is no JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoObject;

/// The members of an object by their names.
type Opened<'a> = BTreeMap<String, Member<'a>>;

#[derive(Debug, Clone)]
struct Member<'a> {
    /// Its name as it stands in the text, with the quotes.
    name: Cow<'a, str>,
    value: Part<'a>,
}

#[derive(Debug, Clone)]
enum Part<'a> {
    Text(&'a str),
    Object(Opened<'a>),
}

impl Partial<'_> {
    /// The snapshot's JSON after the known members replaced those of `before`.
    ///
    /// # Errors
    /// If either is no JSON object: the members that are not known would be lost.
    pub(super) fn over(&self, before: Option<&str>) -> Result<String, NoObject> {
        let before = before.map(|text| opened(text).ok_or(NoObject));
        let mut members = before.transpose()?.unwrap_or_default();
        let known = std::str::from_utf8(self.object.text()).ok();
        let mut known = known.and_then(opened).ok_or(NoObject)?;
        // As in an object's tree: two spellings of one member are one.
        if let Some(member) = known.remove("URI") {
            let name = Cow::Borrowed("\"uri\"");
            let member = Member { name, ..member };
            known.entry("uri".to_owned()).or_insert(member);
        }
        for path in self.fields {
            lay(&mut members, &known, path);
        }
        for (name, member) in known {
            // What is there is known, listed or not; a member listed in parts was laid above.
            let in_parts = self
                .fields
                .iter()
                .any(|path| path.split_once('.').is_some_and(|(head, _)| head == name));
            if !in_parts {
                members.insert(name, member);
            }
        }
        let mut text = String::new();
        write(&members, &mut text);
        Ok(text)
    }
}

/// The members of the object that `json` is; nothing if it is none.
fn opened(json: &str) -> Option<Opened<'_>> {
    let Members(members) = serde_json::from_str(json).ok()?;
    let members = members.into_iter().map(|(name, value)| {
        let member = Member {
            name: Cow::Borrowed(name.get()),
            value: Part::Text(value.get()),
        };
        Some((text_within(name.get()).ok()?, member))
    });
    members.collect()
}

impl<'a> Part<'a> {
    /// Its members, if it is an object.
    fn opened(&self) -> Option<Cow<'_, Opened<'a>>> {
        match self {
            Self::Text(text) => opened(text).map(Cow::Owned),
            Self::Object(members) => Some(Cow::Borrowed(members)),
        }
    }
}

/// Makes `path` in `to` what it is in `from`; takes it out if it is not there.
fn lay<'a>(to: &mut Opened<'a>, from: &Opened<'a>, path: &str) {
    let Some((head, rest)) = path.split_once('.') else {
        match from.get(path) {
            Some(member) => to.insert(path.to_owned(), member.clone()),
            None => to.remove(path),
        };
        return;
    };
    let inner = from.get(head).and_then(|member| member.value.opened());
    if inner.is_none() && !to.contains_key(head) {
        return;
    }
    let target = to.entry(head.to_owned()).or_insert_with(|| Member {
        name: Cow::Owned(serde_json::Value::from(head).to_string()),
        value: Part::Text("{}"),
    });
    let mut members = (target.value.opened()).map_or_else(Opened::new, Cow::into_owned);
    lay(&mut members, &inner.unwrap_or_default(), rest);
    target.value = Part::Object(members);
}

fn write(members: &Opened<'_>, out: &mut String) {
    let mut before = '{';
    for member in members.values() {
        out.push(before);
        out.push_str(&member.name);
        out.push(':');
        match &member.value {
            Part::Text(text) => out.push_str(text),
            Part::Object(members) => write(members, out),
        }
        before = ',';
    }
    out.push_str(if members.is_empty() { "{}" } else { "}" });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
        let text = partial.over(Some(&before.to_string())).unwrap();
        serde_json::from_str(&text).unwrap()
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
    fn every_value_that_is_not_known_stays_the_text_that_it_was() {
        let known = object(&json!({"label": "x", "c": {"e": 1}}));
        let fields = ["c.e".to_owned()];
        let partial = Partial {
            fields: &fields,
            object: &known,
        };
        let before = r#"{"a": 1e999, "\ud800": ["\udfff", -0.0], "c": {"d": 1E2, "e": 0}}"#;
        let exact = r#"{"\ud800":["\udfff", -0.0],"a":1e999,"c":{"d":1E2,"e":1},"label":"x"}"#;
        assert_eq!(partial.over(Some(before)).as_deref(), Ok(exact));
    }

    #[test]
    fn what_is_no_object_is_never_taken_for_an_empty_one() {
        let known = object(&json!({"label": "x"}));
        let partial = Partial {
            fields: &[],
            object: &known,
        };
        for before in ["[]", "", "{\"a\":}"] {
            assert_eq!(partial.over(Some(before)), Err(NoObject));
        }
    }
}
