//! The JSON Schema of the configuration, and questions to it about one path.

use schemars::schema_for;
use serde_json::{Map, Value, json};

use super::Root;
use super::path::{Path, Step};

/// The JSON Schema (draft 2020-12) of a configuration file, before `${NAME}` is replaced.
pub(crate) fn schema<T: Root>() -> Value {
    let mut schema = schema_for!(T).to_value();
    bound_integers(&mut schema);
    schema
}

/// Rust's integers end before JSON's do: without a bound, a number too large would be refused
/// later, and without its path.
fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            let bound = match map.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint" | "uint64") => Some(1 << 53),
                _ => None,
            };
            if let Some(bound) = bound {
                map.entry("maximum").or_insert(json!(bound));
            }
            map.values_mut().for_each(bound_integers);
        }
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A schema with its root, so that references can be followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape<'a> {
    pub(super) root: &'a Value,
}

impl<'a> Shape<'a> {
    /// The schemas that may apply at `path`, references followed, variants apart.
    pub(super) fn at(self, path: &Path) -> Vec<Node<'a>> {
        let mut nodes = self.variants(Node {
            name: None,
            schema: self.root,
        });
        for step in &path.0 {
            let below = nodes.iter().filter_map(|node| node.below(step));
            nodes = below.flat_map(|node| self.variants(node)).collect();
        }
        nodes
    }

    /// What the schema says of the key `key` below `path`; its first sentence.
    pub(super) fn description(self, path: &Path, key: &str) -> Option<&'a str> {
        let key = Step::Key(key.to_owned());
        let nodes = self.at(path);
        let below = nodes.iter().find_map(|node| node.below(&key))?;
        let text = below.schema.get("description")?.as_str()?;
        Some(
            text.split_once(". ")
                .map_or(text, |(first, _)| first)
                .trim_end_matches('.'),
        )
    }

    /// Whether a secret stands at `path`, or may stand below it.
    pub(super) fn may_hold_secret(self, path: &Path) -> bool {
        self.at(path)
            .into_iter()
            .any(|node| self.reaches_secret(node))
    }

    /// Whether the value at `path` is of the named type.
    pub(super) fn is(self, path: &Path, name: &str) -> bool {
        self.at(path).iter().any(|node| node.name == Some(name))
    }

    fn reaches_secret(self, node: Node<'a>) -> bool {
        // The configuration's types are a tree, so this ends.
        node.name == Some("Secret")
            || node.children().into_iter().any(|child| {
                let node = Node {
                    name: None,
                    schema: child,
                };
                self.variants(node)
                    .into_iter()
                    .any(|node| self.reaches_secret(node))
            })
    }

    fn variants(self, node: Node<'a>) -> Vec<Node<'a>> {
        if let Some(name) = node.schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            let schema = self.root.get("$defs").and_then(|all| all.get(name));
            let named = |schema| {
                self.variants(Node {
                    name: Some(name),
                    schema,
                })
            };
            return schema.map(named).unwrap_or_default();
        }
        let lists = ["anyOf", "oneOf"]
            .into_iter()
            .filter_map(|key| node.schema.get(key));
        let mut nodes = vec![node];
        for schema in lists.filter_map(Value::as_array).flatten() {
            nodes.extend(self.variants(Node {
                name: node.name,
                schema,
            }));
        }
        nodes
    }
}

/// One schema that may apply.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    /// The definition's name, if it has one.
    pub(super) name: Option<&'a str>,
    /// The schema.
    pub(super) schema: &'a Value,
}

impl<'a> Node<'a> {
    /// The keys that it knows.
    pub(super) fn keys(self) -> impl Iterator<Item = &'a String> {
        self.schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
    }

    fn below(self, step: &Step) -> Option<Node<'a>> {
        let schema = match step {
            Step::Index(_) => self.schema.get("items")?,
            Step::Key(key) => {
                let known = self.schema.get("properties").and_then(|all| all.get(key));
                known.or_else(|| self.schema.get("additionalProperties"))?
            }
        };
        schema.is_object().then_some(Node { name: None, schema })
    }

    fn children(self) -> Vec<&'a Value> {
        let known = self.schema.get("properties").and_then(Value::as_object);
        let mut children: Vec<_> = known.into_iter().flat_map(Map::values).collect();
        children.extend(self.schema.get("items"));
        children.extend(self.schema.get("additionalProperties"));
        children
    }
}
