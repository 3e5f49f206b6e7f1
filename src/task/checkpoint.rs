//! When a task commits, and what it says of where it stands.
//!
//! Guarantee (G3): what becomes durable is what the sink acknowledged, with the position that it
//! belongs to. A commit that failed is carried by the next tick, not sooner.

use std::sync::Arc;

use super::progress::WINDOW;
use super::sink_task::{Committing, SinkTask, TaskStatus};
use crate::ledger::{Cursor, StoreError};

/// How a task ended. One that ended without saying so panicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskEnd {
    /// It was told to.
    Stopped,
    /// It cannot go on until a person acts: one sentence.
    Halted(String),
}

impl SinkTask {
    pub(super) fn cursor(&self, clean: bool) -> Cursor {
        let position = self.tracker.committable();
        // What is stopped in order was not stopped by a record.
        let moved = position > self.beginning.position || (self.stopping && self.turning == 0);
        let reached = self.tracker.reached().saturating_add(WINDOW);
        Cursor {
            position,
            clean,
            reached: reached.max(self.beginning.suspect_below),
            restarts: if moved { 0 } else { self.beginning.restarts },
        }
    }

    pub(super) fn has_progress(&self) -> bool {
        self.overlay.len() > 0
            || self.tracker.committable() > self.committed
            || self.is_at_its_reach()
    }

    /// Whether reading will soon stop at the durable `reached`.
    pub(super) fn is_at_its_reach(&self) -> bool {
        self.reached.saturating_sub(self.tracker.reached()) < WINDOW / 2
    }

    pub(super) fn commit(&mut self, clean: bool) -> Committing {
        let cursor = self.cursor(clean);
        let batch = self.overlay.begin(cursor);
        let committer = Arc::clone(&self.committer);
        Box::pin(async move {
            let result = committer.commit(batch).await;
            (cursor.position, cursor.reached, result)
        })
    }

    pub(super) fn on_committed(
        &mut self,
        position: u64,
        reached: u64,
        result: Result<(), StoreError>,
    ) {
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(task = ?self, "commits succeed again");
                }
                self.overlay.committed();
                self.committed = position;
                self.reached = reached;
            }
            // The next tick carries it again; nothing was taken as stored.
            Err(error) => {
                self.overlay.failed();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(task = ?self, "the commit failed: {error}; will be tried again");
                }
            }
        }
        self.write_refused();
    }

    pub(super) fn publish(&self) {
        self.status.send_modify(|status| {
            *status = TaskStatus {
                gap: self.gap,
                position: self.committed,
                reached: self.tracker.reached(),
                in_flight: self.tracker.in_flight(),
                moving: self.moving(),
                unsettled: self.unsettled.len(),
                turns: self.turns,
                beats: status.beats.wrapping_add(1),
                end: None,
            };
        });
    }
}
