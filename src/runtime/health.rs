//! The health of one instance.
//!
//! Guarantee: alive is not healthy. What waits for an outside system is live, however long; what
//! has stopped by itself is not, unless it said that a restart would not help. A sink's state makes
//! nothing unready.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch::Receiver;

use super::{IngestView, SinkView};
use crate::admin::{Health, HealthReport, Pulse, Watch};
use crate::engine::gate::SinkStatus;
use crate::engine::{TaskEnd, TaskStatus};
use crate::log::{Log, LogAppender, Share};
use crate::time::{Clock as _, Millis, TokioClock};
use crate::webhook::Signs;

/// A part that gives no sign for so long is stuck; loops tick every commit interval.
const PATIENCE: Duration = Duration::from_mins(1);
/// A part that is not there any more and did not say why.
const PANICKED: &str = "ended by itself, in a panic; restart goldwire";

/// Looks at the tasks of an instance from outside.
#[derive(Debug)]
pub(super) struct InstanceHealth {
    pub(super) sinks: Vec<SinkView>,
    pub(super) ingest: Vec<IngestView>,
    pub(super) inbox: Arc<dyn LogAppender>,
    pub(super) listener: Option<Signs>,
    pub(super) log: Arc<dyn Log>,
    /// None that can be set: a jump would make every part look stuck.
    pub(super) clock: TokioClock,
    pub(super) watch: Mutex<Watch>,
}

impl InstanceHealth {
    pub(super) fn watch() -> Mutex<Watch> {
        Mutex::new(Watch::new(PATIENCE))
    }

    fn sink_task(
        &self,
        watch: &mut Watch,
        sink: &SinkView,
        (partition, task): (u16, &Receiver<TaskStatus>),
        now: Millis,
    ) -> (bool, String) {
        let status = task.borrow().clone();
        match end_of(task) {
            Some(Ok(TaskEnd::Stopped)) => return (true, "stopped".to_owned()),
            Some(Ok(TaskEnd::Halted(why))) => return (true, format!("halted: {why}")),
            Some(Err(())) => return (false, PANICKED.to_owned()),
            None => {}
        }
        let pulse = Pulse {
            progress: self.progress(partition, &status),
            excused: false,
        };
        let name = format!("{}/{partition}", sink.name);
        if let Some(still) = watch.stuck(&name, pulse, now) {
            return (false, format!("no progress for {} s", still.as_secs()));
        }
        let mut state = match sink.gate.status() {
            SinkStatus::Running => "running".to_owned(),
            SinkStatus::Silent(why) => format!("does not answer: {why}"),
            SinkStatus::Unreachable(why) => format!("cannot be reached: {why}"),
            SinkStatus::Throttled(why) if why.is_empty() => "paused by its target".to_owned(),
            SinkStatus::Throttled(why) => format!("paused by its target: {why}"),
            SinkStatus::Paused => "paused by a person".to_owned(),
            SinkStatus::Halted(why) => format!("halted: {why}"),
        };
        if let Some(gap) = status.gap {
            let gap = format!("; records before {gap} left the log unread: needs a resync");
            state.push_str(&gap);
        }
        (true, state)
    }

    /// Something that grows while the task is as it should be. What is in flight may wait for
    /// others; a task with nothing in flight and something to read has to move.
    fn progress(&self, partition: u16, status: &TaskStatus) -> u64 {
        let behind = status.position < self.log.range(partition).end;
        if behind && status.in_flight == 0 {
            status.writes.wrapping_add(status.position)
        } else {
            status.beats
        }
    }
}

/// How a task ended, if it did; an error if it did not say.
pub(super) fn end_of(task: &Receiver<TaskStatus>) -> Option<Result<TaskEnd, ()>> {
    // In this order: what is said is said before the task is gone.
    let gone = task.has_changed().is_err();
    let end = task.borrow().end.clone();
    end.map(Ok).or(gone.then_some(Err(())))
}

impl Health for InstanceHealth {
    fn livez(&self) -> HealthReport {
        let now = self.clock.now();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = HealthReport::default();
        for sink in &self.sinks {
            if let Some(why) = sink.tasks.halted() {
                report.add(
                    format!("sink {}", sink.name),
                    true,
                    format!("halted: {why}"),
                );
            }
            for (partition, task) in sink.tasks.all() {
                let (ok, state) = self.sink_task(&mut watch, sink, (partition, &task), now);
                report.add(format!("sink {}/{partition}", sink.name), ok, state);
            }
        }
        for view in &self.ingest {
            let status = view.status.borrow().clone();
            let name = format!("source {}", view.name);
            let ended = view.status.has_changed().is_err();
            let pulse = Pulse {
                progress: status.beats,
                excused: ended || status.halted.is_some(),
            };
            let stuck = watch.stuck(&name, pulse, now);
            let (ok, state) = match (stuck, status.halted) {
                _ if ended && !status.stopped => (false, PANICKED.to_owned()),
                _ if ended => (true, "stopped".to_owned()),
                (Some(still), _) => (false, format!("no progress for {} s", still.as_secs())),
                (None, Some(why)) => (true, format!("halted: {why}")),
                (None, None) => (true, "running".to_owned()),
            };
            report.add(name, ok, state);
        }
        let open = [("log", self.log.is_open()), ("inbox", self.inbox.is_open())];
        for (name, is_open) in open {
            if !is_open {
                let state = "its writer ended, in a panic; restart goldwire";
                report.add(name, false, state);
            }
        }
        report
    }

    fn readyz(&self) -> HealthReport {
        let mut report = HealthReport::default();
        match self.inbox.admits(Share::Intake) {
            Ok(()) => report.add("inbox", true, "accepts"),
            Err(error) => report.add("inbox", false, format!("answered 503: {error}")),
        }
        if let Some(listener) = &self.listener {
            let trouble = listener.trouble();
            let state = trouble.clone().unwrap_or_else(|| "listens".to_owned());
            report.add("webhook", trouble.is_none(), state);
        }
        report
    }
}
