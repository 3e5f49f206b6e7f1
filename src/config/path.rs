//! Where a value stands in the configuration, as a person would write it.

use std::fmt;

use serde_json::Value;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// Steps from the top: `sinks.crm.salesforce.login_url`, `sources.a.webhook.secrets[0]`,
/// `sources.a.kafka.properties["sasl.password"]`. The top itself is `configuration`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path(pub(super) Vec<Step>);

impl Path {
    /// This path and a key below it.
    pub(super) fn key(&self, key: &str) -> Self {
        let mut below = self.clone();
        below.0.push(Step::Key(key.to_owned()));
        below
    }

    /// This path and an item below it.
    pub(super) fn index(&self, index: usize) -> Self {
        let mut below = self.clone();
        below.0.push(Step::Index(index));
        below
    }

    /// The path of a JSON pointer. `root` tells lists from mappings whose keys are numbers.
    pub(super) fn of_pointer(pointer: &str, root: &Value) -> Self {
        let (mut path, mut at) = (Self::default(), Some(root));
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if let (Some(list), Ok(index)) = (at.and_then(Value::as_array), part.parse()) {
                at = list.get(index);
                path.0.push(Step::Index(index));
            } else {
                at = at.and_then(|value| value.get(&part));
                path.0.push(Step::Key(part));
            }
        }
        path
    }

    /// Whether it is `above`, or somewhere below it.
    pub(super) fn is_within(&self, above: &Self) -> bool {
        self.0.starts_with(&above.0)
    }

    /// What stands there.
    pub(super) fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(root, |at, step| match step {
            Step::Key(key) => at.get(key),
            Step::Index(index) => at.get(index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("configuration");
        }
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if !is_plain(key) => write!(f, "[{key:?}]")?,
                Step::Key(key) if place == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    !key.is_empty() && key.chars().all(plain)
}
