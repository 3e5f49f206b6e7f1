//! Tells each sink up to which time it has everything.
//!
//! Guarantee: a sink is told a time only after every source of this instance was reached, at that time
//! and when it had been read up to where it ended then, and after the sink had passed where the log
//! ended when that was so. Under steady load, too, that comes about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::health::end_of;
use super::parts::Files;
use super::{IngestView, SinkView};
use crate::ingest::IngestStatus;
use crate::sink::Sink;
use crate::time::{Millis, SharedClock};

const RHYTHM: Duration = Duration::from_secs(1);

/// Looks after what the sinks of one instance are told.
#[derive(Debug)]
pub(super) struct CaughtUp {
    pub(super) files: Files,
    pub(super) sinks: Vec<(SinkView, Arc<dyn Sink>)>,
    pub(super) ingest: Vec<IngestView>,
    pub(super) clock: SharedClock,
}

/// Ends of the partitions of each source, as they were at a time.
type SourceEnds = Vec<BTreeMap<i32, u64>>;

/// How far a sink is on the way to having everything of a time.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    /// The sources are to be read up to here.
    Sources(Millis, SourceEnds),
    /// They were; now the sink is to pass these ends of the log's partitions.
    Log(Millis, Vec<u64>),
}

impl CaughtUp {
    /// Tells the sinks, every second.
    pub(super) async fn run(self) {
        let mut marks: Vec<Option<Mark>> = vec![None; self.sinks.len()];
        let mut rhythm = tokio::time::interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rhythm.tick().await;
            let now = self.clock.now();
            let sources = self.sources();
            for ((view, sink), mark) in self.sinks.iter().zip(&mut marks) {
                let (next, told) = self.step(view, mark.take(), sources.as_deref(), now);
                *mark = next;
                if let Some(time) = told {
                    sink.caught_up(time);
                }
            }
        }
    }

    /// What the sources tell, if all of them can be read.
    fn sources(&self) -> Option<Vec<IngestStatus>> {
        let told = self.ingest.iter().map(|view| {
            let ended = view.status.has_changed().is_err();
            let status = view.status.borrow().clone();
            let unknown = status.reached.is_empty() || status.beats == 0;
            let away = ended || status.unreachable || status.halted.is_some();
            (!away && !unknown).then_some(status)
        });
        told.collect()
    }

    /// Where a mark is next, and the time that the sink is told.
    fn step(
        &self,
        view: &SinkView,
        mark: Option<Mark>,
        sources: Option<&[IngestStatus]>,
        now: Millis,
    ) -> (Option<Mark>, Option<Millis>) {
        let mark = match (mark, sources) {
            (Some(Mark::Sources(time, ends)), Some(told)) if are_read(&ends, told) => {
                let log = &self.files.log;
                let partitions = 0..log.identity().partitions;
                Some(Mark::Log(
                    time,
                    partitions.map(|of| log.range(of).end).collect(),
                ))
            }
            // What was seen of a source that cannot be read now is no measure any more.
            (Some(Mark::Sources(..)), None) => None,
            (other, _) => other,
        };
        let told = match &mark {
            Some(Mark::Log(time, ends)) if has_passed(view, ends) => Some(*time),
            _ => None,
        };
        let mark = mark.filter(|_| told.is_none());
        let begun = || {
            let ends = sources?.iter().map(ends_of).collect();
            Some(Mark::Sources(now, ends))
        };
        (mark.or_else(begun), told)
    }
}

fn ends_of(status: &IngestStatus) -> BTreeMap<i32, u64> {
    let reached = status.reached.iter();
    reached.map(|of| (of.partition, of.end)).collect()
}

/// Whether every source has been read up to these ends. A partition that was given back is another
/// instance's.
fn are_read(ends: &SourceEnds, told: &[IngestStatus]) -> bool {
    let of_source = |(ends, status): (&BTreeMap<i32, u64>, &IngestStatus)| {
        let mut reached = status.reached.iter();
        reached.all(|of| {
            ends.get(&of.partition)
                .is_none_or(|end| of.position >= *end)
        })
    };
    ends.len() == told.len() && ends.iter().zip(told).all(of_source)
}

/// Whether the sink has a task for each of the log's partitions, and each has passed its end.
fn has_passed(view: &SinkView, ends: &[u64]) -> bool {
    let tasks = view.tasks.all();
    let mut ends = (0_u16..).zip(ends);
    ends.all(|(partition, end)| {
        tasks.get(&partition).is_some_and(|task| {
            let has_ended = end_of(task).is_some();
            let status = task.borrow();
            !has_ended && status.gap.is_none() && status.position >= *end
        })
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::sync::watch;

    use super::*;
    use crate::engine::TaskStatus;
    use crate::engine::gate::Gate;
    use crate::log::{Log, MemoryLog};
    use crate::runtime::Tasks;
    use crate::sink::OnFull;
    use crate::source::Reached;
    use crate::store::MemoryStore;
    use crate::time::TokioClock;

    /// A source of one partition, read up to `position` of `end`.
    fn source(position: u64, end: u64) -> IngestStatus {
        let partition = 3;
        IngestStatus {
            beats: 1,
            reached: vec![Reached {
                partition,
                position,
                end,
            }],
            ..IngestStatus::default()
        }
    }

    struct Rig {
        caught_up: CaughtUp,
        view: SinkView,
        told: Vec<watch::Sender<IngestStatus>>,
        task: watch::Sender<TaskStatus>,
    }

    impl Rig {
        /// A log with five records in its one partition, and a sink that has none of them.
        async fn new(status: IngestStatus) -> Self {
            let log: Arc<dyn Log> = Arc::new(MemoryLog::new(1));
            let records = vec![Bytes::from_static(b"x"); 5];
            log.append(0, records).await.unwrap();
            let files = Files {
                store: Arc::new(MemoryStore::default()),
                inbox: Arc::new(MemoryLog::new(1)),
                log,
            };
            let (told, status) = watch::channel(status);
            let (task, of_task) = watch::channel(TaskStatus::default());
            let tasks = Tasks::default();
            tasks.insert(0, of_task);
            let ingest = IngestView {
                name: "topic".to_owned(),
                group: "ingest".to_owned(),
                status,
            };
            let caught_up = CaughtUp {
                files,
                sinks: Vec::new(),
                ingest: vec![ingest],
                clock: Arc::new(TokioClock::starting_at(0)),
            };
            let view = SinkView {
                name: "reads".to_owned(),
                group: "app.reads".to_owned(),
                gate: Arc::new(Gate::new("reads")),
                tasks,
                on_full: OnFull::Stall,
                dedupe: None,
                dated: false,
            };
            Self {
                caught_up,
                view,
                told: vec![told],
                task,
            }
        }

        fn step(&self, mark: &mut Option<Mark>, now: Millis) -> Option<Millis> {
            let sources = self.caught_up.sources();
            let (next, told) =
                self.caught_up
                    .step(&self.view, mark.take(), sources.as_deref(), now);
            *mark = next;
            told
        }

        fn reads(&self, position: u64, end: u64) {
            for told in &self.told {
                told.send_replace(source(position, end));
            }
        }

        fn delivers(&self, position: u64) {
            self.task.send_modify(|task| task.position = position);
        }
    }

    #[tokio::test]
    async fn a_sink_is_told_a_time_once_it_has_what_was_at_the_sources_then() {
        let rig = Rig::new(source(7, 9)).await;
        let mark = &mut None;
        assert_eq!(rig.step(mark, 1), None);
        // More comes in all the time: what counts is what was there at 1.
        rig.reads(8, 20);
        rig.delivers(5);
        assert_eq!(rig.step(mark, 2), None);
        rig.reads(9, 30);
        rig.delivers(4);
        assert_eq!(rig.step(mark, 3), None);
        rig.delivers(5);
        assert_eq!(rig.step(mark, 4), Some(1));
        assert!(matches!(mark, Some(Mark::Sources(4, _))));
    }

    #[tokio::test]
    async fn a_sink_is_told_nothing_while_a_source_cannot_be_read_or_says_nothing() {
        let rig = Rig::new(IngestStatus::default()).await;
        let mark = &mut None;
        rig.delivers(5);
        for now in 1..4 {
            assert_eq!((rig.step(mark, now), mark.is_none()), (None, true));
        }
        rig.reads(9, 9);
        assert_eq!(rig.step(mark, 4), None);
        rig.told[0].send_modify(|told| told.unreachable = true);
        assert_eq!((rig.step(mark, 5), mark.is_none()), (None, true));
        rig.reads(9, 9);
        assert_eq!(rig.step(mark, 6), None);
        assert_eq!(rig.step(mark, 7), Some(6));
    }

    #[tokio::test]
    async fn a_sink_that_has_not_all_partitions_or_missed_records_is_told_nothing() {
        let rig = Rig::new(source(9, 9)).await;
        rig.delivers(5);
        rig.task.send_modify(|task| task.gap = Some(3));
        let mark = &mut None;
        for now in 1..4 {
            assert_eq!(rig.step(mark, now), None);
        }
        rig.task.send_modify(|task| task.gap = None);
        rig.view.tasks.remove(0);
        assert_eq!(rig.step(mark, 4), None);
    }
}
