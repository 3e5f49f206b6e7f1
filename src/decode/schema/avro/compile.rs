//! An Avro schema's JSON, made into nodes.

use std::collections::HashMap;

use serde_json::Value;

use super::super::Reference;
use super::super::logical::Unit;
use super::{Avro, Meaning, Node};

/// Why a text is no Avro schema.
pub(in super::super) type Refused = String;

/// Debezium's names for what a type stands for.
const CONNECT: [(&str, Meaning); 9] = [
    ("io.debezium.time.Date", Meaning::Date),
    ("io.debezium.time.Time", Meaning::Time(Unit::Millis)),
    ("io.debezium.time.MicroTime", Meaning::Time(Unit::Micros)),
    ("io.debezium.time.NanoTime", Meaning::Time(Unit::Nanos)),
    (
        "io.debezium.time.Timestamp",
        Meaning::Timestamp(Unit::Millis),
    ),
    (
        "io.debezium.time.MicroTimestamp",
        Meaning::Timestamp(Unit::Micros),
    ),
    (
        "io.debezium.time.NanoTimestamp",
        Meaning::Timestamp(Unit::Nanos),
    ),
    ("io.debezium.data.Json", Meaning::Json),
    ("io.debezium.data.VariableScaleDecimal", Meaning::AnyDecimal),
];

/// Avro's own.
const LOGICAL: [(&str, Meaning); 10] = [
    ("date", Meaning::Date),
    ("time-millis", Meaning::Time(Unit::Millis)),
    ("time-micros", Meaning::Time(Unit::Micros)),
    ("time-nanos", Meaning::Time(Unit::Nanos)),
    ("timestamp-millis", Meaning::Timestamp(Unit::Millis)),
    ("timestamp-micros", Meaning::Timestamp(Unit::Micros)),
    ("timestamp-nanos", Meaning::Timestamp(Unit::Nanos)),
    ("local-timestamp-millis", Meaning::Local(Unit::Millis)),
    ("local-timestamp-micros", Meaning::Local(Unit::Micros)),
    ("local-timestamp-nanos", Meaning::Local(Unit::Nanos)),
];

impl Avro {
    /// Reads `text`, which may name what is in `references`.
    ///
    /// # Errors
    /// [`Refused`].
    pub(in super::super) fn compile(text: &str, references: &[Reference]) -> Result<Self, Refused> {
        let mut compiler = Compiler::default();
        for Reference { name, text } in references {
            let added = compiler.schema(text);
            added.map_err(|why| format!("its reference {name}: {why}"))?;
        }
        let root = compiler.schema(text)?;
        let nodes = compiler.nodes;
        Ok(Self { nodes, root })
    }
}

#[derive(Debug, Default)]
struct Compiler {
    nodes: Vec<Node>,
    /// Places by full name.
    names: HashMap<String, usize>,
}

impl Compiler {
    fn schema(&mut self, text: &str) -> Result<usize, Refused> {
        let json: Value =
            serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
        self.of(&json, "")
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len().saturating_sub(1)
    }

    /// The place of the type that `json` is or names.
    fn of(&mut self, json: &Value, namespace: &str) -> Result<usize, Refused> {
        match json {
            Value::String(name) => match primitive(name) {
                Some(node) => Ok(self.add(node)),
                None => self.named(name, namespace),
            },
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.of(branch, namespace));
                let branches = branches.collect::<Result<_, _>>()?;
                Ok(self.add(Node::Union(branches)))
            }
            Value::Object(_) => self.described(json, namespace),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Err(format!("found {json} where a type stands"))
            }
        }
    }

    fn named(&self, name: &str, namespace: &str) -> Result<usize, Refused> {
        let full = full_name(name, namespace);
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found
            .copied()
            .ok_or_else(|| format!("there is no type `{full}`"))
    }

    /// The type that an object describes.
    fn described(&mut self, json: &Value, namespace: &str) -> Result<usize, Refused> {
        let Some(of) = json.get("type") else {
            return Err("a type that does not say its `type`".to_owned());
        };
        let Some(name) = of.as_str() else {
            // What is described once more, within.
            return self.of(of, namespace);
        };
        if let Some(node) = primitive(name) {
            return Ok(self.add(meant(json, node)));
        }
        match name {
            "array" => {
                let items = self.part(json, "items", namespace)?;
                Ok(self.add(Node::Array(items)))
            }
            "map" => {
                let values = self.part(json, "values", namespace)?;
                Ok(self.add(Node::Map(values)))
            }
            "record" | "error" | "enum" | "fixed" => self.definition(name, json, namespace),
            _ => self.named(name, namespace),
        }
    }

    fn part(&mut self, json: &Value, key: &str, namespace: &str) -> Result<usize, Refused> {
        match json.get(key) {
            Some(part) => self.of(part, namespace),
            None => Err(format!("a type without its `{key}`")),
        }
    }

    /// A type with a name, which may be named within it.
    fn definition(&mut self, kind: &str, json: &Value, outer: &str) -> Result<usize, Refused> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let name = text("name").ok_or_else(|| format!("a type `{kind}` without its `name`"))?;
        let full = full_name(name, text("namespace").unwrap_or(outer));
        let namespace = full.rsplit_once('.').map_or("", |(space, _)| space);
        let place = self.add(Node::Unfinished);
        if self.names.insert(full.clone(), place).is_some() {
            return Err(format!("there are two types `{full}`"));
        }
        let node = match kind {
            "enum" => Node::Enum(symbols(json).ok_or_else(|| no_list(&full, "symbols"))?),
            "fixed" => {
                let size = json.get("size").and_then(Value::as_u64);
                let size = size.and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| format!("type `{full}` without its `size`"))?;
                meant(json, Node::Fixed(size))
            }
            _ => {
                let fields = json.get("fields").and_then(Value::as_array);
                let fields = fields.ok_or_else(|| no_list(&full, "fields"))?;
                let fields = fields.iter().map(|field| {
                    let name = field.get("name").and_then(Value::as_str);
                    let name = name.ok_or_else(|| format!("a field of `{full}` without a name"))?;
                    let place = self.part(field, "type", namespace);
                    let place = place.map_err(|why| format!("field `{name}`: {why}"))?;
                    Ok((name.into(), place))
                });
                let record = Node::Record(fields.collect::<Result<_, Refused>>()?);
                self.decimal_record(json, record)
            }
        };
        if let Some(unfinished) = self.nodes.get_mut(place) {
            *unfinished = node;
        }
        Ok(place)
    }

    /// Debezium's decimal number of any scale is a record of an int and bytes.
    fn decimal_record(&self, json: &Value, record: Node) -> Node {
        let is_called = connect(json) == Some(Meaning::AnyDecimal);
        if let Node::Record(fields) = &record
            && let [(_, scale), (_, value)] = fields.as_slice()
            && is_called
            && self.nodes.get(*scale) == Some(&Node::Int)
            && self.nodes.get(*value) == Some(&Node::Bytes)
        {
            return Node::Meaning(Meaning::AnyDecimal);
        }
        record
    }
}

fn no_list(name: &str, key: &str) -> Refused {
    format!("type `{name}` without its `{key}`")
}

fn symbols(json: &Value) -> Option<Vec<Box<str>>> {
    let symbols = json.get("symbols")?.as_array()?.iter();
    symbols
        .map(|symbol| symbol.as_str().map(Into::into))
        .collect()
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Boolean,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::String,
        _ => return None,
    })
}

/// What Connect's name says.
fn connect(json: &Value) -> Option<Meaning> {
    named_in(&CONNECT, json.get("connect.name"))
}

fn named_in(known: &[(&str, Meaning)], name: Option<&Value>) -> Option<Meaning> {
    let name = name?.as_str()?;
    let (_, meaning) = known.iter().find(|(known, _)| *known == name)?;
    Some(*meaning)
}

/// The type that `json` describes on top of `node`. As Avro has it, what is not known or does not
/// go with the type is read as the type itself.
fn meant(json: &Value, node: Node) -> Node {
    meaning(json, &node).map_or(node, Node::Meaning)
}

fn meaning(json: &Value, node: &Node) -> Option<Meaning> {
    let logical = json.get("logicalType");
    let is = |name: &str| logical.and_then(Value::as_str) == Some(name);
    if let Node::Fixed(size) = node {
        return match size {
            _ if is("decimal") => Some(Meaning::Decimal(scale(json)?, Some(*size))),
            16 if is("uuid") => Some(Meaning::Uuid),
            12 if is("duration") => Some(Meaning::Duration),
            _ => None,
        };
    }
    if *node == Node::Bytes {
        let decimal = is("decimal") || is_decimal(json);
        return decimal
            .then(|| scale(json))
            .flatten()
            .map(|scale| Meaning::Decimal(scale, None));
    }
    let meant = named_in(&LOGICAL, logical).or_else(|| connect(json))?;
    let of = match meant {
        Meaning::Date | Meaning::Time(Unit::Millis) => Node::Int,
        Meaning::Time(_) | Meaning::Timestamp(_) | Meaning::Local(_) => Node::Long,
        Meaning::Json => Node::String,
        Meaning::Decimal(..) | Meaning::AnyDecimal | Meaning::Uuid | Meaning::Duration => {
            return None;
        }
    };
    (*node == of).then_some(meant)
}

fn is_decimal(json: &Value) -> bool {
    let name = json.get("connect.name").and_then(Value::as_str);
    name == Some("org.apache.kafka.connect.data.Decimal")
}

/// Digits behind the point: none, unless it says them. Connect says them as text.
fn scale(json: &Value) -> Option<i32> {
    let of_connect = || json.get("connect.parameters")?.get("scale");
    match json.get("scale").or_else(of_connect) {
        None => Some(0),
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_i64()?.try_into().ok(),
    }
}
