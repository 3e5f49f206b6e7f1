//! A tree against the JSON Schema: every violation as a problem with its exact path.
//!
//! Guarantee (G10): a value is shown only where no secret can stand and no variable was replaced.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::Problems;
use super::nearest::nearest;
use super::path::Path;
use super::schema::Shape;

/// What is asked of the schema while a tree is checked.
#[derive(Clone, Copy)]
pub(super) struct Check<'a> {
    pub(super) shape: Shape<'a>,
    pub(super) root: &'a Value,
    /// Values that came from the environment.
    pub(super) replaced: &'a BTreeSet<Path>,
    /// Values that could not come from there.
    pub(super) refused: &'a BTreeSet<Path>,
    /// Whether a process is to serve with it, so that the files it opens matter.
    pub(super) serves: bool,
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library may add kinds, and each has a keyword to name"
)]
impl Check<'_> {
    /// Adds every violation.
    pub(super) fn violations(&self, validator: &Validator, problems: &mut Problems) {
        for error in validator.iter_errors(self.root) {
            self.explain(&error, problems);
        }
    }

    fn explain(&self, error: &ValidationError<'_>, problems: &mut Problems) {
        let path = Path::of_pointer(error.instance_path().as_str(), self.root);
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.explain_variants(&path, context, problems);
            }
            Kind::Required { property } => {
                let key = property.as_str().unwrap_or_default();
                let what = self
                    .shape
                    .description(&path, key)
                    .unwrap_or("it is required");
                problems.add(
                    path.key(key).to_string(),
                    "",
                    format!("missing; add it: {what}"),
                );
            }
            // Braces around the secret itself make a key of it.
            Kind::AdditionalProperties { .. } if self.shape.is(&path, "Secret") => {
                problems.add(path.to_string(), self.show(&path), self.choices(&path));
            }
            Kind::AdditionalProperties { unexpected } => {
                for key in unexpected {
                    let remedy = self.known_keys(&path, key);
                    problems.add(path.key(key).to_string(), "an unknown key", remedy);
                }
            }
            kind => problems.add(path.to_string(), self.show(&path), self.remedy(&path, kind)),
        }
    }

    /// A value that fits no variant: the problems of the variant that was meant, if one was.
    fn explain_variants(
        &self,
        path: &Path,
        context: &[Vec<ValidationError<'static>>],
        problems: &mut Problems,
    ) {
        let here = |error: &&ValidationError<'_>| {
            Path::of_pointer(error.instance_path().as_str(), self.root) == *path
        };
        let fits = |errors: &&Vec<ValidationError<'_>>, refused: fn(&Kind) -> bool| {
            !errors
                .iter()
                .filter(here)
                .any(|error| refused(error.kind()))
        };
        let of_kind: Vec<_> = context
            .iter()
            .filter(|errors| fits(errors, is_other_type))
            .collect();
        let mut of_keys = of_kind
            .iter()
            .copied()
            .filter(|errors| fits(errors, is_other_key));
        let meant = match of_kind.as_slice() {
            [only] => Some(*only),
            _ => of_keys.next_back(),
        };
        match meant {
            Some(errors) => errors
                .iter()
                .for_each(|error| self.explain(error, problems)),
            None => problems.add(path.to_string(), self.show(path), self.choices(path)),
        }
    }

    /// The value in short, or only its type.
    pub(super) fn show(&self, path: &Path) -> String {
        let Some(value) = path.find(self.root) else {
            return String::new();
        };
        let from_outside = self.replaced.contains(path);
        let hidden = from_outside || self.shape.may_hold_secret(path);
        match value {
            Value::Null => "nothing".to_owned(),
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a mapping".to_owned(),
            Value::String(_) if from_outside => "the value of a variable".to_owned(),
            Value::String(_) if hidden => "a text".to_owned(),
            Value::String(text) if may_hold_password(text) => {
                "a URL with a user or a query in it".to_owned()
            }
            Value::String(text) => format!("{:?}", shortened(text)),
            Value::Bool(_) if hidden => "true or false".to_owned(),
            Value::Number(_) if hidden => "a number".to_owned(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
        }
    }

    fn known_keys(&self, path: &Path, key: &str) -> String {
        let nodes = self.shape.at(path);
        let known: BTreeSet<&String> = nodes
            .into_iter()
            .flat_map(super::schema::Node::keys)
            .collect();
        match nearest(key, known.iter().map(|known| known.as_str())) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("remove it; known here: {}", listed(known.iter())),
        }
    }

    fn choices(&self, path: &Path) -> String {
        if self.shape.is(path, "Secret") {
            return "write the secret as text, usually ${NAME}, or {file: PATH}".to_owned();
        }
        if self.shape.is(path, "ColumnConfig") {
            return "write an attribute's path, or {attribute: PATH, type: TYPE}".to_owned();
        }
        let mut choices = BTreeSet::new();
        for node in self.shape.at(path) {
            if let Some(only) = node.schema.get("const").and_then(Value::as_str) {
                choices.insert(format!("`{only}`"));
            }
            choices.extend(node.keys().map(|key| format!("{{{key}: …}}")));
        }
        format!(
            "write {}",
            choices.into_iter().collect::<Vec<_>>().join(" or ")
        )
    }

    fn remedy(&self, path: &Path, kind: &Kind) -> String {
        match kind {
            Kind::Type { kind } => format!("write {}", self.type_name(path, kind)),
            Kind::Pattern { .. } if self.shape.is(path, "Period") => {
                "write a duration such as 250ms, 5s, 10m, 7d".to_owned()
            }
            Kind::Pattern { .. } if self.shape.is(path, "ByteSize") => {
                "write a size such as 64MiB or 10GB".to_owned()
            }
            Kind::Pattern { .. } if self.shape.is(path, "Start") => {
                "write earliest, latest, or a time such as 2026-03-01T00:00:00Z".to_owned()
            }
            Kind::Pattern { pattern } => format!("must match {pattern}"),
            Kind::Minimum { limit } => format!("must be at least {limit}"),
            Kind::Maximum { limit } => format!("must be at most {limit}"),
            Kind::MinItems { .. } | Kind::MinProperties { .. } => "add at least one".to_owned(),
            Kind::MinLength { .. } => "must not be empty".to_owned(),
            Kind::Constant { .. } | Kind::Enum { .. } => self.choices(path),
            other => format!(
                "violates `{}` of the schema, see `goldwire schema`",
                other.keyword()
            ),
        }
    }

    fn type_name(&self, path: &Path, kind: &TypeKind) -> String {
        if self.shape.is(path, "Period") {
            return "a duration such as 250ms, 5s, 10m, 7d".to_owned();
        }
        if self.shape.is(path, "ByteSize") {
            return "a size such as 64MiB or 10GB".to_owned();
        }
        let names = match kind {
            TypeKind::Single(only) => vec![only.to_string()],
            TypeKind::Multiple(set) => set.iter().map(|each| each.to_string()).collect(),
        };
        let names = names
            .iter()
            .filter(|name| *name != "null")
            .map(|name| match name.as_str() {
                "string" => "a text",
                "integer" => "a whole number",
                "number" => "a number",
                "boolean" => "true or false",
                "array" => "a list",
                _ => "a mapping",
            });
        names.collect::<Vec<_>>().join(" or ")
    }
}

/// The variant is for values of another type, or for another constant.
fn is_other_type(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. }
    )
}

/// The variant is for mappings with another key.
fn is_other_key(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Required { .. } | Kind::AdditionalProperties { .. }
    )
}

/// Whether a URL names a user before its host.
fn may_hold_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next();
    rest.contains('?') || authority.is_some_and(|authority| authority.contains('@'))
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

fn listed<'a>(keys: impl Iterator<Item = &'a &'a String>) -> String {
    keys.map(|key| key.as_str()).collect::<Vec<_>>().join(", ")
}
