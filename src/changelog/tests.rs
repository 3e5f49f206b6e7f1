//! Takeover, transactions and restore over a changelog in memory.

use std::sync::{Arc, Mutex, MutexGuard};

use super::*;
use crate::engine::checkpoint::{
    Checkpoint as _, CommitBatch, CommitError, StoreCheckpoint, TakeoverError, Wanted,
};
use crate::event::Subject;
use crate::store::{Cursor, MemoryStore, Register, Store};
use crate::time::{SharedClock, TokioClock};

#[derive(Debug, Default)]
struct Topic {
    records: Vec<ChangelogRecord>,
    end: u64,
    committed: Option<u64>,
    /// What the next transaction comes to.
    fails: Option<NotCommitted>,
    /// Whether one of unknown outcome is there all the same.
    lands: bool,
    transactions: usize,
}

/// One partition of a changelog, and its group's offset.
#[derive(Debug)]
struct InMemory {
    identity: LogIdentity,
    topic: Mutex<Topic>,
}

impl InMemory {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            identity: LogIdentity {
                id: "kafka:c/app.crm.changelog".to_owned(),
                partitions: 1,
            },
            topic: Mutex::default(),
        })
    }

    fn topic(&self) -> MutexGuard<'_, Topic> {
        self.topic.lock().unwrap()
    }
}

impl Topic {
    fn append(&mut self, changes: &Batch) -> Option<u64> {
        for (key, value) in &changes.changes {
            let record = ChangelogRecord {
                offset: self.end,
                key: Bytes::from(key.clone()),
                value: value.clone().map(Bytes::from),
            };
            self.records.push(record);
            self.end += 1;
        }
        let last = self.end.checked_sub(1);
        last.filter(|_| !changes.is_empty())
    }
}

#[async_trait]
impl Changelog for InMemory {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn committed(&self, _: u16) -> Result<Option<u64>, ChangelogError> {
        Ok(self.topic().committed)
    }

    async fn range(&self, _: u16) -> Result<OffsetRange, ChangelogError> {
        let end = self.topic().end;
        Ok(OffsetRange { start: 0, end })
    }

    async fn read(&self, _: u16, from: u64, limit: ReadLimit) -> Result<Page, ChangelogError> {
        let topic = self.topic();
        let after = topic.records.iter().filter(|it| it.offset >= from);
        let records: Vec<_> = after.take(limit.records).cloned().collect();
        let next = records.last().map_or(topic.end, |it| it.offset + 1);
        Ok(Page { records, next })
    }

    async fn put(&self, _: u16, changes: Batch) -> Result<u64, ChangelogError> {
        Ok(self.topic().append(&changes).unwrap_or_default())
    }

    async fn transact(&self, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted> {
        let mut topic = self.topic();
        topic.transactions += 1;
        let fails = topic.fails.take();
        let lands = fails.is_none() || topic.lands;
        let mut nexts = Vec::new();
        for part in parts.iter().filter(|_| lands) {
            nexts.push(topic.append(&part.changes).map(|last| last + 1));
            topic.committed = part.position.or(topic.committed);
        }
        // The marker of the transaction's end takes an offset.
        topic.end += 1;
        fails.map_or(Ok(nexts), Err)
    }
}

/// An instance with a store of its own.
struct Here {
    store: Arc<dyn Store>,
    ownership: Arc<Ownership>,
    checkpoint: ChangelogCheckpoint,
}

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(1_800_000_000_000))
}

fn here(changelog: &Arc<InMemory>, store: Arc<dyn Store>) -> Here {
    let ownership = Arc::new(Ownership::default());
    let epoch = ownership.take(0);
    let changelog: Arc<dyn Changelog> = Arc::<InMemory>::clone(changelog);
    let (of, owned) = (Arc::clone(&store), Arc::clone(&ownership));
    let transactor = Arc::new(Transactor::new("crm", changelog, of, owned, clock()));
    let local = StoreCheckpoint {
        store: Arc::clone(&store),
        sink: "crm".to_owned(),
        group: "app.crm".to_owned(),
        partition: 0,
    };
    Here {
        store,
        ownership,
        checkpoint: ChangelogCheckpoint::new(local, transactor, epoch),
    }
}

fn empty() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

fn subject() -> Subject {
    Subject::new("acme", "entities/ada")
}

fn batch(position: u64) -> CommitBatch {
    let newest = i64::try_from(position).unwrap();
    let register = Register {
        newest,
        ..Register::default()
    };
    CommitBatch {
        registers: vec![(subject(), register)],
        cursor: Cursor {
            position,
            ..Cursor::default()
        },
        ..CommitBatch::default()
    }
}

/// What an instance knows after it took over: the position, and of the subject.
async fn known(of: &Here) -> (Option<u64>, Option<i64>) {
    let wanted = Wanted {
        subjects: vec![subject()],
        ..Wanted::default()
    };
    let known = of.checkpoint.lookup(wanted).await.unwrap();
    let newest = known.registers.get(&subject()).map(|it| it.newest);
    let opened = of.checkpoint.open().unwrap();
    (opened.cursor.map(|cursor| cursor.position), newest)
}

#[tokio::test(start_paused = true)]
async fn g3_what_was_committed_anywhere_is_known_wherever_the_partition_goes() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    assert_eq!(known(&one).await, (None, None));
    for position in [4, 9] {
        one.checkpoint.commit(batch(position)).await.unwrap();
    }
    assert_eq!(known(&one).await, (Some(9), Some(9)));
    let other = here(&changelog, empty());
    other.checkpoint.take_over().await.unwrap();
    assert_eq!(known(&other).await, (Some(9), Some(9)));
    other.checkpoint.commit(batch(12)).await.unwrap();
    let back = here(&changelog, one.store);
    back.checkpoint.take_over().await.unwrap();
    assert_eq!(known(&back).await, (Some(12), Some(12)));
}

#[tokio::test(start_paused = true)]
async fn g3_an_aborted_transaction_is_in_no_store_and_may_be_tried_again() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    changelog.topic().fails = Some(NotCommitted::Aborted("busy".to_owned()));
    let refused = one.checkpoint.commit(batch(4)).await.unwrap_err();
    assert!(matches!(refused, CommitError::Retry(_)), "{refused}");
    assert_eq!(known(&one).await, (None, None));
    one.checkpoint.commit(batch(4)).await.unwrap();
    assert_eq!(known(&one).await, (Some(4), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn g3_one_of_unknown_outcome_ends_the_task_and_is_found_out_by_taking_over() {
    for lands in [false, true] {
        let changelog = InMemory::new();
        let one = here(&changelog, empty());
        one.checkpoint.take_over().await.unwrap();
        changelog.topic().fails = Some(NotCommitted::InDoubt("no answer".to_owned()));
        changelog.topic().lands = lands;
        let refused = one.checkpoint.commit(batch(4)).await.unwrap_err();
        assert!(matches!(refused, CommitError::Fenced(_)), "{refused}");
        one.checkpoint.take_over().await.unwrap();
        let expected = if lands {
            (Some(4), Some(4))
        } else {
            (None, None)
        };
        assert_eq!(known(&one).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn g2_nothing_of_a_partition_that_was_lost_is_committed_or_taken_over() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    one.ownership.lose(&[0]);
    let refused = one.checkpoint.commit(batch(4)).await.unwrap_err();
    assert!(matches!(refused, CommitError::Fenced(_)), "{refused}");
    assert_eq!(changelog.topic().transactions, 0);
    let refused = one.checkpoint.take_over().await.unwrap_err();
    assert!(matches!(refused, TakeoverError::Fenced(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn commits_that_wait_for_a_transaction_are_one_transaction() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    let many = (1..=8).map(|position| one.checkpoint.commit(batch(position)));
    let all: Vec<_> = futures::future::join_all(many).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(changelog.topic().transactions, 1);
}

#[tokio::test(start_paused = true)]
async fn g4_a_store_from_long_ago_is_emptied_before_it_is_restored() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    one.checkpoint.commit(batch(4)).await.unwrap();
    // A key whose tombstone was compacted away meanwhile.
    let mut stale = Batch::default();
    let key = crate::store::keys::register("crm", 0, &Subject::new("acme", "entities/gone"));
    stale.put(key.clone(), Vec::new());
    one.store.commit(stale).unwrap();
    tokio::time::advance(std::time::Duration::from_hours(13)).await;
    one.checkpoint.take_over().await.unwrap();
    assert_eq!(one.store.get(&key).unwrap(), None);
    assert_eq!(known(&one).await, (Some(4), Some(4)));
}

#[tokio::test(start_paused = true)]
async fn a_changelog_that_lost_something_halts_its_sink_with_a_remedy() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    one.checkpoint.commit(batch(4)).await.unwrap();
    {
        let mut topic = changelog.topic();
        (topic.records, topic.end) = (Vec::new(), 0);
    }
    let refused = one.checkpoint.take_over().await.unwrap_err();
    assert!(matches!(refused, TakeoverError::Halted(_)), "{refused}");
    let other = here(&changelog, empty());
    other.checkpoint.take_over().await.unwrap();
    let refused = other.checkpoint.open().unwrap_err();
    assert!(
        refused.to_string().contains("lacks what group app.crm"),
        "{refused}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_a_person_set_back_reads_again_from_there() {
    let changelog = InMemory::new();
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    one.checkpoint.commit(batch(9)).await.unwrap();
    changelog.topic().committed = Some(2);
    one.checkpoint.take_over().await.unwrap();
    assert_eq!(known(&one).await, (Some(2), Some(9)));
    // Offsets of a group without members expire; the changelog has the position too.
    changelog.topic().committed = None;
    one.checkpoint.take_over().await.unwrap();
    assert_eq!(known(&one).await.0, Some(9));
}

#[tokio::test(start_paused = true)]
async fn g2_what_follows_a_task_is_kept_by_its_owner_alone_and_goes_with_the_partition() {
    let changelog = InMemory::new();
    let key = crate::store::keys::refresh("crm", 0, "sales");
    let keeps =
        async |of: &Here, value: &[u8]| of.checkpoint.keep(key.clone(), value.to_vec()).await;
    let one = here(&changelog, empty());
    one.checkpoint.take_over().await.unwrap();
    one.checkpoint.commit(batch(4)).await.unwrap();
    keeps(&one, b"first").await.unwrap();
    keeps(&one, b"second").await.unwrap();
    let stale = empty();
    let mut before = Batch::default();
    let gone = crate::store::keys::refresh("crm", 0, "gone");
    before.put(gone.clone(), Vec::new());
    stale.commit(before).unwrap();
    let other = here(&changelog, stale);
    other.checkpoint.take_over().await.unwrap();
    assert_eq!(other.store.get(&key).unwrap(), Some(b"second".to_vec()));
    assert_eq!(other.store.get(&gone).unwrap(), None);
    assert_eq!(known(&other).await, (Some(4), Some(4)), "positions stay");
    one.ownership.lose(&[0]);
    let transactions = changelog.topic().transactions;
    let refused = keeps(&one, b"third").await.unwrap_err();
    assert!(
        matches!(refused, crate::store::StoreError::Away(_)),
        "{refused}"
    );
    assert_eq!(changelog.topic().transactions, transactions);
}
