//! Where the members of an object stand in its text.
//!
//! Guarantee: a member is found here where the whole tree has it: of several with one name the last
//! counts, whatever the name is made of, and a text that is no tree has no members. To find them
//! takes a small part of what the tree of a snapshot takes, of which a sink needs a few members.

use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

use super::depth::is_deeper;
use super::json::{self, MAX_LEVELS};
use super::members::Members;

/// A member's name, with its quotes, and its value.
type Part = (Range<usize>, Range<usize>);

/// The members of an object, and those of its member `attributes`.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    members: Vec<Part>,
    attributes: Vec<Part>,
    is_tree: bool,
}

impl Parts {
    /// Those of the object that `text` is; none if it is nested too deeply, or no object.
    pub(super) fn of(text: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(text) else {
            return Self::default();
        };
        if is_deeper(text, MAX_LEVELS) {
            return Self::default();
        }
        let Ok(members) = serde_json::from_str::<Members<'_>>(text) else {
            return Self::default();
        };
        let mut parts = Self {
            members: places(text, &members),
            attributes: Vec::new(),
            is_tree: true,
        };
        let attributes = parts.member(text.as_bytes(), "attributes").unwrap_or("");
        if let Ok(members) = serde_json::from_str(attributes) {
            parts.attributes = places(text, &members);
        }
        parts
    }

    /// Whether the text is an object, and not nested too deeply.
    pub(super) fn is_tree(&self) -> bool {
        self.is_tree
    }

    /// The JSON text of the member `name` of the object that `text` is.
    pub(super) fn member<'a>(&self, text: &'a [u8], name: &str) -> Option<&'a str> {
        last(&self.members, text, name)
    }

    /// The tree of the attribute `name`, all of its values.
    pub(super) fn attribute(&self, text: &[u8], name: &str) -> Option<Value> {
        json::tree(last(&self.attributes, text, name)?.as_bytes()).ok()
    }
}

fn last<'a>(parts: &[Part], text: &'a [u8], wanted: &str) -> Option<&'a str> {
    let of = |place: &Range<usize>| std::str::from_utf8(text.get(place.clone())?).ok();
    let mut parts = parts.iter().rev();
    let (_, value) = parts.find(|(name, _)| of(name).is_some_and(|name| is(name, wanted)))?;
    of(value)
}

/// Whether the JSON text `name` says `wanted`.
fn is(name: &str, wanted: &str) -> bool {
    match plain(name) {
        Some(name) => name == wanted,
        None => json::text(name).is_ok_and(|name| name == wanted),
    }
}

/// What the JSON text of a string says, if it says it as it is.
pub(super) fn plain(json: &str) -> Option<&str> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains('\\')).then_some(inner)
}

fn places(text: &str, Members(members): &Members<'_>) -> Vec<Part> {
    // They are parts of the text, so that they do not begin before it.
    let place = |part: &RawValue| {
        let start = part.get().as_ptr().addr() - text.as_ptr().addr();
        start..start + part.get().len()
    };
    let members = members.iter();
    members
        .map(|(name, value)| (place(name), place(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Object;
    use super::*;

    fn object(json: &str) -> Object {
        Object::parse(json.as_bytes()).unwrap()
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("1e999".to_owned()),
            Just("null".to_owned()),
            "[a\u{e9}{}\\[\\],:]{0,4}".prop_map(|text| json!(text).to_string()),
            Just(r#""\ud800\"""#.to_owned()),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[ {} ]", items.join(" , "))),
                members(inner),
            ]
        })
    }

    /// An object whose members may have one name, written in several ways.
    fn members(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            r#""uri""#,
            r#""URI""#,
            r#""\u0075ri""#,
            r#""attributes""#,
            r#""attribut\u0065s""#,
            r#""\ud800""#,
            r#""$serde_json::private::RawValue""#,
        ]);
        prop::collection::vec((name, value), 0..5).prop_map(|members| {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{name} : {value}"))
                .collect();
            format!("{{ {} }}", members.join(" , "))
        })
    }

    proptest! {
        #[test]
        fn a_member_is_found_where_the_whole_tree_has_it(json in members(value())) {
            let object = object(&json);
            let tree = object.json();
            prop_assert!(object.is_tree());
            for name in ["uri", "URI", "attributes", "\u{fffd}", "$serde_json::private::RawValue"] {
                prop_assert_eq!(object.part(name), tree.get(name).cloned(), "{}", name);
                let text = tree.get(name).and_then(Value::as_str);
                prop_assert_eq!(object.member(name), text, "{}", name);
                let attribute = tree.get("attributes").and_then(|all| all.get(name));
                prop_assert_eq!(object.attribute(name), attribute.cloned(), "{}", name);
            }
        }
    }

    #[test]
    fn what_is_nested_too_deeply_has_no_members() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            object(&format!(r#"{{"uri":"a","deep":{open}{close}}}"#))
        };
        let (fits, too_deep) = (nested(MAX_LEVELS - 1), nested(MAX_LEVELS));
        assert_eq!((fits.is_tree(), fits.uri()), (true, Some("a")));
        assert_eq!((too_deep.is_tree(), too_deep.uri()), (false, None));
        assert!(too_deep.json().is_null());
    }
}
