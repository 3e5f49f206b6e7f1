//! The configuration of a `kafka` sink, and what librdkafka is given for it. Pure.
//!
//! Guarantee (G3): no property can make an acknowledgement come before the brokers have the record:
//! what acknowledges, orders or gives up is goldwire's own, and refused as a property.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rdkafka::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;

use super::preview::preview;
use super::topics::Topics;
use super::{Kafka, takes};
use crate::config::{At, ByteSize, Period, Rules};
use crate::event::{Filter, Kind, Subject};
use crate::kafka::{self, Properties, Unfit};
use crate::sink::preview::Previewed;
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};

/// Properties that goldwire sets itself, and what to use instead.
const OWNED: [(&str, &str); 14] = [
    ("bootstrap.servers", "use the key `bootstrap_servers`"),
    ("metadata.broker.list", "use the key `bootstrap_servers`"),
    ("acks", ACKS),
    ("request.required.acks", ACKS),
    ("enable.idempotence", "it is always on; remove it"),
    ("enable.gapless.guarantee", "remove it"),
    ("transactional.id", "remove it"),
    ("delivery.timeout.ms", TIMEOUT),
    ("message.timeout.ms", TIMEOUT),
    ("queue.buffering.max.kbytes", "use the key `queue`"),
    ("queue.buffering.max.messages", "use the key `queue`"),
    (
        "delivery.report.only.error",
        "every record has its report; remove it",
    ),
    (
        "allow.auto.create.topics",
        "topics are made by whoever owns them; remove it",
    ),
    ("statistics.interval.ms", "remove it"),
];
const ACKS: &str = "it is always `all`; remove it";
const TIMEOUT: &str = "use the key `delivery_timeout`";

/// What librdkafka is given unless the properties say otherwise.
const DEFAULTS: [(&str, &str); 6] = [
    ("client.id", "goldwire"),
    // As Java's producers do it, so that topics of both can be joined.
    ("partitioner", "murmur2_random"),
    ("linger.ms", "5"),
    // A topic that is not there is told after this.
    ("topic.metadata.propagation.max.ms", "10000"),
    ("topic.metadata.refresh.interval.ms", "60000"),
    ("log.connection.close", "false"),
];

/// Newest golden records in Kafka topics, keyed by subject, fit for compaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSink {
    /// Brokers: `host:port,host:port`.
    pub bootstrap_servers: String,
    /// The topic of every type; `{tenant}` is filled in. The key is the URI alone, so a topic holds
    /// one tenant.
    pub topic: Option<String>,
    /// Topics by entity or relation type, in place of `topic`; other types are not delivered.
    /// `{tenant}` is filled in.
    #[schemars(extend("minProperties" = 1))]
    pub topics: Option<BTreeMap<String, String>>,
    /// What the value of a living subject is. Of a dead one there is none (a tombstone).
    #[serde(default)]
    pub value: Value,
    /// Any property of librdkafka: `security.protocol`, `sasl.username`, `compression.type`, …
    #[serde(default)]
    pub properties: Properties,
    /// Sends golden records and passwords in clear text to brokers on other machines.
    #[serde(default)]
    pub insecure_plaintext: bool,
    /// Longest that a record may take until the brokers acknowledge it; then it counts as
    /// ambiguous.
    #[serde(default = "delivery_timeout")]
    pub delivery_timeout: Period,
    /// Bytes that wait for the brokers at most, over all partitions.
    #[serde(default = "queue")]
    pub queue: ByteSize,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
}

/// What the value of a living subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// The object's JSON, to the byte as Reltio sent it.
    #[default]
    Snapshot,
    /// The whole `EventRecord` of `goldwire.v1`, protobuf: the payload with everything that is known
    /// of it.
    Envelope,
}

fn delivery_timeout() -> Period {
    "30s".into()
}
fn queue() -> ByteSize {
    "32MiB".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl SinkKind for KafkaSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        let one = self.topic.iter();
        let topics: BTreeSet<&String> = one
            .chain(self.topics.iter().flatten().map(|of| of.1))
            .collect();
        let topics = topics.into_iter().cloned().collect::<Vec<_>>().join(", ");
        Described {
            target: format!("{topics} at {}", self.bootstrap_servers),
            mode: Mode::Latest,
            guarded: false,
            dedupe: None,
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(
            &self.filter(),
            &Topics::new(self, ""),
            subject,
            object_type,
            kind,
        )
    }

    fn preview(&self, tenant: &str, write: &Write) -> Previewed {
        preview(self, tenant, write)
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        Ok(Arc::new(Kafka::new(
            name,
            self,
            &deps.tenant,
            deps.metrics,
        )?))
    }
}

impl KafkaSink {
    /// Which records it takes, besides those that no topic is for.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }

    /// Every problem that a reader of the configuration cannot see in the schema, with its key. No
    /// secret is in them (G10).
    pub fn problems(&self) -> Vec<Unfit> {
        let mut problems = Vec::new();
        match (&self.topic, &self.topics) {
            (None, None) => {
                let why = "missing; add the topic of every type, or `topics` by type";
                problems.push(Unfit::key("topic", why));
            }
            (Some(_), Some(_)) => {
                let why = "set beside `topic`; keep one of the two";
                problems.push(Unfit::key("topics", why));
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        kafka::check_owned(&OWNED, &self.properties, &mut problems);
        kafka::check_credentials(&self.properties, &mut problems);
        kafka::check_each(&self.properties, &mut problems);
        kafka::check_encrypted(
            "bootstrap_servers",
            &self.bootstrap_servers,
            &self.properties,
            self.insecure_plaintext,
            &mut problems,
        );
        problems
    }

    /// What librdkafka is given.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        for (key, value) in DEFAULTS {
            client.set(key, value);
        }
        for (key, value) in &self.properties {
            client.set(key, value.reveal());
        }
        client
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set(
                "delivery.timeout.ms",
                self.delivery_timeout.get().as_millis().to_string(),
            )
            .set(
                "queue.buffering.max.kbytes",
                (self.queue.get() / 1024).max(1).to_string(),
            )
            // Bytes bound the queue; records of 32 bytes are none.
            .set(
                "queue.buffering.max.messages",
                (self.queue.get() / 32).clamp(1_000, 10_000_000).to_string(),
            );
        client
    }
}
