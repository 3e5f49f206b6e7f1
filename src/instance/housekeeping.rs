//! What goes on beside the flow: the log is trimmed, depths and lags are measured.
//!
//! Guarantee (G8): nothing at or above the lowest position of a configured reader is trimmed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::parts::Files;
use super::{IngestView, SinkView};
use crate::config::OnFull;
use crate::ledger::{Store, StoreError, keys};
use crate::source::InboxSource;
use crate::task::gate::SinkStatus;
use crate::task::store_blocking;
use crate::telemetry::Metrics;

const RHYTHM: Duration = Duration::from_secs(1);
/// Dead letters are counted every so many rounds.
const COUNT_EVERY: u32 = 5;
/// Letters counted in one go.
const PAGE: usize = 1000;

/// Looks after the files of one instance.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) files: Files,
    pub(super) sinks: Vec<SinkView>,
    pub(super) ingest: Vec<IngestView>,
    pub(super) metrics: Arc<Metrics>,
    /// The partitions of sources whose lag was told, with their groups.
    pub(super) told: BTreeSet<(String, i32)>,
}

impl Keeper {
    pub(super) async fn run(mut self) {
        for sink in &self.sinks {
            self.metrics.expect_sink(&sink.name);
        }
        let mut rhythm = tokio::time::interval(RHYTHM);
        rhythm.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for round in 0_u32.. {
            rhythm.tick().await;
            self.trim().await;
            self.measure();
            if round % COUNT_EVERY == 0 {
                self.count_letters().await;
            }
        }
    }

    async fn trim(&self) {
        let partitions = usize::from(self.files.log.identity().partitions);
        let mut floors = vec![u64::MAX; partitions];
        for sink in self.sinks.iter().filter(|sink| !self.goes_on_without(sink)) {
            for (floor, status) in floors.iter_mut().zip(&sink.tasks) {
                *floor = (*floor).min(status.borrow().position);
            }
        }
        if let Err(error) = self.files.log.trim(&floors).await {
            tracing::warn!("the log could not be trimmed: {error}");
        }
        if let Err(error) = self.files.inbox.trim(&[self.inbox_position()]).await {
            tracing::warn!("the inbox could not be trimmed: {error}");
        }
    }

    /// Whether the log is so full that a sink that may be detached no longer holds it back.
    fn goes_on_without(&self, sink: &SinkView) -> bool {
        let (used, quota) = self.files.log.usage();
        sink.on_full == OnFull::Detach && used >= quota / 10 * 9
    }

    /// The inbox's durable position.
    fn inbox_position(&self) -> u64 {
        let Some(view) = self
            .ingest
            .iter()
            .find(|view| view.name == InboxSource::NAME)
        else {
            return 0;
        };
        let position = crate::source::inbox_position(self.files.store.as_ref(), &view.group);
        position.ok().flatten().unwrap_or_default()
    }

    fn measure(&mut self) {
        for sink in &self.sinks {
            for (partition, task) in (0_u16..).zip(&sink.tasks) {
                let end = self.files.log.range(partition).end;
                let lag = end.saturating_sub(task.borrow().position);
                self.metrics.lag(&sink.group, i64::from(partition), lag);
            }
            let state = match sink.gate.status() {
                SinkStatus::Running => 0,
                SinkStatus::BreakerOpen => 1,
                SinkStatus::Paused => 2,
                SinkStatus::Halted(_) => 3,
            };
            self.metrics.sink_state(&sink.name, state);
        }
        self.measure_sources();
    }

    fn measure_sources(&mut self) {
        let before = std::mem::take(&mut self.told);
        for view in &self.ingest {
            let ended = view.status.has_changed().is_err();
            let status = view.status.borrow();
            for (partition, lag) in &status.lag {
                self.metrics.lag(&view.group, i64::from(*partition), *lag);
                self.told.insert((view.group.clone(), *partition));
            }
            let state = match (&status.halted, status.unreachable) {
                (Some(_), _) => 2,
                (None, _) if ended => 2,
                (None, true) => 1,
                (None, false) => 0,
            };
            self.metrics.source_state(&view.name, state);
        }
        // A partition that was given back lags for whoever has it now.
        for (group, partition) in before.difference(&self.told) {
            self.metrics.lag(group, i64::from(*partition), 0);
        }
    }

    async fn count_letters(&self) {
        let ingest = std::iter::once((String::new(), "ingest"));
        let sinks = self
            .sinks
            .iter()
            .map(|sink| (sink.name.clone(), sink.name.as_str()));
        for (sink, label) in ingest.chain(sinks) {
            let count = move |store: &dyn Store| count(store, &sink);
            match store_blocking(&self.files.store, count).await {
                Ok(letters) => self.metrics.dead_letter_depth(label, letters),
                Err(error) => tracing::warn!("dead letters could not be counted: {error}"),
            }
        }
    }
}

fn count(store: &dyn Store, sink: &str) -> Result<u64, StoreError> {
    let prefix = keys::dead_letters_of(Some(sink));
    let (mut letters, mut after): (u64, Option<Vec<u8>>) = (0, None);
    loop {
        let page = store.scan(&prefix, after.as_deref(), PAGE)?;
        letters = letters.saturating_add(u64::try_from(page.len()).unwrap_or_default());
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
            _ => return Ok(letters),
        }
    }
}
