//! What a golden record's attributes become in target fields. Pure.
//!
//! Guarantee: the same snapshot always gives the same content, whatever the order of its lists;
//! what the snapshot does not tell is left out (kept), what it tells to be empty is listed as such,
//! since it is not for the snapshot alone to say whether a field may be emptied.

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::FieldSource;
use super::org::Values;
use super::stored::blank;
use crate::config::nearest;
use crate::event::Object;
use crate::event::attributes::scalar;

/// What a snapshot tells of the mapped fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Content {
    /// Fields with a value.
    pub(super) values: Values,
    /// Fields without one, and what the mapping puts there: a default, or null.
    pub(super) empty: Values,
}

/// Content of the mapped `fields`. `known` lists the members of the object that are known, dotted
/// ones (`attributes.FirstName`) included; `None`: all of them.
pub(super) fn content(
    fields: &BTreeMap<String, FieldSource>,
    object: &Object,
    known: Option<&[String]>,
) -> Content {
    let mut content = Content::default();
    for (field, source) in fields.iter().filter(|(_, source)| is_known(source, known)) {
        let value = value(source, object);
        if !blank(&value) || matches!(source, FieldSource::Constant(_)) {
            content.values.insert(field.clone(), value);
            continue;
        }
        let instead = match source {
            FieldSource::AttributeOr(or) => or.default.clone(),
            FieldSource::Attribute(_) | FieldSource::Constant(_) | FieldSource::Member(_) => {
                Value::Null
            }
        };
        content.empty.insert(field.clone(), instead);
    }
    content
}

/// Content of an erased record: what the mapping makes of a golden record without any value, so
/// that defaults and constants stay and everything else goes, whatever is kept at other times.
pub(super) fn erased(fields: &BTreeMap<String, FieldSource>) -> Values {
    let Content { mut values, empty } = content(fields, &Object::default(), None);
    values.extend(empty);
    values
}

/// Members of an object that Reltio is known to send, and whose value is one.
const MEMBERS: [&str; 14] = [
    "uri",
    "type",
    "label",
    "secondaryLabel",
    "createdBy",
    "createdTime",
    "updatedBy",
    "updatedTime",
    "startDate",
    "endDate",
    "consolidatedRating",
    "defaultProfilePic",
    "defaultProfilePicValue",
    "isFavorite",
];

/// What is odd about a field that comes from `member`, if Reltio is not known to send such a one.
pub(super) fn odd_member(member: &str) -> Option<String> {
    if MEMBERS.contains(&member) {
        return None;
    }
    let hint = match nearest(member, MEMBERS.into_iter()) {
        Some(nearest) => format!("; is it `{nearest}`?"),
        None => String::new(),
    };
    Some(format!(
        "golden records are not known to have a member `{member}`{hint}"
    ))
}

fn is_known(source: &FieldSource, known: Option<&[String]>) -> bool {
    let Some(known) = known else { return true };
    let path = match source {
        FieldSource::Constant(_) => return true,
        FieldSource::Attribute(path) => format!("attributes.{path}"),
        FieldSource::AttributeOr(field) => format!("attributes.{}", field.path),
        FieldSource::Member(member) => member.clone(),
    };
    known.iter().any(|name| {
        path.strip_prefix(name.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn value(source: &FieldSource, object: &Object) -> Value {
    match source {
        FieldSource::Constant(constant) => constant.clone(),
        FieldSource::Attribute(path) => object.operational_value(path).unwrap_or_default(),
        FieldSource::AttributeOr(field) => {
            object.operational_value(&field.path).unwrap_or_default()
        }
        FieldSource::Member(member) => object
            .part(member)
            .and_then(|value| scalar(&value))
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::{AttributeField, OnEmpty};
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object(json: &Value) -> Object {
        Object::parse(json.to_string().as_bytes()).unwrap()
    }

    fn fields() -> BTreeMap<String, FieldSource> {
        let last = AttributeField {
            path: "LastName".into(),
            default: json!("Unknown"),
            on_empty: OnEmpty::Clear,
            clear: false,
        };
        [
            ("FirstName", FieldSource::Attribute("FirstName".into())),
            ("LastName", FieldSource::AttributeOr(last)),
            ("MailingCity", FieldSource::Attribute("Address.City".into())),
            ("LeadSource", FieldSource::Constant(json!("MDM"))),
            ("Description", FieldSource::Member("label".into())),
        ]
        .map(|(name, source)| (name.to_owned(), source))
        .into()
    }

    fn golden() -> Value {
        json!({ "label": "Ada L", "attributes": {
            "FirstName": [
                { "value": "Old", "ov": false, "uri": "a/0" },
                { "value": "Ada", "ov": true, "uri": "a/2" },
                { "value": "Augusta", "ov": true, "uri": "a/3" },
            ],
            "Address": [
                { "ov": false, "uri": "b/0", "value": { "City": [{ "value": "Rome", "ov": true }] } },
                { "ov": true, "uri": "b/1", "value": { "City": [
                    { "value": "Paris", "ov": false, "uri": "b/1/0" },
                    { "value": "London", "ov": true, "uri": "b/1/1" },
                ] } },
            ],
        } })
    }

    #[test]
    fn operational_values_defaults_constants_and_members_become_fields() {
        let made = content(&fields(), &object(&golden()), None);
        assert_eq!(json!(made.empty), json!({ "LastName": "Unknown" }));
        let wanted = json!({
            "FirstName": "Ada", "MailingCity": "London", "LeadSource": "MDM", "Description": "Ada L",
        });
        assert_eq!(json!(made.values), wanted);
    }

    #[test]
    fn what_is_not_known_is_kept_and_what_is_absent_from_a_whole_snapshot_is_cleared() {
        let known = ["attributes.Address".to_owned(), "label".to_owned()];
        let made = content(&fields(), &object(&json!({ "label": "x" })), Some(&known));
        let names: Vec<&str> = made.values.keys().map(String::as_str).collect();
        assert_eq!(names, ["Description", "LeadSource"]);
        assert_eq!(json!(made.empty), json!({ "MailingCity": null }));
        let known = [
            "attributes.Add".to_owned(),
            "attributes.Address.Cit".to_owned(),
        ];
        let made = content(&fields(), &Object::default(), Some(&known));
        assert!(!made.empty.contains_key("MailingCity"));
    }

    #[test]
    fn a_number_is_sent_with_every_digit() {
        let digits = "123456789012345678901234567890.10";
        let text = format!(r#"{{"attributes":{{"FirstName":[{{"value":{digits}}}]}}}}"#);
        let made = content(&fields(), &Object::parse(text.as_bytes()).unwrap(), None);
        assert_eq!(made.values["FirstName"].to_string(), digits);
    }

    #[test]
    fn an_erased_record_keeps_constants_and_defaults_only() {
        let made = erased(&fields());
        assert_eq!(made["FirstName"], Value::Null);
        assert_eq!(
            (&made["LastName"], &made["LeadSource"]),
            (&json!("Unknown"), &json!("MDM"))
        );
    }

    proptest! {
        #[test]
        fn the_order_of_values_does_not_matter(
            values in prop::collection::vec((any::<bool>(), 0..5_u8, "[a-c]{0,2}"), 0..8),
            turn in 0..8_usize,
        ) {
            let list: Vec<Value> = values
                .iter()
                .map(|(ov, uri, value)| json!({ "ov": ov, "uri": format!("a/{uri}"), "value": value }))
                .collect();
            let mut turned = list.clone();
            turned.rotate_left(turn.min(list.len()));
            let of = |list: &[Value]| {
                let made = content(&fields(), &object(&json!({ "attributes": { "FirstName": list } })), None);
                made.values.get("FirstName").cloned()
            };
            prop_assert_eq!(of(&list), of(&turned));
            let none = values.iter().all(|(ov, ..)| !ov);
            prop_assert!(!none || of(&list).is_none());
        }

        #[test]
        fn any_snapshot_maps_to_plain_values(text in "\\PC{0,40}", nested in any::<bool>()) {
            let value = if nested { json!({ "City": text }) } else { json!(text) };
            let made = content(&fields(), &object(&json!({ "attributes": {
                "FirstName": value, "Address": [{ "value": value }], "LastName": [{ "value": value }],
            } })), None);
            prop_assert!(made.values.values().all(|value| !value.is_array() && !value.is_object()));
        }
    }
}
