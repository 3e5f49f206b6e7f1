//! Commits whose rows reach the sink as a piece.
//!
//! Guarantee (G3, G5): a commit is prepared, its piece lands, the commit is made. Whatever stops in
//! between, the next to have the partition finds the prepared commit: it makes it where the piece
//! landed. Where it did not, it never will, and its records are read again.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::checkpoint::{
    Checkpoint, CommitBatch, CommitError, Known, Opened, Prepared, Prepares, Sealed, TakeoverError,
    Wanted,
};
use super::gate::Gate;
use crate::backoff::Backoff;
use crate::event::Subject;
use crate::mutation::{self, Mutation};
use crate::sink::SinkError;
use crate::sink::pieces::{Landed, Pieces};
use crate::store::StoreError;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A checkpoint whose commits wait for the sink's pieces.
#[derive(Debug)]
pub struct Landing {
    inner: Arc<dyn Prepares>,
    pieces: Arc<dyn Pieces>,
    gate: Arc<Gate>,
    /// What the gate knows the partition by.
    lane: Subject,
}

impl Landing {
    /// Over what keeps the partition's knowledge, before the sink's gate.
    pub fn over(
        inner: Arc<dyn Prepares>,
        pieces: Arc<dyn Pieces>,
        gate: Arc<Gate>,
        partition: u16,
    ) -> Self {
        Self {
            inner,
            pieces,
            gate,
            lane: Subject::new("", &format!("partition {partition}")),
        }
    }

    /// Asks the target until it answers.
    async fn asked<F>(&self, mut ask: impl FnMut() -> F) -> Landed
    where
        F: Future<Output = Result<Landed, SinkError>>,
    {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, self.lane.uri());
        loop {
            self.gate.pass(&self.lane).await;
            let sending = self.gate.sending();
            let answer = ask().await;
            drop(sending);
            match answer {
                Ok(landed) => {
                    self.gate.accepted();
                    return landed;
                }
                Err(error) => self.failed(error),
            }
            backoff.wait().await;
        }
    }

    fn failed(&self, error: SinkError) {
        match error {
            SinkError::Retryable { code, .. } => self.gate.failed(&self.lane, &code),
            SinkError::Throttled { code, pause } => {
                self.gate.throttled(&self.lane, pause, &code);
            }
            SinkError::Systemic { code, remedy } => {
                self.gate.halt(&self.lane, &format!("{code}: {remedy}"));
            }
            // No row is to blame: each was looked at when it was gathered.
            SinkError::Rejected { code, action, .. } => {
                let sentence = format!("{code}: the target refused to {action} a piece");
                self.gate.halt(&self.lane, &sentence);
            }
        }
    }

    /// The piece of a commit, on its way.
    async fn land(&self, piece: &Sealed) -> Result<(), CommitError> {
        match self.asked(|| self.pieces.land(&piece.seal)).await {
            Landed::Yes => Ok(()),
            Landed::Never => Err(CommitError::Fenced(format!(
                "the piece {} will not land: another process has the partition, or the target lost it; \
                 its records are read again",
                piece.seal.0
            ))),
        }
    }

    /// Ends what an earlier life prepared, one way or the other.
    async fn settle(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let seal = &prepared.piece.seal;
        let landed = self.asked(|| self.pieces.landed(seal)).await;
        let made = landed == Landed::Yes;
        tracing::info!(
            piece = seal.0,
            landed = made,
            "a commit was cut off while its piece was on its way"
        );
        if made {
            again(|| self.inner.end(prepared)).await
        } else {
            again(|| self.inner.give_up(prepared)).await
        }
    }
}

/// Repeats a step of the store until it is made, or is another's.
async fn again<F>(mut step: impl FnMut() -> F) -> Result<(), CommitError>
where
    F: Future<Output = Result<(), CommitError>>,
{
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, "commit");
    let mut told = false;
    loop {
        match step().await {
            Err(CommitError::Retry(error)) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::error!("the commit failed: {error}; will be tried again");
                }
            }
            ended => return ended,
        }
        backoff.wait().await;
    }
}

#[async_trait]
impl Checkpoint for Landing {
    async fn take_over(&self) -> Result<(), TakeoverError> {
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT, self.lane.uri());
        loop {
            // Where the partition is another's, this says so.
            self.inner.take_over().await?;
            let Some(prepared) = self.inner.prepared().await? else {
                return Ok(());
            };
            match self.settle(&prepared).await {
                Ok(()) => return Ok(()),
                Err(CommitError::Retry(error)) => return Err(TakeoverError::Store(error)),
                // Whether it was made is found in what is kept.
                Err(CommitError::Fenced(why)) => {
                    let partition = self.lane.uri();
                    tracing::warn!("{partition}: taken over again: {why}");
                }
            }
            backoff.wait().await;
        }
    }

    fn open(&self) -> Result<Opened, StoreError> {
        self.inner.open()
    }

    async fn lookup(&self, wanted: Wanted) -> Result<Known, StoreError> {
        self.inner.lookup(wanted).await
    }

    async fn commit(&self, mut batch: CommitBatch) -> Result<(), CommitError> {
        let Some(piece) = batch.piece.take() else {
            return self.inner.commit(batch).await;
        };
        let prepared = self.inner.plan(batch, piece);
        if !mutation::is(Mutation::PieceUnprepared) {
            again(|| self.inner.prepare(&prepared)).await?;
        }
        self.land(&prepared.piece).await?;
        again(|| self.inner.end(&prepared)).await
    }

    async fn note(&self, notes: Vec<(u64, u32)>) -> Result<(), StoreError> {
        self.inner.note(notes).await
    }

    async fn forget(&self, offsets: Vec<u64>) -> Result<(), StoreError> {
        self.inner.forget(offsets).await
    }

    async fn mark_gap(&self, start: u64) -> Result<(), StoreError> {
        self.inner.mark_gap(start).await
    }

    async fn discard(&self, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
        self.inner.discard(keys).await
    }

    async fn keep(&self, key: Vec<u8>, value: Vec<u8>) -> Result<(), StoreError> {
        self.inner.keep(key, value).await
    }

    fn pieces(&self) -> Option<Arc<dyn Pieces>> {
        Some(Arc::clone(&self.pieces))
    }
}
