//! Which topics a record goes to. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::config::KafkaSink;
use crate::event::short_name;

/// The topics of a sink, with the tenant filled in.
#[derive(Debug)]
pub(super) enum Topics {
    /// Every type goes here.
    One([String; 1]),
    /// By short name of the type.
    ByType {
        of: BTreeMap<String, [String; 1]>,
        all: Vec<String>,
    },
}

impl Topics {
    pub(super) fn new(config: &KafkaSink, tenant: &str) -> Self {
        let filled = |topic: &String| topic.replace("{tenant}", tenant);
        let Some(topics) = &config.topics else {
            return Self::One([config.topic.as_ref().map(filled).unwrap_or_default()]);
        };
        let named =
            |(name, topic): (&String, &String)| (short_name(name).to_owned(), [filled(topic)]);
        let of: BTreeMap<_, _> = topics.iter().map(named).collect();
        let all: BTreeSet<String> = of.values().flatten().cloned().collect();
        Self::ByType {
            of,
            all: all.into_iter().collect(),
        }
    }

    /// Every topic.
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(topic) => topic,
            Self::ByType { all, .. } => all,
        }
    }

    /// Whether records of this type have a topic. One of unknown type may be in any of them.
    pub(super) fn take(&self, object_type: &str) -> bool {
        match self {
            Self::One(_) => true,
            Self::ByType { of, .. } => object_type.is_empty() || of.contains_key(object_type),
        }
    }

    /// Where a subject of this type is. Where the type of a dead subject is not known, its tombstone
    /// goes to every topic: it is news to the one that has it, and nothing to the others.
    pub(super) fn of(&self, object_type: &str) -> &[String] {
        match self {
            Self::One(topic) => topic,
            Self::ByType { all, .. } if object_type.is_empty() => all,
            Self::ByType { of, .. } => of.get(object_type).map_or(&[], |topic| topic),
        }
    }

    /// Whether a subject's type decides where it goes.
    pub(super) fn differ(&self) -> bool {
        matches!(self, Self::ByType { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn topics(config: serde_json::Value) -> Topics {
        let mut config = config;
        config["bootstrap_servers"] = json!("b:1");
        Topics::new(&serde_json::from_value(config).unwrap(), "acme")
    }

    #[test]
    fn the_tenant_is_filled_in() {
        let one = topics(json!({ "topic": "mdm.{tenant}" }));
        assert_eq!((one.of("Individual"), one.of("")), (one.all(), one.all()));
        assert_eq!(one.all(), ["mdm.acme"]);
    }

    #[test]
    fn a_tombstone_of_unknown_type_goes_to_every_topic_once() {
        let by_type =
            json!({ "com.example.Individual": "p", "Organization": "o", "Household": "p" });
        let by_type = topics(json!({ "topics": by_type }));
        assert_eq!(by_type.of("Individual"), ["p"]);
        assert_eq!(by_type.of("Product"), [""; 0]);
        assert_eq!(by_type.of(""), ["o", "p"]);
        assert!(by_type.take("") && by_type.take("Household") && !by_type.take("Product"));
    }
}
