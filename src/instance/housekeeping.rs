//! What goes on beside the flow: the log is trimmed, depths and lags are measured.
//!
//! Guarantee (G8): nothing at or above the lowest position of a configured reader is trimmed.

use std::sync::Arc;
use std::time::Duration;

use super::health::end_of;
use super::parts::Files;
use super::{IngestView, SinkView};
use crate::config::OnFull;
use crate::ledger::{Store, StoreError, keys};
use crate::source::{InboxSource, inbox_position};
use crate::task::gate::SinkStatus;
use crate::task::{TaskEnd, store_blocking};
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
}

impl Keeper {
    pub(super) async fn run(self) {
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
        let position = self.inbox_position().await;
        if let Err(error) = self.files.inbox.trim(&[position]).await {
            tracing::warn!("the inbox could not be trimmed: {error}");
        }
    }

    /// Whether the log is so full that a sink that may be detached no longer holds it back.
    fn goes_on_without(&self, sink: &SinkView) -> bool {
        let (used, quota) = self.files.log.usage();
        sink.on_full == OnFull::Detach && used >= quota / 10 * 9
    }

    /// The inbox's durable position.
    async fn inbox_position(&self) -> u64 {
        let Some(view) = self
            .ingest
            .iter()
            .find(|view| view.name == InboxSource::NAME)
        else {
            return 0;
        };
        let group = view.group.clone();
        let position = move |store: &dyn Store| inbox_position(store, &group);
        let position = store_blocking(&self.files.store, position).await;
        position.ok().flatten().unwrap_or_default()
    }

    fn measure(&self) {
        for sink in &self.sinks {
            for (partition, task) in (0_u16..).zip(&sink.tasks) {
                let end = self.files.log.range(partition).end;
                let lag = end.saturating_sub(task.borrow().position);
                self.metrics.lag(&sink.group, i64::from(partition), lag);
            }
            let halted = |task| !matches!(end_of(task), None | Some(Ok(TaskEnd::Stopped)));
            let state = match sink.gate.status() {
                _ if sink.tasks.iter().any(halted) => 3,
                SinkStatus::Running => 0,
                SinkStatus::BreakerOpen => 1,
                SinkStatus::Paused => 2,
                SinkStatus::Halted(_) => 3,
            };
            self.metrics.sink_state(&sink.name, state);
        }
        for view in &self.ingest {
            for (partition, lag) in &view.status.borrow().lag {
                self.metrics.lag(&view.group, i64::from(*partition), *lag);
            }
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
