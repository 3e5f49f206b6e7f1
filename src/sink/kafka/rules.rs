//! What only several keys together, or a value's meaning, can violate in a `kafka` sink.

use std::collections::BTreeMap;

use super::config::KafkaSink;
use crate::config::{At, Rules, bytes};
use crate::event::short_name;

pub(super) fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    let topics = section.get("topics").map(|topics| topics.entries());
    let topics: Vec<_> = topics.unwrap_or_default();
    let mut types = BTreeMap::new();
    for (name, at) in &topics {
        if let Some(other) = types.insert(short_name(name), *name) {
            rules.refuse(
                at,
                format!("is the same type as `{other}`; keep one of them"),
            );
        }
    }
    let one = section.get("topic");
    for at in one.into_iter().chain(topics.into_iter().map(|(_, at)| at)) {
        rules.topic(&at);
        not_read_again(top, section, &at, rules);
    }
    rules.period(section, &["delivery_timeout"], ("1s", "10m"));
    if let Some(at) = section.get("queue")
        && bytes(Some(&at), "32MiB") < 1 << 20
    {
        rules.refuse(&at, "must be at least 1MiB");
    }
    let Ok(config) = serde_json::from_value::<KafkaSink>(section.value.clone()) else {
        return;
    };
    for unfit in config.problems() {
        rules.unfit(section, &unfit.at, &unfit.why);
    }
    // What is known to be wrong would be found again, and told worse.
    if rules.serve()
        && !rules.found_within(section)
        && let Err(why) = config.try_out()
    {
        rules.properties(section, &why);
    }
}

/// What a sink writes to a topic that a source reads would come back, again and again.
fn not_read_again(top: &At<'_>, section: &At<'_>, topic: &At<'_>, rules: &mut Rules<'_>) {
    let sources = top.get("sources").map(|sources| sources.entries());
    for (name, source) in sources.unwrap_or_default() {
        let Some(kafka) = source.get("kafka") else {
            continue;
        };
        let direct = (kafka.get("topic"), kafka.get("bootstrap_servers"));
        let subscribed = |key| kafka.down(&["subscription", "kafkaConfig", key]);
        let subscribed = (subscribed("topic"), subscribed("bootstrapServers"));
        let same = |(read, brokers): (Option<At<'_>>, Option<At<'_>>)| {
            let own = section.get("bootstrap_servers");
            read.and_then(|at| at.text()) == topic.text()
                && brokers.and_then(|at| at.text()) == own.and_then(|at| at.text())
        };
        if topic.text().is_some() && (same(direct) || same(subscribed)) {
            rules.refuse(
                topic,
                format!("sources.{name} reads this topic; name another"),
            );
        }
    }
}
