//! How copies of a change are known where the target only appends and has no unique keys.
//!
//! Guarantee (G5): the ids of changes are kept for as long as a copy may come.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::{At, Period, Rules};
use crate::log::LogSettings;

/// How copies of a change are known at a sink without unique keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedupe {
    /// How long after a change was delivered copies of it may still be received: longer than its
    /// senders repeat it. Its id is kept for so long, and then the space is given back.
    pub window: Period,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            window: "7d".into(),
        }
    }
}

/// Ids stay at least as long as a copy may come: Standard Webhooks' example of a schedule repeats
/// for 75 hours, and the log keeps records for `log.keep`.
pub(super) fn window(top: &At<'_>, section: &At<'_>, rules: &mut Rules<'_>) {
    let written = section.down(&["dedupe", "window"]);
    let window = rules.period(section, &["dedupe", "window"], ("75h", "365d"));
    let keep = top.down(&["log", "keep"]);
    let keep = keep.and_then(|keep| humantime::parse_duration(keep.text()?).ok());
    let keep = keep.unwrap_or_else(|| LogSettings::default().keep.get());
    match (written, window) {
        (Some(at), Some(window)) if window < keep => {
            rules.refuse(&at, "must not be shorter than log.keep");
        }
        (None, _) if Dedupe::default().window.get() < keep => {
            let remedy = "add dedupe.window: log.keep is longer than the default of 7d";
            rules.refuse(section, remedy);
        }
        _ => {}
    }
}
