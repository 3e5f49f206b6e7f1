//! The transactions of one sink in this process, one at a time.
//!
//! Guarantee (G3): a batch is in the store only after the transaction that has it was committed, and
//! whoever asked hears of it after that. Batches that wait while a transaction is under way are the
//! next one: a commit takes a broker 0.1 to 0.2 s, however much is in it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::checkpoint::Point;
use super::{Changelog, NotCommitted, Ownership, Part};
use crate::engine::checkpoint::CommitError;
use crate::mutation::{self, Mutation};
use crate::store::{Batch, Store, StoreError, store_patiently};
use crate::time::SharedClock;

/// After a transaction that was aborted, the next begins no earlier.
const AFTER_ABORT: Duration = Duration::from_millis(100);

/// What waits for a transaction.
#[derive(Debug)]
struct Waiting {
    part: Part,
    epoch: u64,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Vec<Waiting>,
    running: bool,
}

/// Makes transactions of what the tasks of one sink commit.
#[derive(Debug)]
pub struct Transactor {
    sink: String,
    changelog: Arc<dyn Changelog>,
    store: Arc<dyn Store>,
    ownership: Arc<Ownership>,
    clock: SharedClock,
    queue: Mutex<Queue>,
}

impl Transactor {
    /// For the sink's tasks in this process, whose partitions `ownership` knows.
    pub fn new(
        sink: &str,
        changelog: Arc<dyn Changelog>,
        store: Arc<dyn Store>,
        ownership: Arc<Ownership>,
        clock: SharedClock,
    ) -> Self {
        Self {
            sink: sink.to_owned(),
            changelog,
            store,
            ownership,
            clock,
            queue: Mutex::default(),
        }
    }

    /// Where the sink's state is kept.
    pub(super) fn changelog(&self) -> &Arc<dyn Changelog> {
        &self.changelog
    }

    /// Where a restored store stands.
    pub(super) fn point(&self, next: u64) -> Point {
        Point::new(self.changelog.identity(), next, self.clock.now())
    }

    /// Why nothing of this epoch may be done any more, if so.
    pub(super) fn fenced(&self, partition: u16, epoch: u64) -> Option<String> {
        let owns = self.ownership.owns(partition, epoch);
        (!owns).then(|| format!("partition {partition} is not this process's any more"))
    }

    /// Commits a part, in a transaction with others that wait.
    pub(super) async fn commit(
        self: &Arc<Self>,
        part: Part,
        epoch: u64,
    ) -> Result<(), CommitError> {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { part, epoch, reply };
        let runs = {
            let mut queue = self.queue();
            queue.waiting.push(waiting);
            std::mem::replace(&mut queue.running, true)
        };
        if !runs {
            // Not of the task that asks: a transaction is not cut off when that one ends.
            drop(tokio::spawn(Arc::clone(self).run()));
        }
        let gone = || CommitError::Fenced("the transaction's own task ended".to_owned());
        answer.await.map_err(|_| gone())?
    }

    async fn run(self: Arc<Self>) {
        loop {
            let waiting = {
                let mut queue = self.queue();
                if queue.waiting.is_empty() {
                    queue.running = false;
                    return;
                }
                std::mem::take(&mut queue.waiting)
            };
            self.transact(waiting).await;
        }
    }

    /// One transaction with those whose partitions are still this process's.
    async fn transact(&self, waiting: Vec<Waiting>) {
        let parts: Vec<_> = waiting
            .iter()
            .map(|it| (it.part.partition, it.epoch))
            .collect();
        let entered = self.ownership.enter(&parts);
        let (waiting, fenced): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|it| entered.has(it.part.partition, it.epoch));
        for it in fenced {
            let why = format!("partition {} was given back or lost", it.part.partition);
            answer(it.reply, Err(CommitError::Fenced(why)));
        }
        if waiting.is_empty() {
            return;
        }
        let (parts, replies): (Vec<Part>, Vec<_>) =
            waiting.into_iter().map(|it| (it.part, it.reply)).unzip();
        if mutation::is(Mutation::StoreAheadOfChangelog) {
            drop(self.store_parts(parts.clone(), &[]).await);
        }
        let result = match self.changelog.transact(&parts).await {
            Ok(nexts) => self.store_parts(parts, &nexts).await.map_err(|error| {
                // It is in the changelog: who takes the partitions over reads it there.
                CommitError::Fenced(format!("committed, but not in the store: {error}"))
            }),
            Err(NotCommitted::Aborted(_)) if mutation::is(Mutation::AbortedNotCarried) => Ok(()),
            Err(aborted @ NotCommitted::Aborted(_)) => {
                tokio::time::sleep(AFTER_ABORT).await;
                Err(StoreError::Away(aborted.to_string()).into())
            }
            Err(doubt @ NotCommitted::InDoubt(_)) => Err(CommitError::Fenced(doubt.to_string())),
        };
        drop(entered);
        for reply in replies {
            answer(reply, result.clone());
        }
    }

    /// Puts what was committed into the store, with where each changelog was read to.
    async fn store_parts(&self, parts: Vec<Part>, nexts: &[Option<u64>]) -> Result<(), StoreError> {
        let mut all = Batch::default();
        for (part, next) in parts.iter().zip(nexts) {
            if let Some(next) = next {
                self.point(*next).put(&mut all, &self.sink, part.partition);
            }
        }
        for part in parts {
            all.changes.extend(part.changes.changes);
        }
        store_patiently(&self.store, move |store| store.commit(all.clone())).await
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever asked may be gone.
fn answer(reply: oneshot::Sender<Result<(), CommitError>>, result: Result<(), CommitError>) {
    reply.send(result).ok();
}
