//! A changelog in a compacted topic, and transactions that have the group's offsets in them.
//!
//! Guarantee (G2, G3): a transaction is committed with the member's generation. The generation is
//! looked up first, and then whether its partitions are still this process's: a generation in which
//! they are not begins only after that was noted. So a process that was stopped for long commits
//! nothing of what it lost, whatever it is told when it goes on.

mod call;
mod left_open;
mod lost_marker;
mod restore;
mod transaction;

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer as _;
use tokio::sync::Mutex;

use self::left_open::LeftOpen;
use self::lost_marker::{EndedOnes, Marker, TRIES};
use self::restore::Restore;
use self::transaction::Transactions;
use super::{Changelog, ChangelogError, NotCommitted, Ownership, Page, Part};
use crate::kafka::{self, Client, Heard, code};
use crate::log::kafka::{KafkaCluster, Member, offsets};
use crate::log::{LogIdentity, OffsetRange, ReadLimit};
use crate::store::{Batch, keys};

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How long they have to say where the group is: while a transaction is open that has it, they do not.
const STABLE: Duration = Duration::from_secs(1);

/// What a changelog is made of.
#[derive(Debug, Clone)]
pub struct ChangelogOf {
    /// The brokers.
    pub cluster: Arc<KafkaCluster>,
    /// The sink.
    pub sink: String,
    /// Its consumer group.
    pub group: String,
    /// What tells this process from others, the same after a restart.
    pub instance: String,
    /// The group's member, and which partitions are its own. Nothing where no instance runs: the
    /// brokers take offsets of no one while a group has no members.
    pub member: Option<(Arc<Member>, Arc<Ownership>)>,
}

/// Who is asked about the group: its member, or a client that belongs to it and is none.
#[derive(Clone)]
enum Asks {
    Member(Arc<Member>),
    Nobody(Arc<BaseConsumer<Heard>>),
}

impl Asks {
    /// Whether the group may have given the member up without its being told.
    fn may_be_given_up(&self) -> bool {
        match self {
            Self::Member(member) => member.may_be_given_up(),
            Self::Nobody(_) => false,
        }
    }

    fn client(&self) -> Arc<BaseConsumer<Heard>> {
        match self {
            Self::Member(member) => member.consumer(),
            Self::Nobody(client) => Arc::clone(client),
        }
    }
}

/// The changelog of one sink.
pub struct KafkaChangelog {
    identity: LogIdentity,
    topic: String,
    events: String,
    /// Outside of transactions.
    puts: Client,
    asks: Asks,
    of: ChangelogOf,
    restore: Arc<Restore>,
    transactions: Mutex<Transactions>,
    /// Transactions of others, and of this process before it was restarted, that were ended.
    ended: EndedOnes,
}

impl fmt::Debug for KafkaChangelog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaChangelog")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl KafkaChangelog {
    /// Connects when it is first needed.
    ///
    /// # Errors
    /// Why librdkafka makes no client of the configuration.
    pub fn new(of: ChangelogOf) -> Result<Self, String> {
        let cluster = Arc::clone(&of.cluster);
        let (config, largest) = (cluster.config(), cluster.largest());
        let topic = cluster.topic(&format!("{}.changelog", of.sink));
        let partitions = config.partitions;
        let asks = if let Some((member, _)) = &of.member {
            Asks::Member(Arc::clone(member))
        } else {
            let made = config
                .consumer(&of.group, largest)
                .create_with_context(Heard::default());
            let made = made.map_err(|error| kafka::complaint(&config.properties, &error))?;
            Asks::Nobody(Arc::new(made))
        };
        let puts = Client::new(config.producer(largest), config.properties.clone());
        // It is known to the brokers by the time that a partition comes.
        puts.producer()?;
        let restore = Arc::new(Restore::new(&cluster, &topic, &of.group));
        Ok(Self {
            of: of.clone(),
            restore,
            identity: LogIdentity {
                id: format!("kafka:{}/{topic}", cluster.id()),
                partitions,
            },
            events: cluster.topic("events"),
            puts,
            transactions: Mutex::new(Transactions::new(of, topic.clone(), asks.clone())),
            ended: EndedOnes::default(),
            asks,
            topic,
        })
    }
}

/// Drops a client on a thread of its own: it waits for librdkafka's threads, and those for brokers.
fn dispose<T: Send + 'static>(client: T) {
    thread::spawn(move || drop(client));
}

/// The brokers did not answer as they should. They may later.
fn retry(topic: &str, error: &KafkaError) -> ChangelogError {
    ChangelogError::Retry(format!("topic {topic}: {:?}", code(error)))
}

impl KafkaChangelog {
    /// Ends the transaction of `owner`, or one of this process before it was restarted, that is open
    /// from `open` on. Returns whether a marker was written for the latter.
    async fn end(
        &self,
        partition: u16,
        open: u64,
        owner: Option<String>,
    ) -> Result<bool, ChangelogError> {
        let (sink, topic) = (&*self.of.sink, &*self.topic);
        let letters = self.of.cluster.topic("dead-letters");
        let times = self.ended.times(partition, open);
        let marker = (1..=TRIES).contains(&times).then_some(Marker {
            topic,
            partition,
            instance: &self.of.instance,
            letters: (&letters, self.of.cluster.config().partitions),
        });
        let marks = marker.is_some();
        let ended = match &owner {
            Some(owner) => transaction::end_of(&self.of, owner, marker).await,
            None => match self.transactions.try_lock() {
                Ok(mut own) => own.end_own(marker).await,
                // Held by a transaction that is under way, which ends by itself.
                Err(_) => return Ok(false),
            },
        };
        let own = owner.is_none();
        let owner = owner.as_deref().unwrap_or("this instance");
        let said = match &ended {
            Ok(()) if marks => "it was ended before, and its marker is missing: one was written",
            Ok(()) => "ended",
            Err(_) => "it could not be ended; the brokers do",
        };
        let why = ended.as_ref().err();
        tracing::warn!(
            sink,
            partition,
            open,
            owner,
            why,
            "a transaction was left open: {said}"
        );
        ended.map_err(ChangelogError::Retry)?;
        self.ended.note(partition, open, times + 1);
        if times == TRIES + 1 {
            tracing::error!(
                sink,
                "a transaction stays open, and the partition cannot be taken over: look for it with \
                 `kafka-transactions.sh find-hanging`, and end it with `kafka-transactions.sh abort \
                 --topic {topic} --partition {partition} --start-offset {open}`"
            );
        }
        Ok(own && marks)
    }
}

#[async_trait]
impl Changelog for KafkaChangelog {
    fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    fn instance(&self) -> String {
        self.of.instance.clone()
    }

    async fn end_open(&self, partition: u16, from: u64) -> Result<bool, ChangelogError> {
        let look = LeftOpen::of(&self.of, &self.topic, partition).await;
        let look = look.map_err(|why| ChangelogError::Retry(why.to_string()))?;
        // In this order: what is open ends below what was there before it was looked for.
        let range = self.range(partition).await?;
        if range.end >= look.end {
            return Ok(false);
        }
        let owner = look.owner(from.max(range.start), range.end).await;
        let owner = owner.map_err(|why| ChangelogError::Retry(why.to_string()))?;
        let owner = owner.filter(|owner| *owner != self.of.instance);
        self.end(partition, range.end, owner).await
    }

    async fn committed(&self, partition: u16) -> Result<Option<u64>, ChangelogError> {
        let (asks, events) = (self.asks.clone(), self.events.clone());
        let asked = tokio::task::spawn_blocking(move || {
            offsets::committed(&asks.client(), &events, &[partition], STABLE)
        });
        let told = asked
            .await
            .map_err(|error| ChangelogError::Retry(error.to_string()))?;
        let told = told.map_err(|error| retry(&self.events, &error))?;
        Ok(told.first().and_then(|(_, offset)| *offset))
    }

    async fn range(&self, partition: u16) -> Result<OffsetRange, ChangelogError> {
        let (asks, topic) = (self.asks.clone(), self.topic.clone());
        let asked = tokio::task::spawn_blocking(move || match asks {
            Asks::Member(member) => member.ranges(&topic, &[partition], ANSWER),
            Asks::Nobody(client) => offsets::ranges(&client, &topic, &[partition], ANSWER),
        });
        let told = asked
            .await
            .map_err(|error| ChangelogError::Retry(error.to_string()))?;
        let told = told.map_err(|error| retry(&self.topic, &error))?;
        let range = told.first().map(|(_, start, end)| OffsetRange {
            start: *start,
            end: *end,
        });
        range.ok_or_else(|| ChangelogError::Retry(format!("topic {}: no answer", self.topic)))
    }

    async fn read(
        &self,
        partition: u16,
        from: u64,
        limit: ReadLimit,
    ) -> Result<Page, ChangelogError> {
        let restore = Arc::clone(&self.restore);
        let read = tokio::task::spawn_blocking(move || restore.read(partition, from, limit));
        read.await
            .map_err(|error| ChangelogError::Retry(error.to_string()))?
    }

    async fn put(&self, partition: u16, changes: Batch) -> Result<u64, ChangelogError> {
        let marks = changes.changes.contains_key(keys::TAKEOVER);
        let producer = self.puts.producer().map_err(ChangelogError::Halt)?;
        let rows = transaction::rows(partition, &changes);
        let placed = transaction::send(&producer, &self.topic, &rows).await;
        let placed = placed.map_err(|code| {
            let trouble = producer.context().trouble().unwrap_or(code);
            ChangelogError::Retry(format!("topic {}: {trouble:?}", self.topic))
        })?;
        let last = placed.into_iter().max().unwrap_or_default();
        if marks {
            self.restore.until(partition, last);
        }
        Ok(last)
    }

    async fn transact(&self, parts: &[Part]) -> Result<Vec<Option<u64>>, NotCommitted> {
        self.transactions.lock().await.transact(parts).await
    }
}
