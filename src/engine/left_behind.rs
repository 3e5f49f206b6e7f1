//! What a task leaves behind whose partition was taken away before it was drained.
//!
//! Guarantee (G4): a target without a guard may get a write of this task after one of the new owner.
//! The subjects of what was sent and is not committed are told, for somebody to ask about them once
//! more.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::checkpoint::CommitError;
use super::status::TaskEnd;
use super::task::{SinkTask, TaskError};
use crate::event::Subject;

impl SinkTask {
    /// As [`run`](Self::run), until the partition is `lost` at the latest: then it ends at once, and
    /// commits nothing more. Returns also the subjects whose newest state may be followed by an older
    /// one at the target.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until_lost(
        mut self,
        stop: CancellationToken,
        lost: CancellationToken,
    ) -> (Result<(), TaskError>, Vec<Subject>) {
        let result = tokio::select! {
            biased;
            () = lost.cancelled() => {
                Err(CommitError::Fenced("the partition was lost".to_owned()).into())
            }
            result = self.go(stop) => result,
        };
        let sink = self.context.deliverer.sink.name();
        self.status.send_modify(|status| {
            status.end = Some(match &result {
                Ok(()) => TaskEnd::Stopped,
                Err(error) => TaskEnd::Halted(error.told(sink)),
            });
        });
        // The log may have been trimmed by the new owner's commits before the loss is heard of.
        let gone = matches!(
            result,
            Err(TaskError::Commit(CommitError::Fenced(_)) | TaskError::Log(_))
        );
        let left = if gone { self.left_behind() } else { Vec::new() };
        (result, left)
    }

    /// None where no one can be asked. Where the target refuses what is older, only those that were
    /// read: an answer that is behind by Reltio's lag has the time of its read all the same, and passes
    /// the guard after a change that the new owner wrote meanwhile.
    fn left_behind(&mut self) -> Vec<Subject> {
        // Dropped, they send nothing more.
        self.events.clear();
        if !self.profile.rules.has_api {
            return Vec::new();
        }
        let guarded = self.profile.capabilities.reassert_after.is_none();
        let sent = self.lanes.by_subject.iter();
        let sent = sent.filter(|(_, lane)| lane.busy && (lane.answers || !guarded));
        let unsaved = self.commits.unsaved();
        let unsaved = unsaved.filter(|subject| {
            let register = self.commits.register(subject);
            !guarded || register.is_some_and(|register| register.observed)
        });
        let subjects: BTreeSet<&Subject> = sent.map(|(of, _)| of).chain(unsaved).collect();
        subjects.into_iter().cloned().collect()
    }
}
