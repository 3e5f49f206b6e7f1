//! The inbox's end of the path.
//!
//! Guarantee (G1): `Ok` only after the append is durable. An append that outlives its request goes
//! on by itself, with its share of memory, and is never cut off half-way: the sender sends again,
//! and both have one effect.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::runtime;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::answer::Refusal;
use super::limit::Claim;
use crate::log::LogAppender;
use crate::mutation::{self, Mutation};

/// After a failure without another for so long, the inbox counts as worth a try.
const TRIED_AGAIN: Duration = Duration::from_secs(10);

/// The inbox log, and what is on its way into it.
#[derive(Debug)]
pub(super) struct Inbox {
    log: Arc<dyn LogAppender>,
    under_way: TaskTracker,
    trouble: Arc<Trouble>,
}

impl Inbox {
    pub(super) fn new(log: Arc<dyn LogAppender>, under_way: TaskTracker) -> Self {
        Self {
            log,
            under_way,
            trouble: Arc::default(),
        }
    }

    /// What its appends say.
    pub(super) fn trouble(&self) -> Arc<Trouble> {
        Arc::clone(&self.trouble)
    }

    /// Appends a record, or says by `deadline` that it is not known to be durable.
    pub(super) async fn append(
        &self,
        record: Bytes,
        claim: Claim,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let (log, trouble) = (Arc::clone(&self.log), Arc::clone(&self.trouble));
        let append = async move {
            let appended = log.append(0, vec![record]).await;
            drop(claim);
            match &appended {
                Ok(_) => trouble.works(),
                Err(error) => trouble.fails(error),
            }
            appended.is_ok()
        };
        let append = Appending {
            append: Some(Box::pin(append)),
            under_way: self.under_way.clone(),
        };
        if mutation::is(Mutation::AnsweredBeforeAppend) {
            return Ok(());
        }
        match tokio::time::timeout_at(deadline, append).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Unavailable),
            Err(_) => {
                let why = "the disk gave no answer within `webhook.deadline`";
                self.trouble.fails(&why);
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// An append, awaited by its request. A request that ends before it leaves it to a task of its own;
/// one for each append would cost every request two more wake-ups.
struct Appending {
    /// Nothing once it has ended.
    append: Option<BoxFuture<'static, bool>>,
    under_way: TaskTracker,
}

impl Future for Appending {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(append) = &mut self.append else {
            return Poll::Pending;
        };
        let polled = append.as_mut().poll(cx);
        if polled.is_ready() {
            self.append = None;
        }
        polled
    }
}

impl Drop for Appending {
    fn drop(&mut self) {
        // Without a runtime, the process is at its end.
        if let Some(append) = self.append.take()
            && let Ok(runtime) = runtime::Handle::try_current()
        {
            self.under_way.spawn_on(append, &runtime);
        }
    }
}

/// Whether the inbox takes what comes, as the last append that ended says.
#[derive(Debug, Default)]
pub(super) struct Trouble(Mutex<Option<(Instant, String)>>);

impl Trouble {
    /// Why appends fail, if one did lately and none has worked since. After [`TRIED_AGAIN`] the
    /// answer is no: who is sent nothing while unready would otherwise never find out.
    pub(super) fn lately(&self) -> Option<String> {
        let held = self.held();
        let (last, why) = held.as_ref()?;
        (last.elapsed() < TRIED_AGAIN).then(|| why.clone())
    }

    /// Told once for each time it begins to fail, not once a request.
    fn fails(&self, why: &dyn std::fmt::Display) {
        let why = why.to_string();
        let before = self.held().replace((Instant::now(), why.clone()));
        if before.is_none() {
            tracing::error!("webhooks are answered 503: the inbox does not take them: {why}");
        }
    }

    fn works(&self) {
        if self.held().take().is_some() {
            tracing::info!("the inbox takes webhooks again");
        }
    }

    fn held(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
