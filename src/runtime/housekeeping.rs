//! What goes on beside the flow: the logs are trimmed, depths and lags are measured.
//!
//! Guarantee (G8): nothing at or above the lowest position of a configured reader is trimmed, save
//! for a sink that may be detached and holds a nearly full log back (G6). Positions are those that
//! were acknowledged as durable, never what a store shows: it may show what it has not flushed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::health::end_of;
use super::parts::Files;
use super::{IngestView, SinkView};
use crate::dead_letter::{DeadLetters, INGEST};
use crate::engine::TaskEnd;
use crate::engine::gate::SinkStatus;
use crate::log::LogError;
use crate::sink::OnFull;
use crate::source::Acknowledged;
use crate::telemetry::Metrics;

const RHYTHM: Duration = Duration::from_secs(1);
/// The depth of dead letters is told every so many rounds.
const COUNT_EVERY: u32 = 5;

/// Looks after the files of one instance.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) files: Files,
    pub(super) sinks: Vec<SinkView>,
    pub(super) ingest: Vec<IngestView>,
    /// The inbox's position.
    pub(super) inbox: Acknowledged,
    pub(super) metrics: Arc<Metrics>,
    pub(super) letters: Arc<dyn DeadLetters>,
    /// The partitions whose lag was told, with their groups.
    pub(super) told: BTreeSet<(String, i32)>,
    /// Some sinks run elsewhere, and their positions are not known here.
    pub(super) others: bool,
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
        if let Err(error) = self.trim_log().await {
            tracing::warn!("the log could not be trimmed: {error}");
        }
        if let Err(error) = self.files.inbox.trim(&[self.inbox.get()]).await {
            tracing::warn!("the inbox could not be trimmed: {error}");
        }
    }

    async fn trim_log(&self) -> Result<(), LogError> {
        let log = &self.files.log;
        log.trim(&self.floors(|_| true)).await?;
        if self.sinks.iter().any(may_be_detached) {
            log.evict(&self.floors(|sink| !may_be_detached(sink)))
                .await?;
        }
        Ok(())
    }

    /// The lowest positions of these sinks, by partition.
    fn floors(&self, of: impl Fn(&SinkView) -> bool) -> Vec<u64> {
        let partitions = usize::from(self.files.log.identity().partitions);
        if self.others {
            return vec![0; partitions];
        }
        let mut floors = vec![u64::MAX; partitions];
        for sink in self.sinks.iter().filter(|sink| of(sink)) {
            let tasks = sink.tasks.statuses();
            for (partition, floor) in (0_u16..).zip(&mut floors) {
                // A task that is not here may be read from the start, once it is.
                let position = tasks.get(&partition).map_or(0, |status| status.position);
                *floor = (*floor).min(position);
            }
        }
        floors
    }

    fn measure(&mut self) {
        let before = std::mem::take(&mut self.told);
        for sink in &self.sinks {
            sink.gate.look();
            let tasks = sink.tasks.all();
            for (&partition, task) in &tasks {
                let end = self.files.log.range(partition).end;
                let lag = end.saturating_sub(task.borrow().position);
                self.metrics.lag(&sink.group, i64::from(partition), lag);
                self.told.insert((sink.group.clone(), i32::from(partition)));
            }
            let halted = |task| !matches!(end_of(task), None | Some(Ok(TaskEnd::Stopped)));
            let state = match sink.gate.status() {
                _ if tasks.values().any(halted) || sink.tasks.halted().is_some() => 3,
                SinkStatus::Running => 0,
                SinkStatus::Silent(_) | SinkStatus::Unreachable(_) => 1,
                SinkStatus::Throttled(_) => 2,
                SinkStatus::Halted(_) => 3,
                SinkStatus::Paused => 4,
            };
            self.metrics.sink_state(&sink.name, state);
            let gaps = tasks.values().filter(|task| task.borrow().gap.is_some());
            let gaps = u64::try_from(gaps.count()).unwrap_or(u64::MAX);
            self.metrics.sink_gaps(&sink.name, gaps);
        }
        self.measure_sources();
        // A partition that was given back lags for whoever has it now.
        for (group, partition) in before.difference(&self.told) {
            self.metrics.lag(group, i64::from(*partition), 0);
        }
    }

    fn measure_sources(&mut self) {
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
    }

    async fn count_letters(&self) {
        let depth = match self.letters.depth().await {
            Ok(depth) => depth,
            Err(error) => return tracing::warn!("dead letters could not be counted: {error}"),
        };
        let sinks = self.sinks.iter().map(|sink| sink.name.as_str());
        for sink in sinks.chain([INGEST]) {
            let open = depth.get(sink).copied().unwrap_or_default();
            self.metrics.dead_letter_depth(sink, open);
        }
    }
}

fn may_be_detached(sink: &SinkView) -> bool {
    sink.on_full == OnFull::Detach
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::dead_letter::StoredLetters;
    use crate::engine::TaskStatus;
    use crate::engine::gate::Gate;
    use crate::log::journal::{Journal, JournalSettings};
    use crate::log::{Log, MemoryLog, ReadLimit};
    use crate::runtime::Tasks;
    use crate::source::InboxSource;
    use crate::store::MemoryStore;

    const QUOTA: u64 = 128 << 10;
    const KIB: u64 = 1024;

    /// A sink that stands at these positions.
    fn sink(name: &str, on_full: OnFull, positions: [u64; 2]) -> SinkView {
        let at = |position| {
            let status = TaskStatus {
                position,
                ..TaskStatus::default()
            };
            watch::Sender::new(status).subscribe()
        };
        let tasks = Tasks::default();
        for (partition, position) in (0..).zip(positions) {
            tasks.insert(partition, at(position));
        }
        SinkView {
            name: name.to_owned(),
            group: format!("app.{name}"),
            gate: Arc::new(Gate::new(name)),
            tasks,
            on_full,
            dedupe: None,
            dated: false,
        }
    }

    /// A keeper over a log of two partitions with so many records of a KiB each, by turns.
    async fn keeper(dir: &std::path::Path, records: u64, sinks: Vec<SinkView>) -> Keeper {
        let log = Journal::open(JournalSettings {
            dir: dir.to_owned(),
            partitions: 2,
            quota: QUOTA,
            disk_reserve: 0,
            keep: Duration::ZERO,
            segment: 4 * KIB,
            gather: Duration::ZERO,
        });
        let log: Arc<dyn Log> = Arc::new(log.unwrap());
        for _ in 0..records {
            for partition in 0..2 {
                let record = vec![7; 1024].into();
                log.append(partition, vec![record]).await.unwrap();
            }
        }
        let files = Files {
            store: Arc::new(MemoryStore::default()),
            inbox: Arc::new(MemoryLog::new(1)),
            log,
        };
        let (inbox, store) = (Arc::clone(&files.inbox), Arc::clone(&files.store));
        let inbox = InboxSource::new(inbox, Arc::clone(&store), "app.inbox").unwrap();
        Keeper {
            files,
            sinks,
            ingest: Vec::new(),
            inbox: inbox.acknowledged(),
            metrics: Arc::new(Metrics::noop()),
            letters: Arc::new(StoredLetters::new(store)),
            told: BTreeSet::new(),
            others: false,
        }
    }

    #[tokio::test]
    async fn g6_only_what_holds_a_nearly_full_log_back_is_deleted_unread_and_no_more_than_needed() {
        let dir = tempfile::tempdir().unwrap();
        let up_to_date = sink("up to date", OnFull::Detach, [58, 58]);
        let behind = sink("behind", OnFull::Detach, [0, 0]);
        let keeper = keeper(dir.path(), 58, vec![behind, up_to_date]).await;
        let before = keeper.files.log.usage().0;
        assert!(before > QUOTA / 10 * 9, "{before}");
        keeper.trim().await;
        let (used, starts) = (
            keeper.files.log.usage().0,
            [0, 1].map(|of| keeper.files.log.range(of).start),
        );
        assert!(used <= QUOTA / 10 * 9 && used > QUOTA / 10 * 9 - 8 * KIB);
        assert!(
            starts.iter().all(|start| (1..20).contains(start)),
            "{starts:?}"
        );
        let limit = ReadLimit {
            records: 1,
            bytes: 1,
        };
        assert!(keeper.files.log.read(1, 57, limit).await.is_ok());
    }

    #[tokio::test]
    async fn g2_g6_what_a_sink_that_stalls_the_log_has_not_read_stays_whoever_else_holds_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let stalls = sink("stalls", OnFull::Stall, [0, 9]);
        let behind = sink("behind", OnFull::Detach, [0, 0]);
        let keeper = keeper(dir.path(), 58, vec![behind, stalls]).await;
        keeper.trim().await;
        let starts = [0, 1].map(|of| keeper.files.log.range(of).start);
        assert_eq!(starts[0], 0);
        assert!((1..=9).contains(&starts[1]), "{starts:?}");
    }

    #[tokio::test]
    async fn g2_nothing_is_deleted_that_a_sink_elsewhere_may_not_have_read() {
        let dir = tempfile::tempdir().unwrap();
        let done = sink("done", OnFull::Detach, [58, 58]);
        let mut keeper = keeper(dir.path(), 58, vec![done]).await;
        keeper.others = true;
        keeper.trim().await;
        let starts = [0, 1].map(|of| keeper.files.log.range(of).start);
        assert_eq!(starts, [0, 0]);
    }

    #[tokio::test]
    async fn g6_below_nine_tenths_nobody_is_gone_on_without() {
        let dir = tempfile::tempdir().unwrap();
        let behind = sink("behind", OnFull::Detach, [0, 0]);
        let keeper = keeper(dir.path(), 50, vec![behind]).await;
        keeper.trim().await;
        let starts = [0, 1].map(|of| keeper.files.log.range(of).start);
        assert_eq!(starts, [0, 0]);
    }
}
