//! A schema as a text that people review, and what must not change between two of them.

use std::collections::BTreeMap;
use std::fmt;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// Messages and enums by their name, as `message goldwire.v1.Origin`; of each what stands at
/// which number.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Schema(BTreeMap<String, BTreeMap<i32, Entry>>);

/// What stands at a number: a field, a value of an enum, or nothing ever again.
#[derive(Debug, PartialEq)]
struct Entry {
    /// Label and type: `optional int64`; empty for a value; `reserved`.
    kind: String,
    name: String,
}

const RESERVED: &str = "reserved";

impl Schema {
    /// The schema of compiled proto files.
    pub(super) fn of(files: &FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        for file in &files.file {
            for message in &file.message_type {
                schema.add_message(file.package(), message);
            }
            for list in &file.enum_type {
                schema.add_enum(file.package(), list);
            }
        }
        schema
    }

    fn add_message(&mut self, parent: &str, message: &DescriptorProto) {
        let name = format!("{parent}.{}", message.name());
        let mut entries = BTreeMap::new();
        // Ends of a message's ranges are exclusive.
        let reserved = message
            .reserved_range
            .iter()
            .flat_map(|range| range.start()..range.end());
        entries.extend(reserved.map(|number| (number, Entry::reserved())));
        for field in &message.field {
            let kind = kind(message, field);
            entries.insert(
                field.number(),
                Entry {
                    kind,
                    name: field.name().to_owned(),
                },
            );
        }
        self.0.insert(format!("message {name}"), entries);
        for nested in message
            .nested_type
            .iter()
            .filter(|nested| !is_map_entry(nested))
        {
            self.add_message(&name, nested);
        }
        for list in &message.enum_type {
            self.add_enum(&name, list);
        }
    }

    fn add_enum(&mut self, parent: &str, list: &EnumDescriptorProto) {
        let mut entries = BTreeMap::new();
        // Ends of an enum's ranges are inclusive.
        let reserved = list
            .reserved_range
            .iter()
            .flat_map(|range| range.start()..=range.end());
        entries.extend(reserved.map(|number| (number, Entry::reserved())));
        for value in &list.value {
            let name = value.name().to_owned();
            entries.insert(
                value.number(),
                Entry {
                    kind: String::new(),
                    name,
                },
            );
        }
        self.0
            .insert(format!("enum {parent}.{}", list.name()), entries);
    }

    /// What [`Display`](fmt::Display) wrote.
    pub(super) fn parse(text: &str) -> Self {
        let mut schema = Self::default();
        let mut current = None;
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            match (line.strip_prefix("  "), &current) {
                (None, _) => {
                    schema.0.insert(line.to_owned(), BTreeMap::new());
                    current = Some(line.to_owned());
                }
                (Some(entry), Some(name)) => {
                    let (number, entry) = Entry::parse(entry);
                    schema.0.get_mut(name).unwrap().insert(number, entry);
                }
                (Some(entry), None) => panic!("{entry} stands in nothing"),
            }
        }
        schema
    }
}

impl Entry {
    fn reserved() -> Self {
        Self {
            kind: RESERVED.to_owned(),
            name: String::new(),
        }
    }

    fn parse(line: &str) -> (i32, Self) {
        let (number, rest) = line.split_once(' ').unwrap();
        let entry = match rest.rsplit_once(' ') {
            _ if rest == RESERVED => Self::reserved(),
            Some((kind, name)) => Self {
                kind: kind.to_owned(),
                name: name.to_owned(),
            },
            None => Self {
                kind: String::new(),
                name: rest.to_owned(),
            },
        };
        (number.parse().unwrap(), entry)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format!("{} {}", self.kind, self.name).trim())
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("# The schema as released; how it is used: tests/it/proto/mod.rs.\n")?;
        for (name, entries) in &self.0 {
            writeln!(f, "\n{name}")?;
            for (number, entry) in entries {
                writeln!(f, "  {number} {entry}")?;
            }
        }
        Ok(())
    }
}

/// One sentence for everything that a reader or a writer of the schema before would stumble over.
pub(super) fn breaks(before: &Schema, now: &Schema) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, entries) in &before.0 {
        let Some(found) = now.0.get(name) else {
            broken.push(format!("{name} is gone; bring it back, data holds it"));
            continue;
        };
        for (number, entry) in entries {
            broken.extend(broken_entry(name, *number, entry, found));
        }
    }
    broken
}

fn broken_entry(
    name: &str,
    number: i32,
    was: &Entry,
    found: &BTreeMap<i32, Entry>,
) -> Option<String> {
    let moved = || {
        found
            .iter()
            .find(|(_, entry)| !was.name.is_empty() && entry.name == was.name)
    };
    let what = match (found.get(&number), moved()) {
        (Some(is), _) if is == was => return None,
        (_, Some((new, _))) if *new != number => {
            format!("`{was}` moved from {number} to {new}; give it its number back")
        }
        (None, _) if was.kind == RESERVED => {
            format!("{number} is not reserved any more; reserve it")
        }
        (None, _) => format!("`{was}` = {number} is gone; bring it back, data holds it"),
        (Some(is), _) if is.name == was.name => {
            format!("`{was}` = {number} became `{is}`; add a field under a new number instead")
        }
        (Some(is), _) => {
            format!("number {number} was `{was}` and is used again by `{is}`; take a new number")
        }
    };
    Some(format!("{name}: {what}"))
}

/// What is there now and was not, which breaks nothing.
pub(super) fn additions(before: &Schema, now: &Schema) -> Vec<String> {
    let mut added = Vec::new();
    for (name, entries) in &now.0 {
        let known = before.0.get(name);
        if known.is_none() {
            added.push(name.clone());
        }
        let is_new = |number: &i32| known.is_some_and(|known| !known.contains_key(number));
        let new = entries.iter().filter(|(number, _)| is_new(number));
        added.extend(new.map(|(number, entry)| format!("{name}: `{entry}` = {number}")));
    }
    added
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message
        .options
        .as_ref()
        .is_some_and(prost_types::MessageOptions::map_entry)
}

/// Label and type of a field, as proto files write them.
fn kind(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let name = field.type_name().trim_start_matches('.');
    let own = message
        .nested_type
        .iter()
        .find(|nested| name.ends_with(&format!(".{}", nested.name())));
    if let Some([key, value]) = own
        .filter(|nested| is_map_entry(nested))
        .map(|entry| entry.field.as_slice())
    {
        return format!("map<{},{}>", type_name(key), type_name(value));
    }
    let of_type = type_name(field);
    if field.label() == Label::Repeated {
        return format!("repeated {of_type}");
    }
    if field.proto3_optional() {
        return format!("optional {of_type}");
    }
    match field.oneof_index {
        Some(index) => {
            let at = usize::try_from(index).unwrap();
            format!("oneof {} {of_type}", message.oneof_decl[at].name())
        }
        None => of_type,
    }
}

fn type_name(field: &FieldDescriptorProto) -> String {
    if matches!(field.r#type(), Type::Message | Type::Enum | Type::Group) {
        return field.type_name().trim_start_matches('.').to_owned();
    }
    let name = field.r#type().as_str_name();
    name.trim_start_matches("TYPE_").to_lowercase()
}
