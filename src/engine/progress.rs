//! When a task commits, and what it says of where it stands.
//!
//! Guarantee (G3): what becomes durable is what the sink acknowledged, with the position that it
//! belongs to. A commit that failed is carried by the next tick, not sooner. Where the sink gathers
//! rows in a piece, what it acknowledged waits until the piece is sealed.

use tracing::Instrument as _;

use super::checkpoint::CommitError;
use super::commits::Committing;
use super::input::WINDOW;
use super::status::TaskStatus;
use super::task::{SinkTask, TaskError};
use crate::sink::pieces::{Gathered, Pieces};
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
        let moved = self.commits.len() > 0
            || self.in_flight.committable() > self.commits.position
            || self.piece_is_due();
        moved && !self.piece_waits() || self.is_at_its_reach()
    }

    /// Whether there is so much to commit that it does not wait for the next tick.
    pub(super) fn has_much(&self) -> bool {
        let much = self.commits.len() >= self.settings.commit_records || self.piece_is_due();
        much && !self.piece_waits() || self.is_at_its_reach()
    }

    /// What may wait to be committed at most: G8.
    pub(super) fn most_uncommitted(&self) -> usize {
        let most = self.settings.commit_records.saturating_mul(20);
        // A row leaves a register and an id.
        let rows = self.pieces().map_or(0, |pieces| pieces.limits().rows);
        most.max(rows.saturating_mul(3))
    }

    fn pieces(&self) -> Option<&dyn Pieces> {
        self.context.deliverer.pieces.as_deref()
    }

    /// What the sink's piece holds; nothing at a sink that takes rows otherwise.
    fn gathered(&self) -> Gathered {
        self.pieces().map(Pieces::gathered).unwrap_or_default()
    }

    /// Whether the sink's piece is to be sealed: until then it takes no more rows.
    pub(super) fn piece_is_due(&self) -> bool {
        let due = |it: &dyn Pieces| it.gathered().is_due(&it.limits());
        let much = self.commits.len() >= self.most_uncommitted() && !self.gathered().is_empty();
        much || self.pieces().is_some_and(due)
    }

    /// Whether the sink's piece holds rows and is not to be sealed yet. It never is while a batch is
    /// under way, whose rows would be in it and their registers in no commit.
    fn piece_waits(&self) -> bool {
        let may_seal = self.piece_is_due() && self.outbox.under_way == 0;
        !self.gathered().is_empty() && !may_seal
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
        let is_last = self.stopping && self.outbox.under_way == 0;
        if self.piece_waits() && !is_last {
            return self.commits.reach(cursor);
        }
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
