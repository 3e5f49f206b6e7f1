//! From a Kafka source as configured to what librdkafka is given. Pure.
//!
//! Guarantee (G2): no property can move a position behind goldwire's back: what commits, stores or
//! resets offsets is goldwire's own, and refused as a property.

mod inbox;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;

use super::config::{KafkaSource, Subscription};
use crate::config::Secret;
use crate::kafka::{self, Place, Properties, QUEUED, Unfit};
use crate::time::Millis;

/// Properties that goldwire sets itself, and what to use instead.
const OWNED: [(&str, &str); 7] = [
    ("bootstrap.servers", "use the key `bootstrap_servers`"),
    ("metadata.broker.list", "use the key `bootstrap_servers`"),
    ("group.id", "use the key `group`"),
    (
        "auto.offset.reset",
        "use the key `start`; offsets are never reset by default",
    ),
    (
        "enable.auto.commit",
        "positions are committed after the event log has the records; remove it",
    ),
    (
        "enable.auto.offset.store",
        "positions are committed after the event log has the records; remove it",
    ),
    ("enable.partition.eof", "remove it"),
];

/// What librdkafka is given unless the properties say otherwise.
const DEFAULTS: [(&str, &str); 4] = [
    ("client.id", "goldwire"),
    // A topic that is made later is found within this.
    ("topic.metadata.refresh.interval.ms", "10000"),
    // Where the ends of the partitions become known: the lag.
    ("statistics.interval.ms", "1000"),
    // Errors are logged by code, once per connection attempt is enough.
    ("log.connection.close", "false"),
];

const LARGEST_QUEUE: u64 = 64 * 1024;
const POLL: &str = "max.poll.interval.ms";
const LONGEST_POLL: Duration = Duration::from_mins(5);

/// Where a group without a committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// At the oldest record.
    Earliest,
    /// At the end.
    Latest,
    /// At the first record that is not older, ms.
    Time(Millis),
}

/// A Kafka source as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSettings {
    /// Brokers: `host:port,host:port`.
    pub bootstrap: String,
    /// The topic, with the tenant filled in.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// Where to begin without a committed offset; nothing: halt.
    pub start: Option<StartAt>,
    /// Bytes that librdkafka holds ahead, over all partitions.
    pub queue: u64,
    /// Properties of librdkafka besides those that goldwire owns.
    pub properties: Properties,
}

impl KafkaSettings {
    /// What `config` means for `tenant`.
    ///
    /// # Errors
    /// Every problem, with its key. No secret is in them (G10).
    pub fn resolve(config: &KafkaSource, tenant: &str) -> Result<Self, Vec<Unfit>> {
        let mut problems = Vec::new();
        let mut properties = config.properties.clone();
        kafka::check_owned(&OWNED, &properties, &mut problems);
        let (bootstrap, topic, group) = match &config.subscription {
            Some(subscription) => {
                check_subscription(config, subscription, &mut problems);
                add_security(subscription, &mut properties, &mut problems);
                let kafka = &subscription.kafka_config;
                (
                    kafka.bootstrap_servers.clone(),
                    kafka.topic.clone(),
                    kafka.consumer_group.clone(),
                )
            }
            None => (
                required(
                    "bootstrap_servers",
                    config.bootstrap_servers.as_ref(),
                    &mut problems,
                ),
                required("topic", config.topic.as_ref(), &mut problems),
                required("group", config.group.as_ref(), &mut problems),
            ),
        };
        if !bootstrap.is_empty() {
            let key = match &config.subscription {
                Some(_) => "subscription.kafkaConfig.bootstrapServers",
                None => "bootstrap_servers",
            };
            let insecure = config.insecure_plaintext;
            kafka::check_encrypted(key, &bootstrap, &properties, insecure, &mut problems);
        }
        check_queue(&properties, &mut problems);
        kafka::check_credentials(&properties, &mut problems);
        kafka::check_each(&properties, &mut problems);
        let start = config.start.as_ref().and_then(|start| {
            StartAt::parse(&start.0)
                .map_err(|problem| problems.push(problem))
                .ok()
        });
        if problems.is_empty() {
            let topic = topic.replace("{tenant}", tenant);
            Ok(Self {
                bootstrap,
                topic,
                group,
                start,
                queue: config.queue.get(),
                properties,
            })
        } else {
            Err(problems)
        }
    }

    /// The property that lets partitions be taken away before they are drained, which takes up to
    /// `drain`.
    pub fn polls_too_seldom(&self, drain: Duration) -> Option<Unfit> {
        let text = self.properties.get(POLL);
        let millis = text.and_then(|text| text.reveal().parse().ok());
        let longest = millis.map_or(LONGEST_POLL, Duration::from_millis);
        let why = "must be longer than `delivery.drain_timeout`, or partitions are taken away \
                   before they are drained";
        (drain >= longest).then(|| Unfit::property(POLL, why))
    }

    /// Where it reads, for what is told.
    pub(super) fn place(&self) -> Place<'_> {
        Place {
            bootstrap: &self.bootstrap,
            topic: &self.topic,
            group: &self.group,
        }
    }

    /// What librdkafka is given.
    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (key, value) in DEFAULTS {
            client.set(key, value);
        }
        for (key, value) in &self.properties {
            client.set(key, value.reveal());
        }
        client
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where the last record is not the end: what follows it is passed by then.
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error");
        client
    }

    /// Makes a client that knows no broker, and drops it: whether the properties go together, and
    /// the files that they name can be read.
    ///
    /// # Errors
    /// What librdkafka says, without a property's value.
    pub fn try_out(&self) -> Result<(), String> {
        let mut client = self.client();
        // Without a broker nothing is connected, and without a group nothing is left.
        client.remove("bootstrap.servers").remove("group.id");
        let made: Result<BaseConsumer, _> = client.create();
        made.map(drop).map_err(|error| self.complaint(&error))
    }

    /// Why librdkafka makes no client.
    pub fn complaint(&self, error: &KafkaError) -> String {
        kafka::complaint(&self.properties, error)
    }
}

impl StartAt {
    fn parse(text: &str) -> Result<Self, Unfit> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            time => time.parse::<jiff::Timestamp>().map_or_else(
                |_| {
                    let why = format!(
                        "`{time}` is not `earliest`, `latest` or a time like \
                         `2026-03-01T00:00:00Z`"
                    );
                    Err(Unfit::key("start", why))
                },
                |time| Ok(Self::Time(time.as_millisecond())),
            ),
        }
    }
}

fn required(key: &str, value: Option<&String>, problems: &mut Vec<Unfit>) -> String {
    match value {
        Some(value) if !value.trim().is_empty() => value.clone(),
        Some(_) | None => {
            let why = "missing; set it, or use INT-004's `subscription`";
            problems.push(Unfit::key(key, why));
            String::new()
        }
    }
}

fn check_subscription(config: &KafkaSource, of: &Subscription, problems: &mut Vec<Unfit>) {
    let direct = [
        (
            "bootstrap_servers",
            config.bootstrap_servers.is_some(),
            "kafkaConfig.bootstrapServers",
        ),
        ("topic", config.topic.is_some(), "kafkaConfig.topic"),
        ("group", config.group.is_some(), "kafkaConfig.consumerGroup"),
        ("entity_types", config.entity_types.is_some(), "entityTypes"),
        ("event_types", config.event_types.is_some(), "eventTypes"),
    ];
    for (key, is_set, other) in direct {
        if is_set {
            let why = format!("set beside `subscription.{other}`; keep one of the two");
            problems.push(Unfit::key(key, why));
        }
    }
    if of.attributes != ["*"] {
        let why = "only [\"*\"] is taken: a part of the attributes would be written as if the \
                   rest were empty; choose fields in the sink's mapping";
        problems.push(Unfit::key("subscription.attributes", why));
    }
}

fn add_security(of: &Subscription, properties: &mut Properties, problems: &mut Vec<Unfit>) {
    let kafka = &of.kafka_config;
    let pairs = [
        (
            "security.protocol",
            "securityProtocol",
            &kafka.security_protocol,
        ),
        ("sasl.mechanism", "saslMechanism", &kafka.sasl_mechanism),
    ];
    for (key, name, value) in pairs {
        let Some(value) = value else { continue };
        let known = [key, "sasl.mechanisms"]
            .into_iter()
            .take(if key.starts_with("sasl") { 2 } else { 1 });
        if known.into_iter().any(|key| properties.contains_key(key)) {
            let why = format!("set beside `subscription.kafkaConfig.{name}`; keep one of the two");
            problems.push(Unfit::property(key, why));
        } else {
            properties.insert(key.to_owned(), Secret::new(value));
        }
    }
}

fn check_queue(properties: &Properties, problems: &mut Vec<Unfit>) {
    let Some(value) = properties.get(QUEUED) else {
        return;
    };
    let within = value
        .reveal()
        .parse::<u64>()
        .is_ok_and(|kilobytes| kilobytes <= LARGEST_QUEUE);
    if !within {
        let why =
            format!("at most {LARGEST_QUEUE} kB for each partition, so that memory is bounded");
        problems.push(Unfit::property(QUEUED, why));
    }
}

#[cfg(test)]
mod tests;
