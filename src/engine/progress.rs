//! When a task commits, and what it says of where it stands.
//!
//! Guarantee (G3): what becomes durable is what the sink acknowledged, with the position that it
//! belongs to. A commit that failed is carried by the next tick, not sooner.

use tracing::Instrument as _;

use super::checkpoint::CommitError;
use super::commits::Committing;
use super::input::WINDOW;
use super::status::TaskStatus;
use super::task::{SinkTask, TaskError};
use crate::store::Cursor;
use crate::telemetry::spans;

impl SinkTask {
    pub(super) fn cursor(&self, clean: bool) -> Cursor {
        let position = self.in_flight.committable();
        let resume = &self.input.resume;
        // What is stopped in order was not stopped by a record.
        let moved = position > resume.position || self.stopping;
        let reached = self.in_flight.reached().saturating_add(WINDOW);
        Cursor {
            position,
            clean,
            reached: reached.max(resume.suspect_below),
            restarts: if moved { 0 } else { resume.restarts },
            // Without a guard what may still land is asserted again, see `end`.
            cut_off: self.stopping
                && self.in_flight.works() > 0
                && self.profile.capabilities.reassert_after.is_none(),
        }
    }

    pub(super) fn has_progress(&self) -> bool {
        self.commits.len() > 0
            || self.in_flight.committable() > self.commits.position
            || self.is_at_its_reach()
    }

    /// Whether reading will soon stop at the durable `reached`.
    pub(super) fn is_at_its_reach(&self) -> bool {
        self.commits
            .reached
            .saturating_sub(self.in_flight.reached())
            < WINDOW / 2
    }

    pub(super) fn commit(&mut self, clean: bool) -> Committing {
        let cursor = self.cursor(clean);
        let witness = self.input.witness(cursor.position);
        self.commits.witness = witness.or(self.commits.witness);
        let (sink, partition) = (self.context.deliverer.sink.name(), self.input.partition);
        let span = spans::commit(sink, partition, self.commits.len(), cursor.position);
        Box::pin(self.commits.begin(cursor).instrument(span))
    }

    /// A commit ended. A task that was fenced ends too, and drops what is in flight.
    pub(super) fn on_committed(
        &mut self,
        position: u64,
        reached: u64,
        result: Result<(), CommitError>,
    ) -> Result<(), TaskError> {
        self.commits.ended(position, reached, &result);
        match result {
            Ok(()) => {
                if std::mem::take(&mut self.commits.failing) {
                    tracing::info!(task = ?self, "commits succeed again");
                }
            }
            // The next tick carries it again; nothing was taken as stored.
            Err(CommitError::Retry(error)) => {
                if !std::mem::replace(&mut self.commits.failing, true) {
                    tracing::error!(task = ?self, "the commit failed: {error}; will be tried again");
                }
            }
            Err(fenced @ CommitError::Fenced(_)) => return Err(fenced.into()),
        }
        let held = self.commits.take_held();
        if !held.is_empty() {
            self.refuse(held);
        }
        Ok(())
    }

    pub(super) fn publish(&mut self) {
        for (outcome, records) in self.in_flight.outcomes() {
            self.profile.metrics.outcome(outcome.name(), records);
        }
        self.status.send_modify(|status| {
            *status = TaskStatus {
                gap: self.input.gap,
                position: self.commits.position,
                reached: self.in_flight.reached(),
                in_flight: self.in_flight.records(),
                reassertions: self.lanes.schedule.len(),
                writes: self.in_flight.done(),
                beats: status.beats.wrapping_add(1),
                end: None,
            };
        });
    }
}
