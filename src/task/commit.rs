//! Commits: ledger entries, closed dead letters and the position become durable together.
//!
//! Guarantee (G3): one atomic batch. The overlay holds what was acknowledged since the last
//! commit, so the store never says more than the sinks did.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message as _;

use super::fresh::Fresh;
use crate::event::{ChangeId, EventRecord, Holds, Subject};
use crate::ledger::ids::{self, Noted};
use crate::ledger::{Batch, Cursor, Register, Store, StoreError, keys};
use crate::time::Millis;

/// A store that failed is asked again after this; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What becomes durable together.
#[derive(Debug, Clone, Default)]
pub struct CommitBatch {
    /// New registers.
    pub registers: Vec<(Subject, Register)>,
    /// Changes that a sink without unique keys has.
    pub ids: Vec<(ChangeId, Noted)>,
    /// Keys of dead letters that are closed, as in [`Register::letters`].
    pub closed: Vec<String>,
    /// Where the task stands.
    pub cursor: Cursor,
}

/// Where a task's progress is kept. With the journal it is the store; with Kafka a transaction.
#[async_trait]
pub trait Commit: std::fmt::Debug + Send + Sync {
    /// Makes the batch durable, all of it or nothing.
    async fn commit(&self, batch: CommitBatch) -> Result<(), StoreError>;
}

/// Commits of one sink's task in one partition to a [`Store`].
#[derive(Debug, Clone)]
pub struct StoreCommit {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The sink.
    pub sink: String,
    /// The sink's consumer group.
    pub group: String,
    /// The partition.
    pub partition: u16,
}

#[async_trait]
impl Commit for StoreCommit {
    async fn commit(&self, batch: CommitBatch) -> Result<(), StoreError> {
        let mut changes = Batch::default();
        for (subject, register) in &batch.registers {
            let key = keys::register(&self.sink, self.partition, subject);
            changes.put(key, register.encode_to_vec());
        }
        for (id, noted) in batch.ids {
            ids::put(&mut changes, &self.sink, self.partition, (id, noted));
        }
        for letter in &batch.closed {
            if let Some((id, round, _)) = split_letter(letter) {
                changes.remove(keys::dead_letter(&self.sink, id, round));
            }
        }
        changes.put(
            keys::cursor(&self.group, self.partition),
            batch.cursor.encode_to_vec(),
        );
        store_blocking(&self.store, move |store| store.commit(changes)).await
    }
}

/// Runs a store call that waits for the disk off the runtime's threads.
pub(crate) async fn store_blocking<T: Send + 'static>(
    store: &Arc<dyn Store>,
    call: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    if !store.blocks() {
        return call(store.as_ref());
    }
    let store = Arc::clone(store);
    match tokio::task::spawn_blocking(move || call(store.as_ref())).await {
        Ok(result) => result,
        Err(failed) => Err(StoreError::Io(format!(
            "the store's call did not end: {failed}"
        ))),
    }
}

/// Asks until there is an answer. A disk that fails for a while ends nothing; what a restart would
/// not mend does.
pub(crate) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut wait = FIRST_WAIT;
    loop {
        match ask().await {
            Err(error @ StoreError::Io(_)) => {
                if wait == FIRST_WAIT {
                    tracing::error!("{error}; will be tried again");
                }
            }
            answer => return answer,
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
    }
}

/// As [`store_blocking`], and as [`patiently`].
pub(crate) async fn store_patiently<T: Send + 'static>(
    store: &Arc<dyn Store>,
    call: impl Fn(&dyn Store) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    let call = Arc::new(call);
    patiently(|| {
        let call = Arc::clone(&call);
        store_blocking(store, move |store| call(store))
    })
    .await
}

/// A letter's name in a register: what it is keyed by, the time of the change that it holds, and
/// which fields if its record does not tell all.
pub(crate) fn letter_name(record: &EventRecord, round: u32) -> String {
    // An arrival, by a host that may be behind, is no time of the change.
    let time = record
        .commit_time
        .map_or(Millis::MAX, |_| record.known_time());
    let id = &record.id;
    match record.holds() {
        Holds::Fields(fields) => format!("{id}:{round}@{time}~{fields:x}"),
        Holds::Everything | Holds::Values => format!("{id}:{round}@{time}"),
    }
}

/// How much of its subject a letter's record tells.
pub(crate) fn letter_holds(letter: &str) -> Holds {
    let fields = letter.rsplit_once('~');
    let fields = fields.and_then(|(_, digest)| u64::from_str_radix(digest, 16).ok());
    fields.map_or(Holds::Everything, Holds::Fields)
}

/// What a letter's name says: id, round and time. A name without a time is older than anything.
pub(crate) fn split_letter(letter: &str) -> Option<(&str, u32, Millis)> {
    let (key, time) = letter.rsplit_once('@').unwrap_or((letter, "0"));
    let time = time.split_once('~').map_or(time, |(time, _)| time);
    let (id, round) = key.rsplit_once(':')?;
    Some((id, round.parse().ok()?, time.parse().ok()?))
}

/// Whether `letter` is one of `letters`, whatever times their names carry.
pub(crate) fn names_one_of(letter: &str, letters: &[String]) -> bool {
    let key = |name: &str| split_letter(name).map(|(id, round, _)| (id.to_owned(), round));
    letters.iter().any(|other| key(other) == key(letter))
}

/// What was acknowledged since the last commit, before which the store must not have it.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    registers: Fresh<Subject, Register>,
    /// Changes that a sink without unique keys has.
    pub(crate) ids: Fresh<ChangeId, Noted>,
    closed: Vec<String>,
    closing: usize,
}

impl Overlay {
    pub(crate) fn get(&self, subject: &Subject) -> Option<&Register> {
        self.registers.get(subject)
    }

    /// From now on what is committed stays visible: the store is being read beside it.
    pub(crate) fn hold(&mut self) {
        self.registers.hold();
        self.ids.hold();
    }

    /// What was read from the store is where it belongs.
    pub(crate) fn release(&mut self) {
        self.registers.release();
        self.ids.release();
    }

    pub(crate) fn put(&mut self, subject: Subject, register: Register) {
        self.registers.put(subject, register);
    }

    pub(crate) fn close(&mut self, letters: Vec<String>) {
        self.closed.extend(letters);
    }

    /// Letters that will be written again after they were closed: the next commit leaves them.
    pub(crate) fn reopen(&mut self, letters: &[String]) {
        let later = self.closed.split_off(self.closing.min(self.closed.len()));
        let later = later.into_iter().filter(|one| !names_one_of(one, letters));
        self.closed.extend(later);
    }

    /// Whether the commit under way removes one of `letters`.
    pub(crate) fn is_closing(&self, letters: &[String]) -> bool {
        let mut closing = self.closed.iter().take(self.closing);
        closing.any(|one| names_one_of(one, letters))
    }

    pub(crate) fn len(&self) -> usize {
        self.registers.len() + self.ids.len()
    }

    /// What is to be committed now; stays visible until [`Self::committed`].
    pub(crate) fn begin(&mut self, cursor: Cursor) -> CommitBatch {
        self.closing = self.closed.len();
        CommitBatch {
            registers: self.registers.begin(),
            ids: self.ids.begin(),
            closed: self.closed.clone(),
            cursor,
        }
    }

    /// The batch is durable: what has not changed since can be read from the store.
    pub(crate) fn committed(&mut self) {
        self.registers.committed();
        self.ids.committed();
        self.closed.drain(..self.closing.min(self.closed.len()));
        self.closing = 0;
    }

    /// The commit failed: nothing may be taken as stored, and nothing is under way any more.
    pub(crate) fn failed(&mut self) {
        self.closing = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g4_what_is_committed_while_the_store_is_being_read_stays_visible_until_that_is_over() {
        let (subject, mut overlay) = (Subject::new("t", "entities/a"), Overlay::default());
        let register = |newest| Register {
            newest,
            ..Register::default()
        };
        let newest = |overlay: &Overlay| overlay.get(&subject).map(|register| register.newest);
        overlay.put(subject.clone(), register(1));
        overlay.hold();
        overlay.begin(Cursor::default());
        overlay.committed();
        assert_eq!((newest(&overlay), overlay.len()), (Some(1), 0));
        overlay.put(subject.clone(), register(2));
        assert_eq!(newest(&overlay), Some(2));
        overlay.begin(Cursor::default());
        overlay.committed();
        assert_eq!(newest(&overlay), Some(2));
        overlay.release();
        assert_eq!(newest(&overlay), None);
    }
}
