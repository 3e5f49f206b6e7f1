//! The inbox's end of the path.
//!
//! Guarantee (G1): `Ok` only after the append is durable. An append that outlives its request goes
//! on by itself, with its share of memory, and is never cut off half-way: the sender sends again,
//! and both have one effect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::answer::Refusal;
use super::limit::Claim;
use crate::log::Log;
use crate::mutation::{self, Mutation};

/// The inbox log, and what is on its way into it.
#[derive(Debug)]
pub(super) struct Inbox {
    log: Arc<dyn Log>,
    under_way: TaskTracker,
    failing: Arc<AtomicBool>,
}

impl Inbox {
    pub(super) fn new(log: Arc<dyn Log>, under_way: TaskTracker) -> Self {
        Self {
            log,
            under_way,
            failing: Arc::default(),
        }
    }

    /// Appends a record, or says by `deadline` that it is not known to be durable.
    pub(super) async fn append(
        &self,
        record: Bytes,
        claim: Claim,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let (log, failing) = (Arc::clone(&self.log), Arc::clone(&self.failing));
        let append = self.under_way.spawn(async move {
            let appended = log.append(0, vec![record]).await;
            drop(claim);
            match &appended {
                Ok(_) => works(&failing),
                Err(error) => fails(&failing, error),
            }
            appended.is_ok()
        });
        if mutation::is(Mutation::AnsweredBeforeAppend) {
            return Ok(());
        }
        match tokio::time::timeout_at(deadline, append).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false) | Err(_)) => Err(Refusal::Unavailable),
            Err(_) => {
                fails(&self.failing, &"no answer within `webhook.deadline`");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Once for each time it begins to fail, not once a request.
fn fails(failing: &AtomicBool, why: &dyn std::fmt::Display) {
    if !failing.swap(true, Ordering::Relaxed) {
        tracing::error!("webhooks are answered 503: the inbox does not take them: {why}");
    }
}

fn works(failing: &AtomicBool) {
    if failing.load(Ordering::Relaxed) && failing.swap(false, Ordering::Relaxed) {
        tracing::info!("the inbox takes webhooks again");
    }
}
