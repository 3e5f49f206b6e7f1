//! Rules of sources.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::{At, Rules, one_kind};
use crate::config::{Delivery, KafkaSource};
use crate::event::Filter;
use crate::event::Kind;
use crate::source::kafka::KafkaSettings;

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

pub(super) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    let sources = top
        .get("sources")
        .map(|sources| sources.entries())
        .unwrap_or_default();
    let mut paths = BTreeMap::new();
    for (name, source) in sources {
        super::sinks::name(name, &source, &["inbox", "reconcile"], rules);
        let Some((kind, section)) = one_kind(&source, &["kafka", "webhook"], rules) else {
            continue;
        };
        if top.get("reltio").is_none() {
            without_reltio(&section, rules);
        }
        if let Some(at) = section.get("max_body")
            && super::bytes(Some(&at), "10MiB") == 0
        {
            rules.refuse(&at, "must be at least 1KiB");
        }
        if let Some(at) = section.get("queue")
            && super::bytes(Some(&at), "64MiB") < 1 << 20
        {
            rules.refuse(&at, "must be at least 1MiB");
        }
        if kind == "kafka" {
            kafka(top, &section, rules);
            continue;
        }
        if top.get("webhook").is_none() {
            let remedy = "missing; add the listener of webhook sources with its address and tls";
            rules.missing(top, "webhook", remedy);
        }
        webhook(&section, rules);
        if let Some(path) = section.get("path")
            && let Some(text) = path.text()
            && let Some(other) = paths.insert(text, name)
        {
            rules.refuse(
                &path,
                format!("sources.{other} has this path; give each its own"),
            );
        }
    }
}

/// What needs a read of Reltio is refused where nothing can be read: it would end in dead letters.
/// A source that takes everything (`*`, or no key at all) may never get what needs one.
fn without_reltio(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("completeness") {
        let remedy = if at.get("fields").is_some() {
            "add the section `reltio`: objects with some members only are completed there"
        } else {
            "add the section `reltio`: what the events lack is read there"
        };
        if at.get("fields").is_some() || at.text() == Some("mixed") {
            rules.refuse(&at, remedy);
        }
    }
    for at in patterns(section, ["entity_types", "entityTypes"]) {
        let remedy = "add the section `reltio`, or take all types (`*`): the type of what an event \
                      only names is read there";
        rules.refuse(&at, remedy);
    }
    let events = patterns(section, ["event_types", "eventTypes"]);
    for at in events.into_iter().filter(takes_merges) {
        let remedy = "add the section `reltio`, or leave out merges and splits: what came of their \
                      subjects is read there";
        rules.refuse(&at, remedy);
    }
}

/// The patterns of a filter, by its key here and in a subscription, that leave something out.
fn patterns<'a>(section: &At<'a>, [here, subscribed]: [&str; 2]) -> Vec<At<'a>> {
    let lists = [
        section.get(here),
        section.down(&["subscription", subscribed]),
    ];
    let patterns = lists.iter().flatten().flat_map(At::items);
    patterns
        .filter(|at| at.text().is_some_and(|text| text != "*"))
        .collect()
}

fn takes_merges(pattern: &At<'_>) -> bool {
    let pattern = [pattern.text().unwrap_or_default().to_owned()];
    let filter = Filter::new(None, Some(&pattern), true);
    let takes = |kind| filter.passes_kind(kind, false) || filter.passes_kind(kind, true);
    takes(Kind::Merged) || takes(Kind::Split)
}

fn kafka(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
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
    settings(top, section, rules);
}

/// What the source itself and librdkafka say, without a broker.
fn settings(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
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
    let drain = rules.period(top, &["delivery", "drain_timeout"], ("100ms", "4m"));
    let drain = drain.unwrap_or_else(|| Delivery::default().drain_timeout.get());
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

fn webhook(section: &At<'_>, rules: &mut Rules<'_>) {
    let standard = section.get("scheme").and_then(|at| at.text()) == Some("standard");
    for secret in section
        .get("secrets")
        .map(|all| all.items())
        .unwrap_or_default()
    {
        if standard && secret.text().is_some_and(|text| !is_standard_secret(text)) {
            let remedy = "a secret of scheme `standard` is `whsec_` and 24 to 64 bytes in base64";
            rules.refuse(&secret, remedy);
        }
    }
}

/// Standard Webhooks 1.0: `whsec_` and base64 of 24 to 64 bytes.
fn is_standard_secret(text: &str) -> bool {
    let Some(encoded) = text.strip_prefix("whsec_") else {
        return false;
    };
    let key = STANDARD
        .decode(encoded)
        .or_else(|_| STANDARD_NO_PAD.decode(encoded));
    key.is_ok_and(|key| (24..=64).contains(&key.len()))
}
