//! A simulated Kafka cluster: groups, changelogs, transactions; and the instances that share it.
//!
//! What runs is the product's own supervisor, transactor, takeover and restore. What is here is what
//! the brokers do, and what a client library does between them and the product.

mod act;
mod changelog;
mod doors;
mod fleet;
mod group;
mod member;
mod oracle;
mod slot;
mod topic;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use goldwire::event::Subject;
use goldwire::log::partition_of;
use goldwire::runtime::Portions;
use goldwire::store::MemoryStore;
use goldwire::time::Millis;
use rand::RngExt as _;
use tokio::sync::Notify;

use self::group::Group;
use self::oracle::Handed;
use self::topic::Topic;
use self::transaction::Transaction;
use super::fault::Fault;
use super::plan::Kind;
use super::world::{State, World};

pub(crate) use act::ClusterPlan;
pub(crate) use doors::Doors;
pub(crate) use fleet::run;
pub(crate) use oracle::{Restoring, hands, is_durable, registers_of, store_is_behind};

/// How often the brokers look at their clocks.
const TICK: Duration = Duration::from_millis(100);
/// A member that is not heard of for so long is out of its group.
const SESSION: Millis = 6000;
/// A member that has not given back what it has to after so long is out of its group.
const REBALANCE: Millis = 2000;
/// A transaction that is open for so long is aborted.
const TRANSACTION: Millis = 8000;
/// After all acts, until nothing of them is under way any more.
pub(crate) const SETTLES: Millis = SESSION + REBALANCE + TRANSACTION;

/// A key of a store, and its value or nothing.
type Pair = (Vec<u8>, Option<Vec<u8>>);

/// What the brokers keep.
#[derive(Debug, Default)]
pub(crate) struct Cluster {
    groups: BTreeMap<Kind, Group>,
    topics: BTreeMap<(Kind, u16), Topic>,
    /// Those that are open, by number.
    transactions: BTreeMap<u64, Transaction>,
    /// The groups' offsets.
    offsets: BTreeMap<(Kind, u16), u64>,
    /// Members and transactions are numbered.
    last: u64,
    /// Something was told to members.
    told: Arc<Notify>,
    /// Dead letters: a topic that every instance has all of.
    letters: Arc<MemoryStore>,
    /// Everything that was ever committed to a changelog.
    committed: BTreeMap<Kind, BTreeSet<Pair>>,
    /// What part of each sink's quota each life takes.
    portions: BTreeMap<u64, Portions>,
    /// What tasks handed in to be committed.
    handed: Vec<Handed>,
}

impl Cluster {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

impl World {
    /// What the brokers do by themselves.
    async fn tick(&self) {
        loop {
            tokio::time::sleep(TICK).await;
            let told = {
                let mut state = self.lock();
                state.end_overdue();
                for kind in &self.plan.sinks {
                    self.coordinate(&mut state, *kind);
                    oracle::quota_is_divided(&mut state, *kind);
                }
                compact(&mut state);
                Arc::clone(&state.cluster.told)
            };
            told.notify_waiters();
        }
    }
}

impl World {
    /// Partitions of a sink move for no reason.
    fn shuffle(&self) {
        let mut state = self.lock();
        let index = state.rng.random_range(0..self.plan.sinks.len());
        let kind = self.plan.sinks[index];
        if let Some(group) = state.cluster.groups.get_mut(&kind) {
            group.shuffle();
        }
    }

    /// An instance writes a row.
    pub(crate) fn wrote(&self, state: &mut State, life: u64, kind: Kind, uri: &str) {
        let Some(group) = state.cluster.groups.get(&kind) else {
            return;
        };
        let subject = Subject::new("acme", uri);
        let partition = partition_of(&subject, self.plan.partitions);
        if group.owner(partition) != Some(life) {
            state.hit(Fault::ZombieWrite);
        }
    }
}

/// Now and then the log cleaner comes by.
fn compact(state: &mut State) {
    if !state.rng.random_bool(0.02) {
        return;
    }
    for topic in state.cluster.topics.values_mut() {
        topic.compact();
    }
}
