//! The configuration's top level, and what belongs to no source and no sink.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ByteSize, Networks, Period, Secret, SourceConfig};
use crate::sink::SinkConfig;

/// A goldwire configuration.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Names the consumer groups (`{app}.{sink}`) and this program in logs.
    #[serde(default = "app")]
    pub app: String,
    /// The Reltio tenant whose events are taken; those of another are dead-lettered.
    pub tenant: String,
    /// Directory of the inbox, the log and the store. One process at a time.
    pub data_dir: PathBuf,
    /// The engine of the store: `sled`, or `fjall` from about a million subjects on. Fixed when
    /// the directory is made.
    #[serde(default)]
    pub store: Engine,
    /// Reltio's API. Without it nothing is hydrated or asked, and `check` refuses what needs it.
    pub reltio: Option<ReltioApi>,
    /// Where events come from, by name.
    #[schemars(extend("minProperties" = 1))]
    pub sources: BTreeMap<String, SourceConfig>,
    /// The listener of all webhook sources; required when there is one.
    pub webhook: Option<WebhookListener>,
    /// The journal of webhook requests.
    #[serde(default)]
    pub inbox: Inbox,
    /// The event log.
    #[serde(default)]
    pub log: LogSettings,
    /// Where events go, by name.
    #[schemars(extend("minProperties" = 1))]
    pub sinks: BTreeMap<String, SinkConfig>,
    /// How the engine works.
    #[serde(default)]
    pub delivery: Delivery,
    /// Health, metrics and control.
    #[serde(default)]
    pub admin: Admin,
}

fn app() -> String {
    "goldwire".to_owned()
}

/// The engine of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Pages in place; the quickest while all registers fit into memory.
    #[default]
    Sled,
    /// Sorted tables, merged; less memory and disk a subject, and quick to open at any size.
    Fjall,
}

impl Engine {
    /// As the configuration writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sled => "sled",
            Self::Fjall => "fjall",
        }
    }
}

/// Reltio's API of the tenant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReltioApi {
    /// `https://{environment}.reltio.com/reltio/api/{tenant}`.
    pub url: String,
    /// The token endpoint.
    #[serde(default = "auth_url")]
    pub auth_url: String,
    /// OAuth client id (client credentials).
    pub client_id: String,
    /// OAuth client secret.
    pub client_secret: Secret,
    /// Requests a second at most.
    #[serde(default = "requests_per_second")]
    pub requests_per_second: u32,
    /// Longest a request may take.
    #[serde(default = "request_timeout")]
    pub request_timeout: Period,
    /// How long after a change a read is sure to see it: more than the API's lag behind its own
    /// stream plus `clock_skew`.
    #[serde(default = "settle")]
    pub settle: Period,
    /// How far apart the clocks of Reltio's nodes may be.
    #[serde(default = "clock_skew")]
    pub clock_skew: Period,
    /// Sends the client secret in clear text. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
}

fn auth_url() -> String {
    "https://auth.reltio.com/oauth/token".to_owned()
}
fn requests_per_second() -> u32 {
    20
}
fn request_timeout() -> Period {
    "30s".into()
}
fn settle() -> Period {
    "10s".into()
}
fn clock_skew() -> Period {
    "1s".into()
}

/// The listener of all webhook sources.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookListener {
    /// Address and port: `0.0.0.0:8443`.
    pub address: SocketAddr,
    /// Certificate and key. Required unless one of the two keys below says otherwise.
    pub tls: Option<Tls>,
    /// The addresses or networks of the proxy that ends TLS before this listener. Only from there
    /// is `X-Forwarded-For` believed, and without `tls` only from there is anything taken.
    pub trusted_proxy: Option<Networks>,
    /// Takes webhooks over plain HTTP. For tests.
    #[serde(default)]
    pub insecure_plain_http: bool,
    /// Connections at most; more wait in the system's queue.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Answer within this of a request's first byte, or 503. INT-004 asks for 5 s at the sender's
    /// end: 4500ms at most. The TLS handshake before the first request of a connection has the same
    /// time for itself.
    #[serde(default = "deadline")]
    pub deadline: Period,
}

fn connections() -> u32 {
    2048
}
fn deadline() -> Period {
    "4s".into()
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificate chain.
    pub cert_file: PathBuf,
    /// Private key.
    pub key_file: PathBuf,
}

/// The journal of webhook requests.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Inbox {
    /// Bytes at most; beyond them webhooks are answered 503.
    pub quota: ByteSize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            quota: "1GiB".into(),
        }
    }
}

/// The event log.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// Partitions; fixed when the data directory is made.
    #[schemars(range(min = 1, max = 1024))]
    pub partitions: u16,
    /// Bytes at most; what sinks tell each other's lanes is taken beyond it. When a sink holds the log
    /// back at its quota, its `on_full` decides.
    pub quota: ByteSize,
    /// How long records stay after every sink has passed them.
    pub keep: Period,
    /// Free disk below which nothing is taken in, and below half of which sinks append nothing
    /// either, so that the store always has room.
    pub disk_reserve: ByteSize,
    /// Size of one segment file.
    pub segment: ByteSize,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            partitions: 8,
            quota: "10GiB".into(),
            keep: "1h".into(),
            disk_reserve: "256MiB".into(),
            segment: "16MiB".into(),
        }
    }
}

/// What happens when this sink holds the log back at its quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// Intake stops, loudly, before anything unread is deleted.
    #[default]
    Stall,
    /// The sink's group is marked as gapped, and needs a resync.
    Detach,
}

/// How the engine works.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Records in flight in one task (one partition of one sink).
    #[schemars(range(min = 1, max = 100_000))]
    pub in_flight: usize,
    /// Bytes in flight in one task; as many for answers of Reltio that are not delivered yet, and
    /// for what has to be asserted once more.
    pub in_flight_bytes: ByteSize,
    /// Bytes in flight in all tasks together (sinks x partitions, and sources). Each has an equal
    /// part: a third of it takes the place of `in_flight_bytes` where that is more.
    pub memory: ByteSize,
    /// Commit at least this often while there is something to commit.
    pub commit_interval: Period,
    /// Commit after this many records.
    #[schemars(range(min = 1))]
    pub commit_records: usize,
    /// How long a stop waits for what is in flight.
    pub drain_timeout: Period,
    /// Retries of one record.
    pub retry: Retry,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            in_flight: 1000,
            in_flight_bytes: "32MiB".into(),
            memory: "512MiB".into(),
            commit_interval: "200ms".into(),
            commit_records: 1000,
            drain_timeout: "20s".into(),
            retry: Retry::default(),
        }
    }
}

/// Retries of one record: exponential, with full jitter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts at most, the first one included; then dead letters.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// Upper bound of the first wait.
    pub first: Period,
    /// Upper bound of any wait.
    pub longest: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 10,
            first: "200ms".into(),
            longest: "30s".into(),
        }
    }
}

/// A rate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests a second.
    #[schemars(range(min = 1))]
    pub per_second: u32,
}

/// Health, metrics and control.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port. Anything but loopback needs `token`.
    pub address: SocketAddr,
    /// Bearer token for everything but `/livez` and `/readyz`.
    pub token: Option<Secret>,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 9464)),
            token: None,
        }
    }
}
