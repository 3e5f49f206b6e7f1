//! What makes one doubt the mapping: a path under which nothing was ever found, a source that no
//! golden record has a crosswalk of.
//!
//! Guarantee: a slip of the pen in the mapping neither empties a field of the whole org nor makes a
//! second record for every golden record without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::event::Crosswalk;
use crate::sink::SinkError;
use crate::telemetry::Metrics;

/// So many golden records without a crosswalk of the source, and none with one, are told of.
const FEW: u64 = 10;
/// So many names of other sources at most are told.
const NAMES: usize = 8;

/// What one sink's golden records have shown so far in this process.
#[derive(Debug)]
pub(super) struct Doubts {
    sink: String,
    shown: Mutex<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    /// Fields that had a value, by type.
    had: BTreeMap<String, BTreeSet<String>>,
    /// Fields of which it was told that they are not emptied, by type.
    told: BTreeMap<String, BTreeSet<String>>,
    /// A golden record had a crosswalk of the source.
    is_named: bool,
    /// Golden records without one.
    without: u64,
    /// The sources that they had crosswalks of.
    others: BTreeSet<String>,
}

impl Doubts {
    pub(super) fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            shown: Mutex::default(),
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A golden record of `object_type` has values for these `fields`.
    pub(super) fn have<'a>(&self, object_type: &str, fields: impl Iterator<Item = &'a String>) {
        let mut shown = self.shown();
        let had = shown.had.entry(object_type.to_owned()).or_default();
        for field in fields {
            if !had.contains(field) {
                had.insert(field.clone());
            }
        }
    }

    /// Whether any golden record of `object_type` had a value for `field`.
    pub(super) fn had(&self, object_type: &str, field: &str) -> bool {
        let shown = self.shown();
        let had = shown.had.get(object_type);
        had.is_some_and(|fields| fields.contains(field))
    }

    /// A field is left as it is, though the golden record has no value for it: counted, and told
    /// once for each field.
    pub(super) fn left(&self, object_type: &str, field: &str, why: &str, metrics: &Metrics) {
        metrics.mapping_doubt(&self.sink, "not_emptied");
        let mut shown = self.shown();
        let told = shown.told.entry(object_type.to_owned()).or_default();
        if told.insert(field.to_owned()) {
            tracing::warn!(
                "sinks.{}: objects.{object_type}.fields.{field}: {why}; where a golden record has \
                 no value there, the field is left as it is. Correct the path, or write \
                 `attribute_or` with `clear: true`",
                self.sink
            );
        }
    }

    /// A golden record has these `crosswalks`, of `source` or of others.
    ///
    /// # Errors
    /// If one is of a source that differs in case alone: every record would be made a second time.
    pub(super) fn crosswalks(
        &self,
        source: &str,
        crosswalks: &[Crosswalk],
        metrics: &Metrics,
    ) -> Result<(), SinkError> {
        let mut shown = self.shown();
        if crosswalks.iter().any(|it| it.source == source) {
            shown.is_named = true;
            return Ok(());
        }
        metrics.mapping_doubt(&self.sink, "no_crosswalk");
        let same = |it: &&Crosswalk| it.source.eq_ignore_ascii_case(source);
        if let Some(other) = crosswalks.iter().find(same) {
            return Err(SinkError::Systemic {
                code: "crosswalk_source".to_owned(),
                remedy: format!(
                    "golden records have crosswalks of `{}`, and sinks.{}.salesforce.\
                     crosswalk_source is `{source}`: case counts; write it as Reltio does",
                    other.source, self.sink
                ),
            });
        }
        shown.without = shown.without.saturating_add(1);
        for crosswalk in crosswalks {
            if shown.others.len() < NAMES {
                shown.others.insert(crosswalk.source.clone());
            }
        }
        if shown.without == FEW && !shown.is_named {
            let others: Vec<&str> = shown.others.iter().map(String::as_str).collect();
            tracing::warn!(
                "sinks.{}: none of {FEW} golden records has a crosswalk of source `{source}`, but of \
                 {}: each becomes a new record. See that crosswalk_source is the name that Reltio \
                 has (`goldwire check --connect`)",
                self.sink,
                others.join(", ")
            );
        }
        Ok(())
    }
}
