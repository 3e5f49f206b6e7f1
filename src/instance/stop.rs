//! The end of an instance, in the order of the flow.
//!
//! Guarantee (G1): what is not finished in time is read again at the next start.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Instance, SinkView};
use crate::source::{InboxSource, inbox_position};
use crate::task::gate::SinkStatus;

/// How often a stop looks whether the sinks have what is in the log.
const LOOK: Duration = Duration::from_millis(20);

impl Instance {
    /// Stops: webhooks first, then the sources with the inbox drained, then the sinks, of which
    /// those that run get what is in the log.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + self.drain;
        if let Some(listener) = self.listener.take() {
            listener.shutdown(self.drain).await;
        }
        self.drain_inbox(deadline).await;
        self.stop_ingest.cancel();
        while self.intake.join_next().await.is_some() {}
        self.drain_log(deadline).await;
        self.stop_sinks.cancel();
        while self.delivery.join_next().await.is_some() {}
        self.around.shutdown().await;
    }

    /// The inbox is this instance's own: nobody else will read it. Its reader's status is not
    /// asked: it may be of before the last request.
    async fn drain_inbox(&self, deadline: Instant) {
        let Some(inbox) = self
            .ingest
            .iter()
            .find(|view| view.name == InboxSource::NAME)
        else {
            return;
        };
        let range = self.files.inbox.range(0);
        let position = || inbox_position(self.files.store.as_ref(), &inbox.group);
        let empty = async {
            while !position().is_ok_and(|position| position.unwrap_or(range.start) >= range.end) {
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout_at(deadline, empty).await.is_err() {
            tracing::warn!("the inbox is not drained; it goes on at the next start");
        }
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
        sink.gate.status() != SinkStatus::Running
            || (0_u16..).zip(&sink.tasks).all(|(partition, task)| {
                let ended = task.has_changed().is_err();
                let status = task.borrow().clone();
                let end = self.files.log.range(partition).end;
                ended || (status.reached == end && status.moving == 0)
            })
    }
}
