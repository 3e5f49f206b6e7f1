//! The configuration of sources. A source holds exactly one of its kinds' keys.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ByteSize, Secret};

/// A source: exactly one of the keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// A Kafka topic that Reltio streams to.
    pub kafka: Option<KafkaSource>,
    /// An endpoint of the webhook listener.
    pub webhook: Option<WebhookSource>,
}

/// What an absent field of an object means.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CompletenessConfig {
    /// Absent means empty.
    #[default]
    Whole,
    /// Attributes hold operational values only; otherwise whole.
    OvOnly,
    /// Only these members of the object are sent; the others are unknown.
    Fields(Vec<String>),
    /// Several of these come and cannot be told apart: every object is read from Reltio.
    Mixed,
}

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
    /// Largest body, before and after decompression; a larger one is dead-lettered.
    #[serde(default = "max_record")]
    pub max_body: ByteSize,
    /// Bytes that the client reads ahead, over all partitions that the topic has at the start. A
    /// larger record comes alone.
    #[serde(default = "queue")]
    pub queue: ByteSize,
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

/// An endpoint of the webhook listener.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSource {
    /// The path: `/reltio-webhook`.
    #[schemars(regex(pattern = r"^/[!-~]*$"))]
    pub path: String,
    /// How requests are signed.
    pub scheme: SignatureScheme,
    /// Live secrets; a request signed with any of them is taken, so that they can be rotated.
    #[schemars(length(min = 1))]
    pub secrets: Vec<Secret>,
    /// INT-004's `Authorization: Bearer …`, demanded in addition to the signature.
    pub bearer: Option<Secret>,
    /// Largest body, before and after decompression.
    #[serde(default = "max_body")]
    pub max_body: ByteSize,
    /// Requests let in; more are answered 429.
    #[serde(default)]
    pub rate_limit: RateLimit,
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

fn max_record() -> ByteSize {
    "64MiB".into()
}

fn queue() -> ByteSize {
    "64MiB".into()
}

fn max_body() -> ByteSize {
    "10MiB".into()
}

/// How requests are signed: HMAC-SHA256 over the raw bytes in both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureScheme {
    /// `X-Reltio-Signature`, hex or base64, with or without `sha256=`; no timestamp.
    Reltio,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`; 5 minutes.
    Standard,
}

/// Requests let in.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// Requests a second.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Requests at once.
    #[schemars(range(min = 1))]
    pub burst: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            per_second: 1000,
            burst: 2000,
        }
    }
}
