//! What only several keys together, or a value's meaning, can violate in `log.kafka`.

use super::config::KafkaLogConfig;
use crate::config::{At, Rules, bytes};

/// What the journal alone has.
const OF_JOURNAL: [(&str, &str); 2] = [
    ("partitions", "remove it; `log.kafka.partitions` says it"),
    (
        "quota",
        "remove it: what a sink has not read stays in the topic, however much that is; watch the \
         brokers' disks",
    ),
];

pub(crate) fn check(top: &At<'_>, log: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    for (key, remedy) in OF_JOURNAL {
        if let Some(at) = log.get(key) {
            rules.refuse(&at, remedy);
        }
    }
    for (key, longest) in [("topic_prefix", 100), ("instance", 100)] {
        if let Some(at) = section.get(key) {
            plain(&at, longest, rules);
        }
    }
    rules.period(section, &["transaction_timeout"], ("1s", "15m"));
    rules.period(section, &["session_timeout"], ("6s", "30m"));
    if let Some(at) = section.get("session_timeout")
        && section.get("group_protocol").and_then(|at| at.text()) == Some("consumer")
    {
        let remedy = "remove it: with group_protocol consumer the brokers say so \
                      (group.consumer.session.timeout.ms)";
        rules.refuse(&at, remedy);
    }
    let body = largest_body(top);
    if let Some(at) = section.get("max_record") {
        let written = bytes(Some(&at), "1GB");
        if written <= body {
            let remedy = format!(
                "must be larger than the largest `max_body` of a source, {body}B; raise it, or \
                 lower those"
            );
            rules.refuse(&at, remedy);
        } else if written > 1_000_000_000 {
            rules.refuse(
                &at,
                "must be at most 1000000000B, which is what Kafka's clients take",
            );
        }
    }
    let Ok(config) = serde_json::from_value::<KafkaLogConfig>(section.value.clone()) else {
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

/// It becomes part of names that Kafka restricts.
fn plain(at: &At<'_>, longest: usize, rules: &mut Rules<'_>) {
    let Some(text) = at.text() else { return };
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if text.is_empty() || text.len() > longest || !text.chars().all(allowed) {
        let remedy = format!("use at most {longest} letters, digits, `.`, `_` and `-`");
        rules.refuse(at, remedy);
    }
}

/// The largest body that a source takes.
fn largest_body(top: &At<'_>) -> u64 {
    let sources = top.get("sources").map(|sources| sources.entries());
    let sources = sources.unwrap_or_default();
    let bodies = sources.iter().flat_map(|(_, source)| {
        let of = |kind: &str, default| {
            let section = source.get(kind)?;
            Some(bytes(section.get("max_body").as_ref(), default))
        };
        [of("kafka", "64MiB"), of("webhook", "10MiB")]
    });
    bodies.flatten().max().unwrap_or_default()
}
