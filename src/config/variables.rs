//! `${NAME}` and `${NAME:-default}` in text values, replaced after the YAML is parsed.
//!
//! Guarantee: a value from the environment is text and stays text; it cannot change the structure
//! of the configuration. `$${` stands for `${` itself. A value that is empty since its variable is
//! empty is a mistake that names the variable; who means it writes `${NAME:-}`.

use std::collections::BTreeSet;

use serde_json::{Number, Value};

use super::Problems;
use super::path::Path;

/// Where the value of a variable comes from.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables of a tree, and remembers which values came from the environment: those
/// are never shown (G10).
pub(super) struct Variables<'a> {
    pub(super) env: Environment<'a>,
    pub(super) replaced: BTreeSet<Path>,
    pub(super) refused: BTreeSet<Path>,
    /// Those of `refused` whose variable is not set, or empty: they stay as they are written.
    pub(super) unset: BTreeSet<Path>,
}

impl<'a> Variables<'a> {
    /// Nothing is replaced yet.
    pub(super) fn new(env: Environment<'a>) -> Self {
        Self {
            env,
            replaced: BTreeSet::new(),
            refused: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    pub(super) fn replace(&mut self, path: &Path, value: &mut Value, problems: &mut Problems) {
        match value {
            Value::String(text) => {
                if let Some(text) = self.text(path, text, problems) {
                    *value = Value::String(text);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.replace(&path.index(index), item, problems);
                }
            }
            Value::Object(entries) => {
                for (key, entry) in entries {
                    self.replace(&path.key(key), entry, problems);
                }
            }
            Value::Number(number) => *number = whole(number),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The text with its variables replaced; nothing if it holds none.
    fn text(&mut self, path: &Path, text: &str, problems: &mut Problems) -> Option<String> {
        let (mut out, mut rest) = (String::new(), text);
        let mut empty = None;
        if !rest.contains("${") {
            return None;
        }
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = after;
                continue;
            }
            out.push_str(before);
            let Some((inside, after)) = after.split_once('}') else {
                self.refuse(
                    path,
                    "`${` without `}`",
                    "close it, or write `$${`",
                    problems,
                );
                return None;
            };
            let value = self.value(path, inside, problems)?;
            if value.is_empty() && !inside.contains(":-") {
                empty = Some(inside);
            }
            out.push_str(&value);
            rest = after;
        }
        out.push_str(rest);
        if let Some(name) = empty.filter(|_| out.is_empty()) {
            let remedy = format!("set it, or write ${{{name}:-…}}");
            let found = format!("${{{name}}}, which is empty");
            self.unset.insert(path.clone());
            self.refuse(path, found, remedy, problems);
            return None;
        }
        Some(out)
    }

    fn value(&mut self, path: &Path, inside: &str, problems: &mut Problems) -> Option<String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        if !is_name(name) {
            let remedy = "write ${NAME} or ${NAME:-default}, or `$${` for the letters themselves";
            self.refuse(path, "`${` without a variable's name", remedy, problems);
            return None;
        }
        let set = (self.env)(name).filter(|value| default.is_none() || !value.is_empty());
        if set.is_some() {
            self.replaced.insert(path.clone());
        }
        // A default stands in the file, for everybody to read.
        let value = set.or_else(|| default.map(str::to_owned));
        if value.is_none() {
            self.unset.insert(path.clone());
            let remedy = format!("set the environment variable {name}, or write ${{{name}:-…}}");
            self.refuse(
                path,
                format!("${{{name}}}, which is not set"),
                remedy,
                problems,
            );
        }
        value
    }

    fn refuse(
        &mut self,
        path: &Path,
        found: impl std::fmt::Display,
        remedy: impl Into<String>,
        problems: &mut Problems,
    ) {
        problems.add(path.to_string(), found, remedy);
        self.refused.insert(path.clone());
    }
}

fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    name.starts_with(letter)
        && name
            .chars()
            .all(|each| letter(each) || each.is_ascii_digit())
}

/// `5.0` as the 5 that JSON Schema takes it for.
fn whole(number: &Number) -> Number {
    let text = number.to_string();
    let whole = text
        .strip_suffix(".0")
        .and_then(|digits| digits.parse::<i64>().ok());
    whole.map_or_else(|| number.clone(), Number::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(text: &str) -> (String, Vec<String>) {
        let env = |name: &str| match name {
            "A" => Some("x: {y}\n${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut variables = Variables::new(&env);
        let (mut value, mut problems) = (Value::from(text), Problems::default());
        variables.replace(&Path::default().key("k"), &mut value, &mut problems);
        let problems = problems.0.iter().map(ToString::to_string).collect();
        (value.as_str().unwrap().to_owned(), problems)
    }

    #[test]
    fn variables_are_replaced_once_and_defaults_stand_in() {
        assert_eq!(replaced("<${A}>").0, "<x: {y}\n${A}>");
        assert_eq!(replaced("${B:-b}${EMPTY:-e}${EMPTY}").0, "be");
        assert_eq!(replaced("$${A} costs 5$").0, "${A} costs 5$");
        assert_eq!(replaced("${EMPTY:-}"), (String::new(), Vec::new()));
    }

    #[test]
    fn a_variable_that_is_empty_is_named_where_nothing_else_is_left() {
        let named = "k: found ${EMPTY}, which is empty; set it, or write ${EMPTY:-…}";
        assert_eq!(replaced("${EMPTY}").1, [named]);
        assert_eq!(replaced("${EMPTY:-}${EMPTY}").1, [named]);
        assert_eq!(replaced("a${EMPTY}"), ("a".to_owned(), Vec::new()));
    }

    #[test]
    fn a_missing_variable_is_named_with_its_path() {
        let (_, problems) = replaced("${MISSING}");
        assert!(
            problems[0].starts_with("k: found ${MISSING}, which is not set"),
            "{problems:?}"
        );
        assert_eq!(replaced("${").1.len(), 1);
        assert_eq!(replaced("${9}").1.len(), 1);
    }
}
