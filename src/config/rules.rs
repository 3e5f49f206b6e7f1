//! What only several keys together, or a value's meaning, can violate.
//!
//! The rules look at the tree and not at what it is read into, so that they find their problems
//! while the schema still finds others.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::path::Path;
use super::validate::Check;
use super::{ByteSize, Period, Problems, Root};

/// Applies every rule.
pub(super) fn check<T: Root>(check: &Check<'_>, problems: &mut Problems) {
    let top = At {
        path: Path::default(),
        value: check.root,
    };
    let mut rules = Rules { check, problems };
    rules.units(&top);
    T::check(&top, &mut rules);
}

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct At<'a> {
    pub(crate) path: Path,
    pub(crate) value: &'a Value,
}

impl<'a> At<'a> {
    /// What stands at `key`, unless it is nothing.
    pub(crate) fn get(&self, key: &str) -> Option<At<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(At {
            path: self.path.key(key),
            value,
        })
    }

    /// The same, several keys down.
    pub(crate) fn down(&self, keys: &[&str]) -> Option<At<'a>> {
        keys.iter().try_fold(self.clone(), |at, key| at.get(key))
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.value
            .get(key)
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    pub(crate) fn entries(&self) -> Vec<(&'a str, At<'a>)> {
        let entries = self.value.as_object().into_iter().flatten();
        entries
            .filter_map(|(key, _)| Some((key.as_str(), self.get(key)?)))
            .collect()
    }

    pub(crate) fn items(&self) -> Vec<At<'a>> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        items
            .map(|(index, value)| At {
                path: self.path.index(index),
                value,
            })
            .collect()
    }
}

/// What the rules know and what they found.
pub(crate) struct Rules<'a> {
    check: &'a Check<'a>,
    problems: &'a mut Problems,
}

impl Rules<'_> {
    /// A problem with the value at `at`, unless the schema already refused it.
    pub(crate) fn refuse(&mut self, at: &At<'_>, remedy: impl Into<String>) {
        let path = at.path.to_string();
        if !self.problems.0.iter().any(|problem| problem.path == path) {
            self.problems.add(path, self.check.show(&at.path), remedy);
        }
    }

    /// Whether something at `at` or below it is known to be wrong.
    pub(crate) fn found_within(&self, at: &At<'_>) -> bool {
        let above = at.path.to_string();
        let below = |path: &str| {
            path.strip_prefix(&above)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut refused = self.check.refused.iter();
        refused.any(|path| path.is_within(&at.path))
            || self.problems.0.iter().any(|problem| below(&problem.path))
    }

    /// A problem with a key that is not there.
    pub(crate) fn missing(&mut self, at: &At<'_>, key: &str, remedy: impl Into<String>) {
        let path = at.path.key(key).to_string();
        if at.value.is_object() && !self.problems.0.iter().any(|problem| problem.path == path) {
            self.problems.add(path, "", remedy);
        }
    }

    /// Durations and sizes whose form is right and whose value is none.
    fn units(&mut self, at: &At<'_>) {
        match at.value {
            Value::String(text) => {
                let shape = self.check.shape;
                let bad_period = humantime::parse_duration(text).is_err();
                let bad_size = text.parse::<bytesize::ByteSize>().is_err();
                if bad_period && shape.is(&at.path, "Period") {
                    self.refuse(at, "write a duration such as 250ms, 5s, 10m, 7d");
                } else if bad_size && shape.is(&at.path, "ByteSize") {
                    self.refuse(at, "write a size such as 64MiB or 10GB");
                }
            }
            Value::Object(_) => at.entries().iter().for_each(|(_, entry)| self.units(entry)),
            Value::Array(_) => at.items().iter().for_each(|item| self.units(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// The duration at `keys`, within its bounds; nothing if it is absent or refused.
    pub(crate) fn period(
        &mut self,
        at: &At<'_>,
        keys: &[&str],
        bounds: (&str, &str),
    ) -> Option<Duration> {
        let at = at.down(keys)?;
        let written = humantime::parse_duration(at.text()?).ok()?;
        let (least, most) = (Period::from(bounds.0).get(), Period::from(bounds.1).get());
        if written < least || written > most {
            self.refuse(&at, format!("must be from {} to {}", bounds.0, bounds.1));
            return None;
        }
        Some(written)
    }

    /// Whether a process is to serve with it, so that the files it opens matter.
    pub(crate) fn serve(&self) -> bool {
        self.check.serves
    }

    /// A problem with what stands at, or is missing from, some keys below `section`.
    pub(crate) fn unfit(&mut self, section: &At<'_>, at: &[String], why: &str) {
        let Some((last, above)) = at.split_last() else {
            return;
        };
        let above: Vec<&str> = above.iter().map(String::as_str).collect();
        let parent = section.down(&above);
        if let Some(at) = parent.as_ref().and_then(|parent| parent.get(last)) {
            self.refuse(&at, why);
        } else if let Some(parent) = parent {
            self.missing(&parent, last, why);
        } else {
            let above = above.iter();
            let path = above.fold(section.path.clone(), |path, key| path.key(key));
            self.problems.add(path.key(last).to_string(), "", why);
        }
    }

    /// librdkafka says that the properties of `section` do not go together.
    pub(crate) fn properties(&mut self, section: &At<'_>, why: &str) {
        let at = section.path.key("properties").to_string();
        let remedy = format!("librdkafka refuses them: {why}; correct the one that it names");
        self.problems.add(at, "", remedy);
    }

    /// The name of a Kafka topic, in which the tenant is filled in.
    pub(crate) fn topic(&mut self, at: &At<'_>) {
        let Some(text) = at.text() else { return };
        let filled = text.replace("{tenant}", "t");
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if filled.is_empty() || filled.len() > 249 || !filled.chars().all(allowed) {
            let remedy = "write a topic's name: letters, digits, `.`, `_`, `-`, and {tenant}";
            self.refuse(at, remedy);
        }
    }

    /// Refuses `http://` where a secret is sent, unless the section says that it is meant.
    pub(crate) fn https(&mut self, section: &At<'_>, key: &str) {
        let Some(at) = section.get(key) else { return };
        let Some(text) = at.text() else { return };
        let plain = text.starts_with("http://");
        if plain && !section.is_true("insecure_plain_http") {
            self.refuse(
                &at,
                "use https://; secrets are sent there (insecure_plain_http is for tests)",
            );
        } else if !plain && !text.starts_with("https://") {
            self.refuse(&at, "write a URL that begins with https://");
        } else if text.contains(['{', '}']) {
            self.refuse(&at, "write the real names in place of the braces");
        }
    }
}

/// A size as written, or the default.
pub(crate) fn bytes(at: Option<&At<'_>>, default: &str) -> u64 {
    let written = at
        .and_then(At::text)
        .and_then(|text| text.parse::<bytesize::ByteSize>().ok());
    written.map_or_else(|| ByteSize::from(default).get(), |size| size.as_u64())
}

/// The listening address at `at`, if a text stands there; an error if it is none.
pub(crate) fn address(at: &At<'_>) -> Option<Result<SocketAddr, ()>> {
    at.text().map(|text| text.parse().map_err(|_| ()))
}

/// Exactly one of `kinds` must be there: its name and section.
pub(crate) fn one_kind<'a>(
    at: &At<'a>,
    kinds: &[&'static str],
    rules: &mut Rules<'_>,
) -> Option<(&'static str, At<'a>)> {
    let there: Vec<_> = kinds
        .iter()
        .filter_map(|kind| Some((*kind, at.get(kind)?)))
        .collect();
    let names: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    let names = match names.as_slice() {
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
        [] => String::new(),
    };
    match there.as_slice() {
        [only] => Some(only.clone()),
        [] => {
            rules.refuse(at, format!("add exactly one of {names}"));
            None
        }
        _ => {
            rules.refuse(
                at,
                format!("keep one of {names}; make the other a section of its own"),
            );
            None
        }
    }
}
