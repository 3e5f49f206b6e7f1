//! The configuration of the webhook listener and of its endpoints.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{ByteSize, Networks, Period, Secret};
use crate::event::CompletenessConfig;
use crate::tls::Tls;

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

fn yes() -> bool {
    true
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
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`, or the same names
    /// with `svix-`; 5 minutes.
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
