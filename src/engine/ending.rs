//! How a task ends that was told to.
//!
//! Guarantee (G3): the last commit is as any other. A piece that does not land in time is left to
//! whoever has the partition next, with what was prepared of it.

use tokio::time::{Instant, timeout_at};

use super::task::{SinkTask, TaskError};
use crate::event::Subject;

impl SinkTask {
    /// The last commit. What is still in flight will be read again; what of it was sent and may
    /// still land is asserted once more. `cut_off`: another commit did not end before
    /// `deadline`.
    pub(super) async fn end(
        &mut self,
        cut_off: bool,
        deadline: Option<Instant>,
    ) -> Result<(), TaskError> {
        if self.in_flight.works() > 0 {
            tracing::warn!(task = ?self, "stopped with records in flight; they will be read again");
        }
        if let Some(wait) = self.profile.capabilities.reassert_after {
            let busy = self.lanes.by_subject.iter().filter(|(_, lane)| lane.busy);
            let busy: Vec<Subject> = busy.map(|(subject, _)| subject.clone()).collect();
            for subject in busy {
                self.await_reassertion(&subject, Instant::now() + wait);
            }
        }
        let gathers = self.context.deliverer.pieces.is_some();
        let committed = if gathers && (cut_off || self.outbox.under_way > 0) {
            None
        } else {
            let clean = !self.has_suspects();
            let commit = self.commit(clean);
            match deadline.filter(|_| gathers) {
                Some(deadline) => timeout_at(deadline, commit).await.ok(),
                None => Some(commit.await),
            }
        };
        let Some((position, reached, result)) = committed else {
            tracing::warn!(task = ?self, "stopped before the sink's piece had landed; whether it \
                                           did is found out at the next start");
            return Ok(());
        };
        self.on_committed(position, reached, result.clone())?;
        self.publish();
        Ok(result?)
    }
}
