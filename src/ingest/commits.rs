//! Commits of the source's positions, one at a time, and revocations, which wait for their last one.
//!
//! Guarantee (G1, G2): only what [`Positions`] says is sent. A partition is given back after it was
//! drained and its position was taken, or refused; how long that may last is the source's to say.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::positions::{Positions, Sent};
use crate::source::{Committing, Source, SourceError};

/// What is on its way to the source.
#[derive(Default)]
pub(super) struct Commits {
    under_way: Option<(Vec<Sent>, Committing)>,
    revoked: VecDeque<Revoked>,
}

impl std::fmt::Debug for Commits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commits")
            .field("under_way", &self.under_way.as_ref().map(|(sent, _)| sent))
            .field("revoked", &self.revoked)
            .finish()
    }
}

/// Partitions that the source wants back.
#[derive(Debug)]
struct Revoked {
    partitions: Vec<i32>,
    done: oneshot::Sender<()>,
    /// Their last commit was begun.
    committed: bool,
}

impl Commits {
    /// Whether one is under way.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Sends what can be committed, unless a commit is under way; whether there was anything.
    pub(super) fn begin(&mut self, source: &mut dyn Source, positions: &Positions) -> bool {
        if self.is_under_way() {
            return false;
        }
        let sent = positions.uncommitted();
        if sent.is_empty() {
            return false;
        }
        let pairs: Vec<_> = sent
            .iter()
            .map(|sent| (sent.partition, sent.position))
            .collect();
        let committing = source.commit(&pairs);
        self.under_way = Some((sent, committing));
        true
    }

    /// Waits for the end of the commit under way; without end if there is none. Cancel safe.
    pub(super) async fn ended(&mut self) -> Result<Vec<Sent>, SourceError> {
        let Some((_, committing)) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let result = committing.await;
        let sent = self.under_way.take().map(|(sent, _)| sent);
        result.map(|()| sent.unwrap_or_default())
    }

    /// The source wants partitions back, and waits for `done`.
    pub(super) fn revoke(&mut self, partitions: Vec<i32>, done: oneshot::Sender<()>) {
        self.revoked.push_back(Revoked {
            partitions,
            done,
            committed: false,
        });
    }

    /// Partitions are gone; whoever waited for them waits no more.
    pub(super) fn lost(&mut self, partitions: &[i32]) {
        self.revoked
            .retain(|revoked| !revoked.partitions.iter().any(|of| partitions.contains(of)));
    }

    /// Gives back what is drained and committed, and begins the last commit of what is drained.
    pub(super) fn hand_over(&mut self, source: &mut dyn Source, positions: &mut Positions) {
        while !self.is_under_way()
            && let Some(mut revoked) = self.revoked.pop_front()
        {
            let waits = !positions.are_drained(&revoked.partitions)
                || !revoked.committed && self.begin(source, positions);
            if waits {
                revoked.committed = self.is_under_way();
                self.revoked.push_front(revoked);
                return;
            }
            positions.remove(&revoked.partitions);
            if revoked.done.send(()).is_err() {
                let source = source.name();
                tracing::warn!(source, "the drain took longer than the source waits");
            }
        }
    }
}
