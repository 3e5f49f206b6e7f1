//! The kinds of sinks: a folder and a line each.
//!
//! What the configuration may hold, its rules, the topology, the schema of a target and the sink
//! itself follow from the line; nothing else names a kind.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::FileSink;
use super::kafka::KafkaSink;
use super::salesforce::SalesforceSink;
use super::warehouse::WarehouseSink;
use super::{Mode, Sink, Tell};
use crate::config::{At, Rules};
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

    /// What the target must look like, as a person brings it there; nothing if there is nothing to
    /// bring.
    fn schema(&self) -> Option<String> {
        None
    }

    /// Whether it reads golden records itself, and cannot be without Reltio's API.
    fn reads_reltio(&self) -> bool {
        false
    }
}

/// What the topology says of a sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Described {
    /// What it keeps.
    pub mode: Mode,
    /// Whether the target itself refuses late writes.
    pub guarded: bool,
    /// How long ids of changes are kept, at a target without unique keys.
    pub dedupe: Option<Duration>,
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
}

/// A kind by its key in the configuration.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) check: fn(&At<'_>, &At<'_>, &mut Rules<'_>),
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $key:ident: $config:ty,)+) => {
        /// A sink: exactly one of its kinds, and what all kinds have.
        #[derive(Debug, Clone, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct SinkConfig {
            $($(#[$doc])* pub $key: Option<$config>,)+
            /// What happens when this sink holds the log back at its quota.
            #[serde(default)]
            pub on_full: OnFull,
        }

        /// All of them.
        pub(crate) const KINDS: &[Kind] = &[
            $(Kind { name: stringify!($key), check: <$config as SinkKind>::check },)+
        ];

        impl SinkConfig {
            /// Its kind: the name, and the configuration. Nothing only where the rules were not
            /// applied.
            pub(crate) fn kind(&self) -> Option<(&'static str, &dyn SinkKind)> {
                $(if let Some(config) = &self.$key {
                    return Some((stringify!($key), config));
                })+
                None
            }
        }
    };
}

kinds! {
    /// Salesforce records kept equal to living golden records.
    salesforce: SalesforceSink,
    /// Current and history tables in SQLite or PostgreSQL.
    warehouse: WarehouseSink,
    /// An append-only history in files of newline-delimited JSON.
    file: FileSink,
    /// Newest golden records in Kafka topics, keyed by subject, fit for compaction.
    kafka: KafkaSink,
}
