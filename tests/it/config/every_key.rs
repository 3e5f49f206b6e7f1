//! Acceptance: for every key of the schema, its removal or a wrong type is named by its path.

use std::collections::BTreeSet;

use goldwire::topology;
use serde_json::{Value, json};

use super::{full, in_kafka, problems};

/// A key of the example: where it stands, as a pointer and as people write it.
struct Place {
    /// The example that it is in.
    tree: Value,
    pointer: String,
    path: String,
    required: bool,
    secret: bool,
    wrong: Option<Value>,
}

/// Walks the schema along the example.
struct Walk<'a> {
    schema: &'a Value,
    tree: Value,
    places: Vec<Place>,
    /// Definition and key, of everything met.
    met: BTreeSet<(String, String)>,
}

impl Walk<'_> {
    fn resolve<'a>(&'a self, schema: &'a Value) -> (String, &'a Value) {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(name) => {
                let name = name.rsplit('/').next().unwrap();
                (name.to_owned(), &self.schema["$defs"][name])
            }
            None => (String::new(), schema),
        }
    }

    /// The variant that fits the example's value.
    fn variant(&self, schema: &Value, value: &Value) -> (String, Value, bool) {
        let (name, schema) = self.resolve(schema);
        for list in ["anyOf", "oneOf"] {
            for variant in schema
                .get(list)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                let keys = variant.get("required").and_then(Value::as_array);
                let fits = match keys {
                    Some(keys) => keys
                        .iter()
                        .all(|key| value.get(key.as_str().unwrap()).is_some()),
                    None => match variant.get("type").and_then(Value::as_str) {
                        Some("string") => value.is_string(),
                        other => other != Some("null"),
                    },
                };
                if fits {
                    let (inner, schema, _) = self.variant(variant, value);
                    let name = if inner.is_empty() { name } else { inner };
                    return (name, schema, keys.is_some());
                }
            }
        }
        (name, schema.clone(), false)
    }

    fn visit(&mut self, schema: &Value, value: &Value, pointer: &str, path: &str) {
        let (name, schema, tagged) = self.variant(schema, value);
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let (pointer, path) = (format!("{pointer}/{index}"), format!("{path}[{index}]"));
            self.place(&schema["items"], &pointer, &path, false);
            self.visit(&schema["items"], item, &pointer, &path);
        }
        let required = schema.get("required").cloned().unwrap_or_default();
        for (key, value) in value.as_object().into_iter().flatten() {
            let known = schema.get("properties").and_then(|all| all.get(key));
            if known.is_some() {
                self.met.insert((name.clone(), key.clone()));
            }
            let below = known.unwrap_or(&schema["additionalProperties"]).clone();
            let pointer = format!("{pointer}/{}", key.replace('/', "~1"));
            let path = match (key.contains('.'), path) {
                (true, path) => format!("{path}[{key:?}]"),
                (false, "") => key.clone(),
                (false, path) => format!("{path}.{key}"),
            };
            // What tells the variants of a value apart is not required by itself.
            let listed = required
                .as_array()
                .is_some_and(|all| all.contains(&json!(key)));
            self.place(&below, &pointer, &path, listed && !tagged);
            self.visit(&below, value, &pointer, &path);
        }
    }

    fn place(&mut self, schema: &Value, pointer: &str, path: &str, required: bool) {
        // What may be left out is the type or null.
        let given = schema
            .get("anyOf")
            .and_then(|all| all.get(0))
            .unwrap_or(schema);
        let secret = self.resolve(given).0 == "Secret";
        let (_, resolved) = self.resolve(schema);
        let anything = ["type", "anyOf", "oneOf"]
            .iter()
            .all(|key| resolved.get(key).is_none());
        let is_boolean = resolved.get("type") == Some(&json!("boolean"));
        let other = if is_boolean { json!([]) } else { json!(true) };
        let wrong = (!anything).then_some(other);
        let (pointer, path) = (pointer.to_owned(), path.to_owned());
        self.places.push(Place {
            tree: self.tree.clone(),
            pointer,
            path,
            required,
            secret,
            wrong,
        });
    }
}

fn walked() -> (Vec<Place>, BTreeSet<(String, String)>, Value) {
    let schema = topology::schema();
    let mut walk = Walk {
        schema: &schema,
        tree: full(),
        places: Vec::new(),
        met: BTreeSet::new(),
    };
    walk.visit(&schema, &full(), "", "");
    // Where the log is, is said in one way or the other.
    walk.tree = in_kafka();
    walk.visit(
        &schema["properties"]["log"],
        &in_kafka()["log"],
        "/log",
        "log",
    );
    let (places, met) = (walk.places, walk.met);
    (places, met, schema)
}

#[test]
fn the_example_holds_every_key_of_the_schema() {
    let (_, met, schema) = walked();
    let mut all = BTreeSet::new();
    for key in schema["properties"].as_object().unwrap().keys() {
        all.insert((String::new(), key.clone()));
    }
    for (name, schema) in schema["$defs"].as_object().unwrap() {
        let variants = ["oneOf", "anyOf"]
            .into_iter()
            .filter_map(|list| schema.get(list)?.as_array());
        for schema in variants.flatten().chain([schema]) {
            for key in schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                all.insert((name.clone(), key.0.clone()));
            }
        }
    }
    // A secret's file is tested where the file exists.
    all.remove(&("Secret".to_owned(), "file".to_owned()));
    assert_eq!(
        all.difference(&met).collect::<Vec<_>>(),
        Vec::<&(String, String)>::new()
    );
}

#[test]
fn the_removal_of_every_required_key_is_named_by_its_path() {
    let (places, _, _) = walked();
    let required: Vec<_> = places.iter().filter(|place| place.required).collect();
    assert!(required.len() > 25, "{}", required.len());
    for place in required {
        let mut tree = place.tree.clone();
        let (parent, key) = place.pointer.rsplit_once('/').unwrap();
        tree.pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap();
        let found = problems(&tree);
        assert_eq!(found.len(), 1, "{}: {found:?}", place.path);
        let expected = format!("{}: missing; add it: ", place.path);
        assert!(
            found[0].starts_with(&expected),
            "{expected} is not {found:?}"
        );
    }
}

/// Keys that no list of the schema demands, since another key can stand for them.
const BY_RULE: [&str; 8] = [
    "reltio",
    "webhook",
    "webhook.tls",
    "sources.topic.kafka.bootstrap_servers",
    "sources.topic.kafka.topic",
    "sources.topic.kafka.group",
    "sinks.events.file.keeps_erased_records",
    "sinks.golden.kafka.topic",
];

#[test]
fn the_removal_of_every_key_that_a_rule_requires_is_named_by_its_path() {
    let mut whole = full();
    whole["webhook"]
        .as_object_mut()
        .unwrap()
        .remove("trusted_proxy");
    // What needs Reltio's API too.
    whole["sources"]["hook"]["webhook"]["completeness"] = json!("whole");
    for filter in ["entity_types", "event_types"] {
        whole["sources"]["topic"]["kafka"][filter] = json!(["*"]);
        whole["sources"]["hook"]["webhook"][filter] = json!(["*"]);
    }
    for filter in ["entityTypes", "eventTypes"] {
        whole["sources"]["stream"]["kafka"]["subscription"][filter] = json!(["*"]);
    }
    assert_eq!(problems(&whole), Vec::<String>::new());
    for path in BY_RULE {
        let mut tree = whole.clone();
        let pointer = format!("/{}", path.replace('.', "/"));
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = tree.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        parent.remove(key).unwrap();
        let found = problems(&tree);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        let expected = format!("{path}: missing; add ");
        assert!(found[0].starts_with(&expected), "{found:?}");
    }
}

#[test]
fn the_file_of_a_secret_is_named_by_its_path_when_it_is_missing_or_of_another_type() {
    let (places, _, schema) = walked();
    let secrets: Vec<_> = places.iter().filter(|place| place.secret).collect();
    assert!(secrets.len() > 8, "{}", secrets.len());
    let required = &schema["$defs"]["Secret"]["anyOf"][1]["required"];
    assert_eq!(*required, json!(["file"]));
    for place in secrets {
        let mut tree = place.tree.clone();
        let mut found = |secret: Value| {
            *tree.pointer_mut(&place.pointer).unwrap() = secret;
            problems(&tree)
        };
        let gone = format!("{}.file: missing; add it: ", place.path);
        let other = format!("{}.file: found true; write a text", place.path);
        for (secret, expected) in [(json!({}), gone), (json!({ "file": true }), other)] {
            let found = found(secret);
            assert_eq!(found.len(), 1, "{}: {found:?}", place.path);
            assert!(
                found[0].starts_with(&expected),
                "{expected} is not {found:?}"
            );
        }
    }
}

#[test]
fn a_wrong_type_of_every_key_is_named_by_its_path() {
    let (places, _, _) = walked();
    assert!(places.len() > 120, "{}", places.len());
    for place in &places {
        let Some(wrong) = &place.wrong else { continue };
        let mut tree = place.tree.clone();
        *tree.pointer_mut(&place.pointer).unwrap() = wrong.clone();
        let found = problems(&tree);
        assert_eq!(found.len(), 1, "{}: {found:?}", place.path);
        assert!(
            found[0].starts_with(&format!("{}: found ", place.path)),
            "{}: {found:?}",
            place.path
        );
        assert!(found[0].contains("; write "), "{found:?}");
    }
}
