//! A sink's changelog and its producer, as one life of an instance has them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use goldwire::changelog::{Changelog, ChangelogError, NotCommitted, Ownership, Page, Part};
use goldwire::log::{LogIdentity, OffsetRange, ReadLimit};
use goldwire::store::Batch;
use goldwire::time::Millis;
use rand::RngExt as _;

use super::member::Client;
use crate::fault::Fault;
use crate::host::Host;
use crate::plan::Kind;
use crate::world::millis;

/// How long a read waits for records.
const WAITS: Millis = 100;
/// A step of a transaction that is slow.
const SLOW: Millis = 5000;
/// A commit that no one heard of shows within this time.
const SHOWS: Millis = 4000;

#[derive(Debug)]
pub(super) struct SimChangelog {
    pub(super) host: Arc<Host>,
    pub(super) kind: Kind,
    pub(super) identity: LogIdentity,
    pub(super) client: Arc<Mutex<Client>>,
    pub(super) ownership: Arc<Ownership>,
}

impl SimChangelog {
    pub(super) fn new(
        host: &Arc<Host>,
        kind: Kind,
        client: &Arc<Mutex<Client>>,
        ownership: &Arc<Ownership>,
    ) -> Self {
        {
            let mut state = host.lock();
            state.end_left_open(kind, host.slot);
        }
        Self {
            host: Arc::clone(host),
            kind,
            identity: LogIdentity {
                id: format!("{}.changelog", kind.name()),
                partitions: host.plan.partitions,
            },
            client: Arc::clone(client),
            ownership: Arc::clone(ownership),
        }
    }

    async fn asks(&self, longest: Millis) -> Result<(), ChangelogError> {
        self.host.pause(longest).await;
        if self.host.hits(Fault::ChangelogAway) || self.host.hits(Fault::ChangelogFails) {
            return Err(ChangelogError::Retry("simulated".to_owned()));
        }
        Ok(())
    }

    /// The offsets are sent: the coordinator asks for a member of its generation, and for no more.
    fn send_offsets(&self, number: u64, parts: &[Part]) -> Result<(), NotCommitted> {
        let (member, generation) = {
            let client = self.client.lock().unwrap();
            (client.member, client.generation)
        };
        // As the product does with the real one: the generation is known before it is asked whose
        // the partitions are.
        let foreign = |part: &Part| !self.ownership.owns(part.partition, part.epoch);
        let mut state = self.host.lock();
        if parts.iter().any(foreign) {
            state.end_transaction(number, false);
            return Err(aborted("lost meanwhile"));
        }
        let group = state.cluster.groups.get(&self.kind);
        if !group.is_some_and(|group| group.may_commit(member, generation)) {
            state.hit(Fault::OldGeneration);
            state.end_transaction(number, false);
            return Err(aborted("illegal generation"));
        }
        let Some(of) = state.cluster.transactions.get_mut(&number) else {
            return Err(aborted("the brokers ended it"));
        };
        let positions = parts.iter();
        let positions = positions.filter_map(|part| Some((part.partition, part.position?)));
        of.offsets.extend(positions);
        Ok(())
    }

    fn write(&self, number: u64, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted> {
        let mut state = self.host.lock();
        let written = state.write_parts(number, parts);
        written.ok_or_else(|| aborted("the brokers ended it"))
    }

    /// The next step of a transaction, which may take long.
    async fn goes_on(&self) {
        let slow = self.host.hits(Fault::TransactionSlow);
        self.host.pause(if slow { SLOW } else { 60 }).await;
    }

    /// Aborts for no reason of its own.
    fn abort(&self, number: u64) -> Result<(), NotCommitted> {
        if !self.host.hits(Fault::TransactionAborted) {
            return Ok(());
        }
        let mut state = self.host.lock();
        state.end_transaction(number, false);
        Err(aborted("simulated"))
    }

    /// The commit is sent, and its answer is lost.
    fn doubt(&self, number: u64) -> Result<(), NotCommitted> {
        if !self.host.hits(Fault::TransactionDoubt) {
            return Ok(());
        }
        self.host.crashes(self.host.life);
        let mut state = self.host.lock();
        let committed = state.rng.random_bool(0.6);
        let at = state.now() + state.rng.random_range(0..SHOWS);
        if let Some(of) = state.cluster.transactions.get_mut(&number) {
            of.will = Some((committed, at));
        }
        Err(NotCommitted::InDoubt("simulated".to_owned()))
    }
}

fn aborted(why: &str) -> NotCommitted {
    NotCommitted::Aborted(why.to_owned())
}

#[async_trait]
impl Changelog for SimChangelog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    async fn committed(&self, partition: u16) -> Result<Option<u64>, ChangelogError> {
        self.asks(20).await?;
        let offset = {
            let state = self.host.lock();
            let open = state.cluster.transactions.values();
            let mut unstable = open.filter(|it| it.is_of(self.kind));
            if unstable.any(|it| it.offsets.contains_key(&partition)) {
                return Err(ChangelogError::Retry("offsets are not stable".to_owned()));
            }
            let of = (self.kind, partition);
            state.cluster.offsets.get(&of).copied()
        };
        self.host.pause(20).await;
        Ok(offset)
    }

    async fn range(&self, partition: u16) -> Result<OffsetRange, ChangelogError> {
        self.asks(20).await?;
        let mut state = self.host.lock();
        let topic = state.cluster.topics.entry((self.kind, partition));
        let end = topic.or_default().stable();
        Ok(OffsetRange { start: 0, end })
    }

    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Page, ChangelogError> {
        self.asks(20).await?;
        let lags = self.host.hits(Fault::ChangelogLags);
        let page = {
            let mut state = self.host.lock();
            // Fetches are of any size.
            let most = state.rng.random_range(1..=6).min(limit.records);
            let topic = state.cluster.topics.entry((self.kind, partition));
            topic.or_default().read(from, most)
        };
        if lags || page.next <= from {
            tokio::time::sleep(millis(WAITS)).await;
            self.host.awake().await;
            return Ok(Page {
                records: Vec::new(),
                next: from,
            });
        }
        self.host.pause(20).await;
        Ok(page)
    }

    async fn put(&self, partition: u16, changes: Batch) -> Result<u64, ChangelogError> {
        self.may_put(partition);
        self.asks(20).await?;
        let last = {
            let mut state = self.host.lock();
            let topic = state.cluster.topics.entry((self.kind, partition));
            let last = topic.or_default().append(&changes, None);
            state.cluster.is_committed(self.kind, changes.changes);
            last
        };
        self.host.pause(20).await;
        if self.host.hits(Fault::PutStored) {
            return Err(ChangelogError::Retry("simulated".to_owned()));
        }
        Ok(last)
    }

    async fn transact(&self, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted> {
        self.may_transact(parts);
        self.host.pause(20).await;
        if self.host.hits(Fault::ChangelogAway) {
            return Err(aborted("simulated"));
        }
        let (number, early) = {
            let mut state = self.host.lock();
            let number = state.begin_transaction(self.kind, self.host.slot);
            (number, state.rng.random_bool(0.5))
        };
        // A client library sends records when it likes.
        let mut nexts = Vec::new();
        if early {
            nexts = self.write(number, parts)?;
            self.goes_on().await;
        }
        self.abort(number)?;
        self.send_offsets(number, parts)?;
        self.goes_on().await;
        if !early {
            nexts = self.write(number, parts)?;
            self.goes_on().await;
        }
        self.abort(number)?;
        self.doubt(number)?;
        {
            let mut state = self.host.lock();
            if !state.cluster.transactions.contains_key(&number) {
                return Err(aborted("the brokers ended it"));
            }
            state.end_transaction(number, true);
        }
        self.host.pause(60).await;
        Ok(nexts)
    }
}
