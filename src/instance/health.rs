//! The health of one instance.
//!
//! Guarantee: alive is not healthy. What waits for an outside system is live, however long; what
//! has stopped by itself is not. A sink's state makes nothing unready.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{IngestView, SinkView};
use crate::admin::{Health, HealthReport, Pulse, Watch};
use crate::log::{Log, Share};
use crate::task::TaskStatus;
use crate::task::gate::SinkStatus;
use crate::time::{Millis, SharedClock};
use crate::webhook::Signs;

/// A part that gives no sign for so long is stuck; loops tick every commit interval.
const PATIENCE: Duration = Duration::from_mins(1);

/// Looks at the tasks of an instance from outside.
#[derive(Debug)]
pub(super) struct InstanceHealth {
    pub(super) sinks: Vec<SinkView>,
    pub(super) ingest: Vec<IngestView>,
    pub(super) inbox: Arc<dyn Log>,
    pub(super) listener: Option<Signs>,
    pub(super) log: Arc<dyn Log>,
    pub(super) clock: SharedClock,
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
        partition: u16,
        now: Millis,
    ) -> (bool, String) {
        let Some(task) = sink.tasks.get(usize::from(partition)) else {
            return (true, "absent".to_owned());
        };
        let ended = task.has_changed().is_err();
        let status = *task.borrow();
        let pulse = Pulse {
            progress: self.progress(partition, status),
            excused: ended,
        };
        let name = format!("{}/{partition}", sink.name);
        if let Some(still) = watch.stuck(&name, pulse, now) {
            return (false, format!("no progress for {} s", still.as_secs()));
        }
        let mut state = match sink.gate.status() {
            _ if ended => "halted; the reason is in the log".to_owned(),
            SinkStatus::Running => "running".to_owned(),
            SinkStatus::BreakerOpen => "breaker open".to_owned(),
            SinkStatus::Paused => "paused by its quota".to_owned(),
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
    fn progress(&self, partition: u16, status: TaskStatus) -> u64 {
        let behind = status.position < self.log.range(partition).end;
        if behind && status.in_flight == 0 {
            status.turns.wrapping_add(status.position)
        } else {
            status.beats
        }
    }
}

impl Health for InstanceHealth {
    fn livez(&self) -> HealthReport {
        let now = self.clock.now();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut report = HealthReport::default();
        for sink in &self.sinks {
            for partition in 0..self.log.identity().partitions {
                let (ok, state) = self.sink_task(&mut watch, sink, partition, now);
                report.add(format!("sink {}/{partition}", sink.name), ok, state);
            }
        }
        for view in &self.ingest {
            let status = view.status.borrow().clone();
            let excused = status.halted.is_some() || view.status.has_changed().is_err();
            let pulse = Pulse {
                progress: status.beats,
                excused,
            };
            let stuck = watch.stuck(&format!("source {}", view.name), pulse, now);
            let state = match (stuck, status.halted) {
                (Some(still), _) => format!("no progress for {} s", still.as_secs()),
                (None, Some(why)) => format!("halted: {why}"),
                (None, None) => "running".to_owned(),
            };
            report.add(format!("source {}", view.name), stuck.is_none(), state);
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
