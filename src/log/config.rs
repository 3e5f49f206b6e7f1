//! The configuration of the event log and of the inbox, and what only several keys together can
//! violate.

use schemars::JsonSchema;
use serde::Deserialize;

use super::kafka::{self, KafkaLogConfig};
use crate::config::{At, ByteSize, Period, Rules, bytes};

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
    /// Keeps the event log in Kafka, not on this machine.
    pub kafka: Option<KafkaLogConfig>,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            partitions: 8,
            quota: "10GiB".into(),
            keep: "1h".into(),
            disk_reserve: "256MiB".into(),
            segment: "16MiB".into(),
            kafka: None,
        }
    }
}

/// The rules of the sections `log` and `inbox`.
pub(crate) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    let log = top.get("log");
    let of = |key: &str| log.as_ref().and_then(|log| log.get(key));
    if let (Some(log), Some(section)) = (&log, of("kafka")) {
        kafka::check(top, log, &section, rules);
    }
    let segment = bytes(of("segment").as_ref(), "16MiB");
    if let Some(at) = of("segment")
        && segment < 4096
    {
        rules.refuse(&at, "must be at least 4KiB");
    }
    let partitions = of("partitions")
        .and_then(|at| at.value.as_u64())
        .unwrap_or(8);
    let is_journal = of("kafka").is_none();
    // Only whole segments are given back, so every partition needs one to write and one to read.
    let least = segment.saturating_mul(partitions).saturating_mul(2);
    if is_journal && bytes(of("quota").as_ref(), "10GiB") < least {
        let at = of("quota")
            .or_else(|| of("segment"))
            .or_else(|| of("partitions"));
        if let Some(at) = at {
            let remedy = format!("log.quota must be at least {least}B: two segments a partition");
            rules.refuse(&at, remedy);
        }
    }
    let inbox = top.down(&["inbox", "quota"]);
    let least = segment.saturating_mul(2);
    if let Some(at) = inbox
        && bytes(Some(&at), "1GiB") < least
    {
        rules.refuse(
            &at,
            format!("must be at least {least}B: two segments of log.segment"),
        );
    }
    if let Some(log) = &log {
        rules.period(log, &["keep"], ("0s", "365d"));
    }
}
