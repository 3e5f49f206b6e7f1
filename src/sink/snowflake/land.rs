//! A piece on its way: appended, and then asked for until it is committed.
//!
//! Guarantee (G3, G5): rows count as delivered when the channel's committed offset token is the
//! piece's. That a piece never lands is said only when the channel was opened by somebody since it was
//! sealed, which discards what was not committed.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::piece::{Appends, Sealed};
use super::token::attempt;
use super::wire::{Append, Fault, Status};
use crate::sink::SinkError;
use crate::sink::pieces::{Landed, Seal};

/// The first pause before the channel's status is asked, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];

/// What an append came to.
enum Appended {
    /// It is buffered, or was before.
    Taken,
    /// That is known already.
    Settled(Landed),
}

impl Appends {
    /// As [`Pieces::land`](crate::sink::pieces::Pieces::land).
    pub(super) async fn bring(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let landed = self.brought(seal).await?;
        // Where the append's answer was lost, no one knows what the next has to bring: the channel is
        // opened before that is sealed. Nothing waits in it.
        if landed == Landed::Yes
            && let Err(error) = self.opened().await
        {
            tracing::warn!(channel = self.channel, "cannot be opened: {error}");
        }
        Ok(landed)
    }

    async fn brought(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let Some(rows) = self.whole(seal).await else {
            return Ok(Landed::Never);
        };
        let on_its_way = |it: &mut Sealed| (it.attempt, it.sent, it.taken, it.halted.clone());
        let Some((number, sent, is_taken, halted)) = self.sealed(seal, on_its_way) else {
            return Ok(Landed::Never);
        };
        if let Some(error) = halted {
            return Err(error);
        }
        let token = attempt(seal, number);
        if let Some(since) = sent {
            if let Some(landed) = self.asked(seal, &token).await? {
                return Ok(landed);
            }
            if self.is_overdue(since) {
                return self.settle(seal, &token).await;
            }
        }
        if !is_taken && let Appended::Settled(landed) = self.append(seal, &token, rows).await? {
            return Ok(landed);
        }
        self.wait(seal, &token).await
    }

    /// What is known of the sealed piece.
    fn sealed<T>(&self, seal: &Seal, of: impl FnOnce(&mut Sealed) -> T) -> Option<T> {
        let mut state = self.state();
        let sealed = state.sealed.as_mut().filter(|it| it.seal == *seal);
        sealed.map(of)
    }

    fn is_overdue(&self, since: Instant) -> bool {
        since.elapsed() >= self.shared.commit_timeout
    }

    /// What the piece's append has to bring; nothing if its session is over.
    fn continuation(&self, seal: &Seal) -> Option<String> {
        let state = self.state();
        let of = state.sealed.as_ref().filter(|it| it.seal == *seal)?.session;
        let session = state.session.as_ref();
        let session = session.filter(|it| Some(it.number) == of)?;
        Some(session.continuation.clone())
    }

    async fn append(&self, seal: &Seal, token: &str, rows: Bytes) -> Result<Appended, SinkError> {
        let before = self.sealed(seal, |it| it.sent).flatten();
        let Some(continuation) = self.continuation(seal) else {
            let landed = match before {
                Some(_) => self.settle(seal, token).await?,
                None => Landed::Never,
            };
            return Ok(Appended::Settled(landed));
        };
        self.sealed(seal, |it| {
            it.sent = it.sent.or_else(|| Some(Instant::now()));
        });
        let append = Append {
            channel: &self.channel,
            continuation: &continuation,
            token,
            rows,
        };
        match self.shared.wire.append(append).await {
            Ok(next) => {
                let mut state = self.state();
                let session = state.session.as_mut();
                if let Some(session) = session.filter(|it| it.continuation == continuation) {
                    session.continuation = next;
                }
                drop(state);
                self.sealed(seal, |it| (it.taken, it.answered) = (true, true));
                Ok(Appended::Taken)
            }
            // It was taken by an attempt whose answer was lost, or another opened the channel.
            Err(Fault::Stale) if before.is_some() => {
                self.sealed(seal, |it| it.taken = true);
                Ok(Appended::Taken)
            }
            Err(Fault::Stale) => {
                self.sealed(seal, |it| it.sent = None);
                self.state().session = None;
                let landed = self.asked(seal, token).await?;
                tracing::warn!(
                    channel = self.channel,
                    "another process opened the channel; what it did not commit is read again"
                );
                Ok(Appended::Settled(landed.unwrap_or(Landed::Never)))
            }
            Err(Fault::Gone) => self.settle(seal, token).await.map(Appended::Settled),
            Err(Fault::Other(error)) => {
                let ambiguous = matches!(
                    error,
                    SinkError::Retryable {
                        ambiguous: true,
                        ..
                    }
                );
                if !ambiguous {
                    self.sealed(seal, |it| it.sent = before);
                }
                Err(error)
            }
        }
    }

    /// Asks until the piece is committed, or should have been.
    async fn wait(&self, seal: &Seal, token: &str) -> Result<Landed, SinkError> {
        let [mut pause, longest] = PAUSES;
        loop {
            tokio::time::sleep(pause).await;
            if let Some(landed) = self.asked(seal, token).await? {
                return Ok(landed);
            }
            let since = self.sealed(seal, |it| it.sent).flatten();
            if since.is_none_or(|since| self.is_overdue(since)) {
                return self.settle(seal, token).await;
            }
            pause = (pause * 2).min(longest);
        }
    }

    /// Asks once: nothing if the piece is not committed.
    async fn asked(&self, seal: &Seal, token: &str) -> Result<Option<Landed>, SinkError> {
        let status = self.shared.wire.status(&self.channel).await?;
        let status = status.filter(|it| it.last_committed_offset_token.as_deref() == Some(token));
        status
            .map(|it| self.committed(seal, token, &it))
            .transpose()
    }

    /// Finds out by opening the channel, which keeps the piece from being committed later.
    async fn settle(&self, seal: &Seal, token: &str) -> Result<Landed, SinkError> {
        let status = self.reopened().await?;
        self.sealed(seal, |it| it.answered = true);
        if status.last_committed_offset_token.as_deref() == Some(token) {
            return self.committed(seal, token, &status);
        }
        tracing::warn!(
            channel = self.channel,
            piece = token,
            "the append was not committed, and the channel was opened again; its records are read again"
        );
        Ok(Landed::Never)
    }

    /// The piece is committed. Rows that were refused are not in the table.
    fn committed(&self, seal: &Seal, token: &str, status: &Status) -> Result<Landed, SinkError> {
        let mut state = self.state();
        let state = &mut *state;
        if let Some(session) = &mut state.session {
            session.errors = status.errors();
        }
        let marked = status.last_error_offset_upper_bound.as_deref() == Some(token);
        let Some(sealed) = state.sealed.as_mut().filter(|it| it.seal == *seal) else {
            return Ok(Landed::Never);
        };
        let before = std::mem::replace(&mut sealed.errors, status.errors());
        let refused = status.errors().saturating_sub(before);
        if refused == 0 && !marked {
            let rows = usize::try_from(sealed.rows).unwrap_or(usize::MAX);
            self.shared.metrics.batch(&self.shared.sink, rows);
            if !sealed.answered {
                state.session = None;
            }
            state.sealed = None;
            return Ok(Landed::Yes);
        }
        let (rows, all) = (sealed.rows, refused >= sealed.rows);
        let error = self.refused(seal, (refused, rows), status);
        tracing::error!(channel = self.channel, rows, refused, "{error}");
        if all {
            // None is in the table: all are appended again, under another token.
            sealed.attempt += 1;
            (sealed.sent, sealed.taken, sealed.answered) = (None, false, false);
        } else {
            sealed.halted = Some(error.clone());
        }
        Err(error)
    }
}
