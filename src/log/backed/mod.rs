//! A log with a journal behind it, for when its brokers do not answer in time.
//!
//! Guarantee (G1): an append returns when its records are durable in one of the two. Both are read,
//! so that nothing is lost by it; a record in both has one effect, like every copy. Guarantee (G8):
//! while a partition does not answer, one append at a time tries it, and the others do not wait.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::{BoxFuture, Either, select};
use tokio::time::Instant;

use super::{LogAppender, LogError, LogIdentity, Share};

/// A partition whose append failed is tried again after this, and no sooner.
const AGAIN: Duration = Duration::from_secs(1);

/// An appender with another behind it. It spreads what comes over its partitions by turns.
#[derive(Debug)]
pub struct BackedLog {
    first: Arc<dyn LogAppender>,
    behind: Arc<dyn LogAppender>,
    patience: Duration,
    turn: AtomicUsize,
    state: Arc<State>,
}

/// The partitions' answers.
#[derive(Debug)]
struct State(Mutex<Held>);

#[derive(Debug)]
struct Held {
    partitions: Vec<Partition>,
    /// Since when and how often the one behind was needed, if it is.
    episode: Option<(Instant, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Partition {
    Answers,
    /// Somebody tries it.
    Tried,
    /// No one tries it before this.
    Silent(Instant),
}

impl BackedLog {
    /// Appends to `first`, and to partition 0 of `behind` what `first` has not taken in `patience`.
    pub fn new(
        first: Arc<dyn LogAppender>,
        behind: Arc<dyn LogAppender>,
        patience: Duration,
    ) -> Self {
        let partitions = usize::from(first.identity().partitions);
        let held = Held {
            partitions: vec![Partition::Answers; partitions],
            episode: None,
        };
        Self {
            first,
            behind,
            patience,
            turn: AtomicUsize::new(0),
            state: Arc::new(State(Mutex::new(held))),
        }
    }

    /// An append to a partition, which notes how it ends.
    fn begin(
        &self,
        share: Share,
        partition: usize,
        records: Vec<Bytes>,
    ) -> BoxFuture<'static, Result<u64, LogError>> {
        let (first, state) = (Arc::clone(&self.first), Arc::clone(&self.state));
        let number = u16::try_from(partition).unwrap_or_default();
        Box::pin(async move {
            let appended = first.append_within(share, number, records).await;
            state.ended(partition, &appended);
            appended
        })
    }

    /// Waits for an append to the first as long as there is patience, and then for either.
    async fn either(
        &self,
        share: Share,
        partition: usize,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let mut append = self.begin(share, partition, records.clone());
        let late = match tokio::time::timeout(self.patience, &mut append).await {
            Ok(Ok(offset)) => return Ok(offset),
            Ok(Err(error)) => {
                self.state.silent(partition, &error.to_string());
                return self.behind.append_within(share, 0, records).await;
            }
            Err(_) => {
                let why = format!("no answer within {:?}", self.patience);
                self.state.silent(partition, &why);
                // It may be there later, which says that the partition answers.
                tokio::spawn(append)
            }
        };
        let behind = self.behind.append_within(share, 0, records);
        match select(late, behind).await {
            Either::Left((Ok(Ok(offset)), _)) | Either::Right((Ok(offset), _)) => Ok(offset),
            Either::Left((_, behind)) => behind.await,
            Either::Right((Err(error), late)) => match late.await {
                Ok(Ok(offset)) => Ok(offset),
                Ok(Err(_)) | Err(_) => Err(error),
            },
        }
    }
}

#[async_trait]
impl LogAppender for BackedLog {
    /// The one behind: all of it is one partition to whoever appends.
    fn identity(&self) -> &LogIdentity {
        self.behind.identity()
    }

    /// The partition does not matter, and the offset says nothing: it is of one of the two.
    async fn append_within(
        &self,
        share: Share,
        _: u16,
        records: Vec<Bytes>,
    ) -> Result<u64, LogError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (answers, tries) = self.state.choose(turn);
        if let Some(partition) = tries {
            // Of no one who waits: it ends, and says so, whoever goes away.
            drop(tokio::spawn(self.begin(share, partition, records.clone())));
        }
        match answers {
            Some(partition) => self.either(share, partition, records).await,
            None => self.behind.append_within(share, 0, records).await,
        }
    }

    /// The one behind's: it takes what the first refuses.
    fn largest_record(&self) -> usize {
        self.behind.largest_record()
    }

    fn admits(&self, share: Share) -> Result<(), LogError> {
        if self.state.answers() {
            return Ok(());
        }
        self.behind.admits(share)
    }

    fn is_open(&self) -> bool {
        self.behind.is_open()
    }
}

impl State {
    /// A partition that answers, and one that did not and is to be tried again.
    fn choose(&self, turn: usize) -> (Option<usize>, Option<usize>) {
        let mut held = self.held();
        let count = held.partitions.len().max(1);
        let now = Instant::now();
        let (mut answers, mut tries) = (None, None);
        for at in (0..count).map(|further| turn.wrapping_add(further) % count) {
            match held.partitions.get(at) {
                Some(Partition::Answers) => {
                    answers = Some(at);
                    break;
                }
                Some(Partition::Silent(until)) if *until <= now && tries.is_none() => {
                    tries = Some(at);
                }
                Some(Partition::Silent(_) | Partition::Tried) | None => {}
            }
        }
        if let Some(tried) = tries.and_then(|at| held.partitions.get_mut(at)) {
            *tried = Partition::Tried;
        }
        if answers.is_none()
            && let Some((_, records)) = &mut held.episode
        {
            *records += 1;
        }
        (answers, tries)
    }

    fn answers(&self) -> bool {
        self.held().partitions.contains(&Partition::Answers)
    }

    /// An append is not waited for any more; if it ends well after all, that is noted.
    fn silent(&self, partition: usize, why: &str) {
        let mut held = self.held();
        if let Some(of) = held.partitions.get_mut(partition)
            && *of == Partition::Answers
        {
            *of = Partition::Silent(Instant::now() + AGAIN);
        }
        match &mut held.episode {
            Some((_, records)) => *records += 1,
            none @ None => {
                *none = Some((Instant::now(), 1));
                tracing::warn!(
                    "the inbox topic does not take what comes: {why}; the journal takes it, and is \
                     drained as ever"
                );
            }
        }
    }

    fn ended(&self, partition: usize, appended: &Result<u64, LogError>) {
        let mut held = self.held();
        let Some(of) = held.partitions.get_mut(partition) else {
            return;
        };
        if appended.is_err() {
            if *of == Partition::Tried {
                *of = Partition::Silent(Instant::now() + AGAIN);
            }
            return;
        }
        *of = Partition::Answers;
        let all = held.partitions.iter().all(|of| *of == Partition::Answers);
        if let Some((began, records)) = held.episode.take_if(|_| all) {
            let seconds = began.elapsed().as_secs();
            tracing::info!(
                "the inbox topic takes what comes again: the journal took {records} appends in \
                 {seconds} s"
            );
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
