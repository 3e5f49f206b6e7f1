//! The configuration of a `file` sink.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::File;
use super::preview::preview;
use crate::config::{At, ByteSize, Period, Rules};
use crate::event::{Filter, Kind, Subject};
use crate::sink::append::Dedupe;
use crate::sink::preview::{Previewed, takes};
use crate::sink::registry::{Described, SinkDeps, SinkKind};
use crate::sink::{Mode, Sink, Write};

/// An append-only history in files of newline-delimited JSON.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSink {
    /// Directory of the files, made if need be. One process at a time, one sink.
    pub dir: PathBuf,
    /// That what lines hold of an erased subject (GDPR) stays in the files. The erasure itself is a
    /// line; deleting the lines before it is for those to do who read them.
    #[serde(default)]
    pub keeps_erased_records: bool,
    /// Size of one file; then the next begins. Only the newest one grows.
    #[serde(default = "roll")]
    pub roll: ByteSize,
    /// How copies of a change are known.
    #[serde(default)]
    pub dedupe: Dedupe,
    /// Lines written with one fsync at most.
    #[serde(default = "batch")]
    #[schemars(range(min = 1, max = 5000))]
    pub batch: usize,
    /// How long lines wait for company.
    #[serde(default = "linger")]
    pub linger: Period,
    /// Event types delivered, in either vocabulary (`*` and `?` match). Erasures always are.
    #[serde(default = "every")]
    pub event_types: Vec<String>,
    /// Entity and relation types delivered (`*` and `?` match).
    #[serde(default = "every")]
    pub object_types: Vec<String>,
}

fn batch() -> usize {
    2000
}
fn linger() -> Period {
    "5ms".into()
}
fn every() -> Vec<String> {
    vec!["*".to_owned()]
}
fn roll() -> ByteSize {
    "64MiB".into()
}

impl FileSink {
    /// Which records it takes.
    pub(super) fn filter(&self) -> Filter {
        Filter::new(Some(&self.object_types), Some(&self.event_types), true)
    }
}

impl SinkKind for FileSink {
    fn check(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
        super::rules::check(top, section, rules);
    }

    fn described(&self) -> Described {
        Described {
            target: format!("files in {}", self.dir.display()),
            mode: Mode::History,
            guarded: false,
            dedupe: Some(self.dedupe.window.get()),
        }
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        takes(&self.filter(), subject, object_type, kind)
    }

    fn preview(&self, _tenant: &str, write: &Write) -> Previewed {
        preview(self, write)
    }

    fn open(&self, name: &str, deps: SinkDeps) -> Result<Arc<dyn Sink>, String> {
        Ok(Arc::new(File::new(name, self, deps.clock, deps.metrics)))
    }
}
