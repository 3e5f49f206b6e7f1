//! What only several keys together, or a value's meaning, can violate in a Kafka source.

use std::time::Duration;

use super::KafkaSettings;
use super::config::KafkaSource;
use crate::config::{At, Rules};
use crate::schema_registry;

/// The keys of a Kafka source that `subscription` stands for.
const DIRECT: [&str; 6] = [
    "bootstrap_servers",
    "topic",
    "group",
    "entity_types",
    "event_types",
    "include_relationships",
];
/// Those without which there is no source.
const REQUIRED: [&str; 3] = ["bootstrap_servers", "topic", "group"];

/// The rules of a Kafka source; a stop waits up to `drain` for what is in flight.
pub(crate) fn check(top: &At<'_>, section: &At<'_>, drain: Duration, rules: &mut Rules<'_>) {
    if let Some(subscription) = section.get("subscription") {
        for at in DIRECT.iter().filter_map(|key| section.get(key)) {
            rules.refuse(
                &at,
                "remove it, or remove `subscription`, which says the same",
            );
        }
        self::subscription(&subscription, rules);
    } else {
        for key in REQUIRED.iter().filter(|key| section.get(key).is_none()) {
            rules.missing(section, key, "missing; add it, or INT-004's `subscription`");
        }
        if let Some(at) = section.get("topic") {
            rules.topic(&at);
        }
    }
    start(section, rules);
    properties(section, rules);
    if let Some(registry) = section.get("schema_registry") {
        schema_registry::check(&registry, rules);
    }
    settings(top, section, drain, rules);
}

/// What the source itself and librdkafka say, without a broker.
fn settings(top: &At<'_>, section: &At<'_>, drain: Duration, rules: &mut Rules<'_>) {
    let Ok(config) = serde_json::from_value::<KafkaSource>(section.value.clone()) else {
        return;
    };
    let tenant = top
        .get("tenant")
        .and_then(|at| at.text())
        .unwrap_or_default();
    let settings = match KafkaSettings::resolve(&config, tenant) {
        Ok(settings) => settings,
        Err(unfit) => {
            return unfit
                .iter()
                .for_each(|unfit| rules.unfit(section, &unfit.at, &unfit.why));
        }
    };
    if let Some(unfit) = settings.polls_too_seldom(drain) {
        rules.unfit(section, &unfit.at, &unfit.why);
    }
    // What is known to be wrong would be found again, and told worse.
    if rules.serve()
        && !rules.found_within(section)
        && let Err(why) = settings.try_out()
    {
        rules.properties(section, &why);
    }
}

fn start(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("start")
        && let Some(text) = at.text()
        && !["earliest", "latest"].contains(&text)
        && text.parse::<jiff::Timestamp>().is_err()
    {
        rules.refuse(
            &at,
            "write earliest, latest, or a time such as 2026-03-01T00:00:00Z",
        );
    }
}

/// Properties that keys of the configuration say already, or that would break a guarantee.
fn properties(section: &At<'_>, rules: &mut Rules<'_>) {
    for (key, at) in section
        .get("properties")
        .map(|all| all.entries())
        .unwrap_or_default()
    {
        let owner = match key {
            "bootstrap.servers" | "metadata.broker.list" => "bootstrap_servers",
            "group.id" => "group",
            "auto.offset.reset" => "start",
            "enable.auto.commit" | "enable.auto.offset.store" => {
                rules.refuse(
                    &at,
                    "remove it: positions are committed after a durable write only",
                );
                continue;
            }
            _ => continue,
        };
        rules.refuse(&at, format!("remove it; the key `{owner}` says it"));
    }
}

fn subscription(at: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = at.down(&["kafkaConfig", "topic"]) {
        rules.topic(&at);
    }
    if let Some(attributes) = at.get("attributes") {
        let items = attributes.items();
        let all = matches!(items.as_slice(), [only] if only.text() == Some("*"));
        if !all && attributes.value.is_array() && items.iter().all(|item| item.text().is_some()) {
            let remedy = "only [\"*\"] so far: a golden record is taken whole or not at all";
            rules.refuse(&attributes, remedy);
        }
    }
}
