//! How a process is a member of a consumer group.
//!
//! Guarantee: a change of members takes nothing from those who keep their partitions. The classic
//! protocol is cooperative unless the properties say otherwise; KIP-848's always is.

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::properties::{Properties, Unfit};

/// The protocol of a consumer group. All members of a group have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupProtocol {
    /// Members agree on who has what; every broker knows it.
    #[default]
    Classic,
    /// KIP-848: the broker decides, and only what moves is touched. Brokers from 4.0 on.
    Consumer,
}

impl GroupProtocol {
    /// As the configuration and librdkafka spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Consumer => "consumer",
        }
    }
}

/// Properties that keys of the configuration say.
pub const MEMBERSHIP_OWNED: [(&str, &str); 2] = [
    ("group.protocol", "use the key `group_protocol`"),
    ("group.instance.id", "use the key `instance`"),
];

/// What KIP-848 leaves to the broker, and the remedy.
const BROKERS: [(&str, &str); 4] = [
    (
        "session.timeout.ms",
        "the broker says it: set `group.consumer.session.timeout.ms` there, or \
         `consumer.session.timeout.ms` of the group",
    ),
    (
        "heartbeat.interval.ms",
        "the broker says it: set `group.consumer.heartbeat.interval.ms` there, or \
         `consumer.heartbeat.interval.ms` of the group",
    ),
    (
        "partition.assignment.strategy",
        "the broker assigns: `group.remote.assignor` names how",
    ),
    ("group.protocol.type", "there is one type only"),
];
const ASSIGNOR: &str = "group.remote.assignor";
const STRATEGY: &str = "partition.assignment.strategy";
const COOPERATIVE: &str = "cooperative-sticky";
/// Kafka's own bound.
const LONGEST: usize = 249;

/// A member of a consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// The group's protocol.
    pub protocol: GroupProtocol,
    /// The member's name, if it is a static one.
    pub instance: Option<String>,
}

impl Membership {
    /// What does not go together, or is no name.
    pub fn check(&self, properties: &Properties, problems: &mut Vec<Unfit>) {
        match self.protocol {
            GroupProtocol::Consumer => {
                for (property, remedy) in BROKERS {
                    if properties.contains_key(property) {
                        let why = format!(
                            "not with `group_protocol: consumer`: {remedy}; remove it, or use \
                             `group_protocol: classic`"
                        );
                        problems.push(Unfit::property(property, why));
                    }
                }
            }
            GroupProtocol::Classic if properties.contains_key(ASSIGNOR) => {
                let why = "only with `group_protocol: consumer`; remove it, or use \
                           `partition.assignment.strategy`";
                problems.push(Unfit::property(ASSIGNOR, why));
            }
            GroupProtocol::Classic => {}
        }
        if let Some(instance) = &self.instance
            && !is_name(instance)
        {
            let why = format!(
                "`{instance}` is no name of a member: 1 to {LONGEST} letters, digits, `.`, `_` and \
                 `-`, another for each process"
            );
            problems.push(Unfit::key("instance", why));
        }
    }

    /// Sets what librdkafka is to know of it. Properties are set before.
    pub fn set(&self, client: &mut ClientConfig) {
        client.set("group.protocol", self.protocol.name());
        if self.protocol == GroupProtocol::Classic && client.get(STRATEGY).is_none() {
            client.set(STRATEGY, COOPERATIVE);
        }
        if let Some(instance) = &self.instance {
            client.set("group.instance.id", instance);
        }
    }
}

fn is_name(text: &str) -> bool {
    let known = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    (1..=LONGEST).contains(&text.len()) && text.chars().all(known) && ![".", ".."].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn problems(member: &Membership, property: Option<&str>) -> Vec<String> {
        let properties = property.map(|name| (name.to_owned(), Secret::new("1")));
        let mut problems = Vec::new();
        member.check(&properties.into_iter().collect(), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    fn member(protocol: GroupProtocol, instance: Option<&str>) -> Membership {
        Membership {
            protocol,
            instance: instance.map(str::to_owned),
        }
    }

    #[test]
    fn what_kip_848_leaves_to_the_broker_is_refused_with_the_remedy() {
        for (property, remedy) in [
            ("session.timeout.ms", "`group.consumer.session.timeout.ms`"),
            ("heartbeat.interval.ms", "`consumer.heartbeat.interval.ms`"),
            ("partition.assignment.strategy", "`group.remote.assignor`"),
            ("group.protocol.type", "remove it"),
        ] {
            let found = problems(&member(GroupProtocol::Consumer, None), Some(property));
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].starts_with(&format!("properties.{property}: not with")));
            assert!(found[0].contains(remedy) && found[0].contains("group_protocol: classic"));
            let classic = problems(&member(GroupProtocol::Classic, None), Some(property));
            assert!(classic.is_empty(), "{classic:?}");
        }
        let found = problems(&member(GroupProtocol::Classic, None), Some(ASSIGNOR));
        assert!(found[0].contains("only with `group_protocol: consumer`"));
        assert!(problems(&member(GroupProtocol::Consumer, None), Some(ASSIGNOR)).is_empty());
    }

    #[test]
    fn a_static_member_has_a_name_that_kafka_takes() {
        let long = "x".repeat(250);
        for (name, fits) in [
            ("goldwire-0", true),
            ("a.b_C-9", true),
            ("", false),
            ("..", false),
            ("two words", false),
            (long.as_str(), false),
        ] {
            let found = problems(&member(GroupProtocol::Consumer, Some(name)), None);
            assert_eq!(found.is_empty(), fits, "{name}: {found:?}");
        }
    }

    #[test]
    fn librdkafka_takes_each_kind_of_member_and_the_classic_one_is_cooperative() {
        for protocol in [GroupProtocol::Classic, GroupProtocol::Consumer] {
            for instance in [None, Some("goldwire-0")] {
                let mut client = ClientConfig::new();
                member(protocol, instance).set(&mut client);
                assert_eq!(client.get("group.instance.id"), instance);
                let strategy = (protocol == GroupProtocol::Classic).then_some(COOPERATIVE);
                assert_eq!(client.get(STRATEGY), strategy);
                let made: Result<rdkafka::consumer::BaseConsumer, _> = client.create();
                assert!(made.is_ok(), "{:?}", made.err());
            }
        }
        let mut client = ClientConfig::new();
        client.set(STRATEGY, "range");
        member(GroupProtocol::Classic, None).set(&mut client);
        assert_eq!(client.get(STRATEGY), Some("range"));
    }
}
