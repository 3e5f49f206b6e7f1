//! The configuration of a Kafka source.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{ByteSize, Secret};
use crate::event::CompletenessConfig;
use crate::schema_registry::SchemaRegistryConfig;

/// A Kafka topic that Reltio streams to. Either `bootstrap_servers`, `topic` and `group`, or
/// INT-004's `subscription`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSource {
    /// Brokers: `host:port,host:port`.
    pub bootstrap_servers: Option<String>,
    /// The topic; `{tenant}` is filled in.
    pub topic: Option<String>,
    /// The consumer group of ingest.
    pub group: Option<String>,
    /// Where to begin when the group has no committed offset: `earliest`, `latest`, or a time
    /// (`2026-03-01T00:00:00Z`). Without it a group without offsets halts with a sentence.
    pub start: Option<Start>,
    /// INT-004 section 2.2, as it stands.
    pub subscription: Option<Subscription>,
    /// Any property of librdkafka: `security.protocol`, `sasl.username`, `ssl.ca.location`, …
    #[serde(default)]
    pub properties: BTreeMap<String, Secret>,
    /// Takes golden records, and sends passwords, in clear text from brokers on other machines.
    #[serde(default)]
    pub insecure_plaintext: bool,
    /// Largest body, before and after decompression; a larger one is dead-lettered.
    #[serde(default = "max_record")]
    pub max_body: ByteSize,
    /// Bytes that the client reads ahead, over all partitions that the topic has at the start. A
    /// larger record comes alone.
    #[serde(default = "queue")]
    pub queue: ByteSize,
    /// The registry whose schemas the topic's values are written by, in Confluent's wire format:
    /// Avro, Protobuf, JSON Schema. Values without a schema's id are read as they are.
    pub schema_registry: Option<SchemaRegistryConfig>,
    /// What an absent field of an object means.
    #[serde(default)]
    pub completeness: CompletenessConfig,
    /// Entity types to take (`*` and `?` match); all without it.
    pub entity_types: Option<Vec<String>>,
    /// Event types to take, in either vocabulary (`*` and `?` match); all without it.
    pub event_types: Option<Vec<String>>,
    /// Whether relations are taken.
    #[serde(default = "yes")]
    pub include_relationships: bool,
}

fn yes() -> bool {
    true
}

fn max_record() -> ByteSize {
    "64MiB".into()
}

fn queue() -> ByteSize {
    "64MiB".into()
}

/// Where a group without committed offsets begins.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Start(
    #[schemars(regex(pattern = r"^(earliest|latest|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)$"))]
    pub String,
);

/// INT-004's subscription document.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Subscription {
    /// A name for people.
    pub stream_name: Option<String>,
    /// Entity types to take: `com.example.Individual` means `Individual`.
    #[serde(default = "all")]
    pub entity_types: Vec<String>,
    /// `MERGE`, `UPDATE`, `CREATE`, `UNMERGE`, or Reltio's own names.
    #[serde(default = "all")]
    pub event_types: Vec<String>,
    /// Only `["*"]` for now.
    #[serde(default = "all")]
    pub attributes: Vec<String>,
    /// Whether relations are taken.
    #[serde(default)]
    pub include_relationships: bool,
    /// The broker.
    pub kafka_config: StreamsKafkaConfig,
}

fn all() -> Vec<String> {
    vec!["*".to_owned()]
}

/// `kafkaConfig` of INT-004's subscription document.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StreamsKafkaConfig {
    /// Brokers.
    pub bootstrap_servers: String,
    /// The topic; `{tenant}` is filled in.
    pub topic: String,
    /// The consumer group of ingest.
    pub consumer_group: String,
    /// `SASL_SSL`, …
    pub security_protocol: Option<String>,
    /// `PLAIN`, …
    pub sasl_mechanism: Option<String>,
}
