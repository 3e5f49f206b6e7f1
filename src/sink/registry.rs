//! The kinds of sinks: a folder and a line each.
//!
//! What the configuration may hold, its rules, the topology, the schema of a target and the sink
//! itself follow from the line; nothing else names a kind.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::cache::CacheSink;
use super::file::FileSink;
use super::kafka::KafkaSink;
#[cfg(feature = "lake")]
use super::lake::LakeSink;
use super::power_bi_rows::PowerBiRowsSink;
use super::preview::{self, Previewed};
use super::salesforce::SalesforceSink;
use super::snowflake::SnowflakeSink;
use super::warehouse::WarehouseSink;
use super::{Mode, Sink, Tell, Write};
use crate::config::{At, Rules};
use crate::event::{Kind as EventKind, Subject};
use crate::pace::Portion;
use crate::reltio::RecordReader;
use crate::telemetry::Metrics;
use crate::time::SharedClock;

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

/// The configuration of a kind of sink.
pub(crate) trait SinkKind {
    /// What only several keys together, or a value's meaning, can violate. `top` is the whole
    /// configuration, `section` what stands below the kind's key.
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>)
    where
        Self: Sized;

    /// What the topology says of it.
    fn described(&self) -> Described;

    /// Makes the sink. An unreachable target is no error here.
    ///
    /// # Errors
    /// A sentence that names the sink, if it cannot be made as configured.
    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String>;

    /// As [`Sink::accepts`], from the configuration alone.
    fn accepts(&self, subject: &Subject, object_type: &str, kind: EventKind) -> bool;

    /// What a write would make of the target, and where each value comes from, from the
    /// configuration alone: nothing is connected or touched, and no secret is needed.
    ///
    /// # Errors
    /// Why the record would be a dead letter.
    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        Ok(preview::given(&self.described().target, write))
    }

    /// What a person brings to the target, or to what reads it: the text of `goldwire schema WORD`,
    /// where the word is the kind's name, or another that the kind knows. Nothing for other words.
    fn schema(&self, _word: &str) -> Option<String> {
        None
    }

    /// The keys that [`Self::schema`] follows from: it is not asked for while one is not known.
    fn schema_needs(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it reads golden records itself, and cannot be without Reltio's API.
    fn reads_reltio(&self) -> bool {
        false
    }
}

/// What the topology says of a sink.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// Where it writes, never with a secret: `sqlite:./lake.db`, `files in ./events`.
    pub target: String,
    /// What it keeps.
    pub mode: Mode,
    /// Whether the target itself refuses late writes.
    pub guarded: bool,
    /// How long ids of changes are kept, at a target without unique keys.
    pub dedupe: Option<Duration>,
}

/// A URL as it may be shown: what stands before an `@` may be a password (G10).
pub(crate) fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let place = match (rest.matches('@').count(), authority.split_once('@')) {
        (0, _) => rest,
        (1, Some((_, host))) => rest.split_once('@').map_or(host, |(_, place)| place),
        // A password that is not escaped: nothing tells where it ends.
        _ => "…",
    };
    let place = place.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{place}")
}

/// What sinks work with besides their configuration.
#[derive(Debug, Clone)]
pub(crate) struct SinkDeps {
    /// Whose golden records are written.
    pub tenant: String,
    /// Reltio, if there is an API.
    pub reltio: Option<Arc<dyn RecordReader>>,
    /// Other entities' lanes.
    pub tell: Arc<dyn Tell>,
    /// How long after a change a read of Reltio is sure to see it.
    pub settle: Duration,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// What part of the target's quota is this process's.
    pub portion: Portion,
}

/// A kind by its key in the configuration.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&At<'_>, &At<'_>, &mut Rules<'_>),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $key:ident: $config:ty $(, if $feature:literal)?;)+) => {
        /// A sink: exactly one of its kinds, and what all kinds have.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct SinkConfig {
            $($(#[$doc])* $(#[cfg(feature = $feature)])? pub $key: Option<$config>,)+
            /// What happens when this sink holds the log back at its quota.
            #[serde(default)]
            pub on_full: OnFull,
        }

        /// All of them.
        pub(crate) const KINDS: &[Kind] = &[
            $($(#[cfg(feature = $feature)])? Kind {
                name: stringify!($key),
                check: <$config as SinkKind>::check,
            },)+
        ];

        impl SinkConfig {
            /// Its kind: the name, and the configuration. Nothing only where the rules were not
            /// applied.
            pub(crate) fn kind(&self) -> Option<(&'static str, &dyn SinkKind)> {
                $($(#[cfg(feature = $feature)])? if let Some(config) = &self.$key {
                    return Some((stringify!($key), config));
                })+
                None
            }
        }
    };
}

kinds! {
    /// Salesforce records kept equal to living golden records.
    salesforce: SalesforceSink;
    /// Current and history tables in SQLite or PostgreSQL.
    warehouse: WarehouseSink;
    /// An append-only history in files of newline-delimited JSON.
    file: FileSink;
    /// An append-only history in files of an object store.
    lake: LakeSink, if "lake";
    /// An append-only history in a table of Snowflake, by Snowpipe Streaming.
    snowflake: SnowflakeSink;
    /// Newest golden records in Kafka topics, keyed by subject, fit for compaction.
    kafka: KafkaSink;
    /// Newest golden records on this machine's disk, served over HTTP.
    cache: CacheSink;
    /// A row per change in a table of a push dataset of Power BI.
    power_bi_rows: PowerBiRowsSink;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g10_a_url_is_shown_without_what_may_be_a_password() {
        for (url, shown) in [
            ("sqlite:./lake.db", "sqlite:./lake.db"),
            (
                "https://example.my.salesforce.com",
                "https://example.my.salesforce.com",
            ),
            (
                "postgres://me:canary@h:5432/d?sslmode=require",
                "postgres://h:5432/d",
            ),
            ("postgres://h/d?password=canary", "postgres://h/d"),
            ("postgres://me:pw@h/d?password=x@canary", "postgres://…"),
            ("postgres://me:can/ary@h/d", "postgres://…"),
            ("postgres://me:can?ary@h/d", "postgres://…"),
            ("postgres://me:can@ary@h/d", "postgres://…"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }
}
