//! The configuration of Reltio's API, and what only several of its keys together can violate.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Period, Rules, Secret};

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

/// The rules of the section `reltio`.
pub(crate) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(api) = top.get("reltio") else { return };
    rules.https(&api, "url");
    rules.https(&api, "auth_url");
    rules.period(&api, &["request_timeout"], ("1s", "5m"));
    if let Some(rate) = api.get("requests_per_second")
        && rate.value.as_u64() == Some(0)
    {
        rules.refuse(&rate, "must be at least 1");
    }
    let skew = rules.period(&api, &["clock_skew"], ("0s", "1m"));
    let settle = rules.period(&api, &["settle"], ("0s", "10m"));
    let (skew, settle) = match (skew, settle) {
        (None, None) => return,
        (skew, settle) => (
            skew.unwrap_or_else(|| Period::from("1s").get()),
            settle.unwrap_or_else(|| Period::from("10s").get()),
        ),
    };
    if settle <= skew {
        let at = api.get("settle").or_else(|| api.get("clock_skew"));
        if let Some(at) = at {
            rules.refuse(
                &at,
                "settle must be longer than clock_skew, or a read may miss the change",
            );
        }
    }
}
