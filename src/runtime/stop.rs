//! The end of an instance, in the order of the flow.
//!
//! Guarantee (G1): what is not finished in time is read again at the next start. The end comes
//! within the drain timeout, whatever hangs: each stage has its time, counted from the beginning.

use std::time::Duration;

use futures::future::{join, join_all};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Instance, SinkView};

/// How often a stop looks whether the sinks have what is in the log.
const LOOK: Duration = Duration::from_millis(20);

/// By when a stage is over, in parts of the drain timeout.
const PARTS: u32 = 16;
const INBOX: u32 = 10;
const INTAKE: u32 = 12;
const LOG: u32 = 14;

/// What a task has for what is in flight once it is told to stop. As much is left for its last
/// commit before it is aborted.
pub(super) fn last_part(drain: Duration) -> Duration {
    drain / PARTS
}

impl Instance {
    /// Stops: webhooks first, then the sources with the inbox drained, then the sinks, of which
    /// those that run get what is in the log.
    pub async fn stop(mut self) {
        let (begun, part) = (Instant::now(), last_part(self.drain));
        let by = |parts: u32| begun + part * parts;
        if let Some(listener) = self.listener.take() {
            listener.shutdown(part * INBOX).await;
        }
        self.drain_inbox(by(INBOX)).await;
        self.stop_ingest.cancel();
        ended(&mut self.intake, by(INTAKE), "a source").await;
        self.drain_log(by(LOG)).await;
        self.stop_sinks.cancel();
        // Others are answered for as long as there is somebody to write what they read.
        let served = std::mem::take(&mut self.served).into_iter();
        let served = join_all(served.map(|serving| serving.shutdown(part)));
        let delivered = ended(&mut self.delivery, by(PARTS), "a sink's task");
        join(delivered, served).await;
        self.around.abort_all();
        ended(&mut self.around, by(PARTS), "housekeeping").await;
        // A log ends what it has accepted, for which it may wait without end.
        let files = self.files;
        let closed = tokio::task::spawn_blocking(move || drop(files));
        if timeout_at(by(PARTS), closed).await.is_err() {
            tracing::warn!("the disk does not answer; its files are left as they are");
        }
    }

    /// The inbox is this instance's own: no one else will read it.
    async fn drain_inbox(&self, deadline: Instant) {
        let drained = async {
            while !self.has_drained_inbox() {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout_at(deadline, drained).await.is_err() {
            tracing::warn!("the inbox is not drained; it goes on at the next start");
        }
    }

    /// Whether the inbox is through. Its reader's status is not asked: it may be of before the last
    /// request.
    pub(super) fn has_drained_inbox(&self) -> bool {
        let end = self.files.inbox.range(0).end;
        self.inbox.as_ref().is_none_or(|inbox| inbox.get() >= end)
    }

    /// Whether everything received so far has its outcome at every sink, and is committed.
    pub fn is_caught_up(&self) -> bool {
        let taken = self.ingest.iter().all(|view| {
            let status = view.status.borrow();
            status.beats > 0 && status.in_flight == 0 && status.lag.iter().all(|(_, lag)| *lag == 0)
        });
        taken
            && self.has_drained_inbox()
            && self.sinks.iter().all(|sink| {
                !sink.tasks.is_opening()
                    && sink.tasks.statuses().iter().all(|(partition, status)| {
                        status.in_flight == 0
                            && status.reassertions == 0
                            && status.position == self.files.log.range(*partition).end
                    })
            })
    }

    /// What was answered 200 is in the sinks when the process ends, as far as they take it.
    async fn drain_log(&self, deadline: Instant) {
        let drained = async {
            while !self.sinks.iter().all(|sink| self.has_taken_all(sink)) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout_at(deadline, drained).await.is_err() {
            tracing::warn!("a sink is behind; it goes on at the next start");
        }
    }

    /// Whether nothing is to be expected of `sink` any more: it has what there is, or takes nothing.
    fn has_taken_all(&self, sink: &SinkView) -> bool {
        !sink.gate.status().moves()
            || sink.tasks.all().iter().all(|(partition, task)| {
                let ended = task.has_changed().is_err();
                let status = task.borrow().clone();
                let end = self.files.log.range(*partition).end;
                ended || (status.reached == end && status.in_flight == 0)
            })
    }
}

/// Waits until all of `tasks` have ended, and aborts those that have not by `deadline`.
async fn ended(tasks: &mut JoinSet<()>, deadline: Instant, what: &str) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout_at(deadline, all).await.is_err() {
        tracing::warn!("{what} did not end in time; what it was at is read again");
        tasks.abort_all();
    }
}
