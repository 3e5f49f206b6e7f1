//! The configuration of the engine, and what only several keys together can violate.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, ByteSize, Period, Rules, bytes};

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

/// Bounds of the drain timeout: Kafka gives a member five minutes between polls.
const DRAIN: (&str, &str) = ("100ms", "4m");

/// How long a stop waits for what is in flight; the default where what is written is none.
pub(crate) fn drain_timeout(top: &At<'_>, rules: &mut Rules<'_>) -> Duration {
    let written = rules.period(top, &["delivery", "drain_timeout"], DRAIN);
    written.unwrap_or_else(|| Delivery::default().drain_timeout.get())
}

/// The rules of the section `delivery`.
pub(crate) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(delivery) = top.get("delivery") else {
        return;
    };
    rules.period(&delivery, &["commit_interval"], ("1ms", "1m"));
    rules.period(&delivery, &["drain_timeout"], DRAIN);
    if let Some(at) = delivery.get("in_flight_bytes")
        && bytes(Some(&at), "32MiB") < 1024
    {
        rules.refuse(&at, "must be at least 1KiB");
    }
    if let Some(at) = delivery.get("memory")
        && bytes(Some(&at), "512MiB") < 1 << 20
    {
        rules.refuse(&at, "must be at least 1MiB");
    }
    let Some(retry) = delivery.get("retry") else {
        return;
    };
    let first = rules.period(&retry, &["first"], ("1ms", "1h"));
    let longest = rules.period(&retry, &["longest"], ("1ms", "1h"));
    if let (Some(first), Some(longest), Some(at)) = (first, longest, retry.get("longest"))
        && first > longest
    {
        rules.refuse(&at, "must not be shorter than delivery.retry.first");
    }
}
