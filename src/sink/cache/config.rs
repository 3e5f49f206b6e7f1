//! The configuration of a `cache` sink.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Cache;
use super::preview::preview;
use crate::config::{At, ByteSize, Period, Rules, Secret};
use crate::event::{Filter, Kind, Subject};
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};
use crate::tls::Tls;

/// Newest golden records on this machine's disk, served over HTTP.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSink {
    /// Directory of the table, made if need be. One process at a time, one sink.
    pub dir: PathBuf,
    /// Address and port of the listener. Anything but loopback needs `tls`, or the key
    /// `insecure_plain_http`.
    #[serde(default = "address")]
    pub address: SocketAddr,
    /// Bearer tokens; a request with any of them is answered, so that they can be rotated.
    #[schemars(length(min = 1))]
    pub tokens: Vec<Secret>,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// Answers outside loopback over plain HTTP, tokens and golden records included: for a network
    /// that no one else sees, or behind a proxy that ends TLS.
    #[serde(default)]
    pub insecure_plain_http: bool,
    /// Connections at most; more wait in the system's queue.
    #[serde(default = "connections")]
    pub connections: u32,
    /// An answer is marked as stale when the cache was last known to have everything so long ago.
    #[serde(default = "stale_after")]
    pub stale_after: Period,
    /// Bytes of the table that are kept in memory, besides what the system keeps of its files.
    #[serde(default = "memory")]
    pub memory: ByteSize,
    /// The table's files are rewritten so long after an erasure (GDPR) at the latest: nothing of the
    /// erased content is left in them then.
    #[serde(default = "purge_after")]
    pub purge_after: Period,
    /// Golden records written with one fsync at most.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 5000))]
    pub batch: usize,
    /// How long a golden record waits for company.
    #[serde(default = "linger")]
    pub linger: Period,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity types delivered (`*` and `?` match). Relations are not.
    #[serde(default = "every")]
    pub object_types: Vec<String>,
}

fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9465))
}
fn connections() -> u32 {
    1024
}
fn stale_after() -> Period {
    "5m".into()
}
fn memory() -> ByteSize {
    "64MiB".into()
}
fn purge_after() -> Period {
    "1d".into()
}
fn batch() -> usize {
    1000
}
fn linger() -> Period {
    "5ms".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}

impl CacheSink {
    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), false)
    }
}

/// Whether a cache takes records like this.
pub(super) fn takes_entity(
    filter: &Filter,
    subject: &Subject,
    object_type: &str,
    kind: Kind,
) -> bool {
    !subject.is_relation() && takes(filter, subject, object_type, kind)
}

impl SinkKind for CacheSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: format!("{}, served at {}", self.dir.display(), self.address),
            mode: Mode::Latest,
            guarded: true,
            dedupe: None,
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes_entity(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(self, write)
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        Ok(Arc::new(Cache::new(name, self, deps.clock, deps.metrics)))
    }
}
