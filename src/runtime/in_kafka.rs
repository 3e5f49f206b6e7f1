//! What an instance is made of where the event log is in Kafka: the log, a group's member for each
//! sink, and a changelog beside it.
//!
//! Guarantee (G2, G3): the reader of a group and what commits for it know of the same assignments.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::StartError;
use super::inbox::GroupOffsets;
use super::parts::{MakeCheckpoint, MakeReader};
use super::refreshes::MakeOffsets;
use crate::changelog::{
    Changelog, ChangelogCheckpoint, ChangelogOf, KafkaChangelog, Ownership, Transactor,
};
use crate::config::ByteSize;
use crate::dead_letter::DeadLetters;
use crate::dead_letter::topic::{KafkaTopic, TopicLetters};
use crate::log::kafka::{GroupOf, KafkaCluster, KafkaGroup, KafkaLog, KafkaLogConfig, topics};
use crate::log::{LogError, LogReader, ReaderEvent};
use crate::sink::OnFull;
use crate::source::Source;
use crate::source::kafka::KafkaSource;
use crate::store::{Batch, Store, keys};
use crate::time::SharedClock;
use crate::topology::Config;

/// The event log in Kafka, and the brokers that it is at.
#[derive(Debug, Clone)]
pub(super) struct InKafka {
    cluster: Arc<KafkaCluster>,
    pub(super) log: Arc<KafkaLog>,
}

/// A member of a sink's group, and how it commits.
pub(super) struct Joined {
    /// The group.
    pub(super) name: String,
    pub(super) group: KafkaGroup,
    pub(super) changelog: Arc<dyn Changelog>,
    pub(super) transactor: Arc<Transactor>,
}

/// The largest body that a source takes.
pub(super) fn largest_body(config: &Config) -> u64 {
    let sources = config.sources.values();
    let bodies = sources.flat_map(|source| {
        let kafka = source.kafka.as_ref().map(|kafka| &kafka.max_body);
        let hook = source.webhook.as_ref().map(|hook| &hook.max_body);
        kafka.into_iter().chain(hook)
    });
    bodies.map(ByteSize::get).max().unwrap_or_default()
}

/// Every sink may be gone on without, so that brokers may delete what was not read.
fn may_expire(config: &Config) -> bool {
    let mut sinks = config.sinks.values();
    sinks.all(|sink| sink.on_full == OnFull::Detach)
}

/// What is wrong with the brokers and the topics that are there: a sentence each.
pub(crate) async fn probe(config: &Config, kafka: &KafkaLogConfig) -> Vec<String> {
    match KafkaCluster::ask(kafka, &config.app, largest_body(config)).await {
        Ok(cluster) => {
            let topics = topics(&cluster, config.sinks.keys(), may_expire(config));
            cluster.check(&topics).await
        }
        Err(why) => vec![why],
    }
}

impl InKafka {
    /// Waits for the brokers, makes the topics, and opens the log.
    pub(super) async fn open(config: &Config, kafka: &KafkaLogConfig) -> Result<Self, StartError> {
        let cluster = KafkaCluster::reach(kafka, &config.app, largest_body(config)).await?;
        let topics = topics(&cluster, config.sinks.keys(), may_expire(config));
        cluster.prepare(&topics).await?;
        let events = topics
            .first()
            .ok_or_else(|| StartError::Refused("log.kafka: no topic for the events".to_owned()))?;
        let readers = config.sinks.keys();
        let readers = readers.map(|sink| format!("{}.{sink}", config.app));
        let log = KafkaLog::open(&cluster, events, readers.collect(), config.log.keep.get());
        Ok(Self {
            log: Arc::new(log.await?),
            cluster,
        })
    }

    /// Joins the groups of these sinks: how each reads the log, and how it commits.
    pub(super) fn join<'a>(
        &self,
        config: &Config,
        sinks: impl Iterator<Item = &'a str>,
        store: &Arc<dyn Store>,
        clock: &SharedClock,
    ) -> Result<(MakeReader, MakeCheckpoint), StartError> {
        let instance = self.instance(store)?;
        let (mut groups, mut transactors) = (BTreeMap::new(), BTreeMap::new());
        for sink in sinks {
            let joined = self.join_one(config, (sink, &instance), store, clock)?;
            groups.insert(joined.name.clone(), joined.group);
            transactors.insert(joined.name, joined.transactor);
        }
        Ok((readers(groups), checkpoints(transactors)))
    }

    /// How the positions of a group that reads the log are found out.
    pub(super) fn offsets(&self) -> MakeOffsets {
        let log = Arc::clone(&self.log);
        Arc::new(move |group: &str| -> Arc<dyn GroupOffsets> {
            Arc::new(Standing {
                log: Arc::clone(&log),
                group: group.to_owned(),
            })
        })
    }

    /// The dead letters, which are read into `store` from now on.
    pub(super) fn letters(
        &self,
        store: &Arc<dyn Store>,
        clock: &SharedClock,
    ) -> Result<Arc<dyn DeadLetters>, StartError> {
        let topic = KafkaTopic::open(&self.cluster, &self.cluster.letters())?;
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        Ok(Arc::new(TopicLetters::start(Arc::new(topic), store, clock)))
    }

    /// The inbox topic, of which what ingest has passed is deleted.
    pub(super) async fn inbox(&self, group: &str) -> Result<Arc<KafkaLog>, StartError> {
        let (topic, readers) = (self.cluster.inbox(), vec![group.to_owned()]);
        let log = KafkaLog::open(&self.cluster, &topic, readers, Duration::ZERO).await?;
        Ok(Arc::new(log))
    }

    /// A member of the group that ingests the inbox topic.
    pub(super) fn inbox_source(
        &self,
        config: &Config,
        group: &str,
        clock: &SharedClock,
    ) -> Result<Box<dyn Source>, StartError> {
        let drain = config.delivery.drain_timeout.get();
        let made = KafkaSource::inbox(&self.cluster, group, Arc::clone(clock), drain);
        let made = made.map_err(|why| StartError::Refused(format!("log.kafka: {why}")))?;
        Ok(Box::new(made))
    }

    /// Joins the group of one sink, as this instance.
    pub(super) fn join_one(
        &self,
        config: &Config,
        (sink, instance): (&str, &str),
        store: &Arc<dyn Store>,
        clock: &SharedClock,
    ) -> Result<Joined, StartError> {
        let name = format!("{}.{sink}", config.app);
        let ownership = Arc::new(Ownership::default());
        let group = self.log.join(GroupOf {
            sink: sink.to_owned(),
            group: name.clone(),
            owners: Arc::<Ownership>::clone(&ownership),
            drain: config.delivery.drain_timeout.get(),
        })?;
        let changelog = KafkaChangelog::new(ChangelogOf {
            cluster: Arc::clone(&self.cluster),
            sink: sink.to_owned(),
            group: name.clone(),
            instance: instance.to_owned(),
            member: Some((Arc::clone(group.member()), Arc::clone(&ownership))),
        });
        let refused = |why| StartError::Refused(format!("log.kafka.{why}"));
        let changelog: Arc<dyn Changelog> = Arc::new(changelog.map_err(refused)?);
        let (store, clock) = (Arc::clone(store), Arc::clone(clock));
        let there = Arc::clone(&changelog);
        let transactor = Transactor::new(sink, there, store, ownership, clock);
        Ok(Joined {
            name,
            group,
            changelog,
            transactor: Arc::new(transactor),
        })
    }

    /// What tells this instance from others: its configured name, or one made once for its store.
    pub(super) fn instance(&self, store: &Arc<dyn Store>) -> Result<String, StartError> {
        if let Some(instance) = &self.cluster.config().instance {
            return Ok(instance.clone());
        }
        if let Some(found) = store.get(keys::INSTANCE)? {
            return Ok(String::from_utf8_lossy(&found).into_owned());
        }
        let made = uuid::Uuid::new_v4().to_string();
        let mut batch = Batch::default();
        batch.put(keys::INSTANCE.to_vec(), made.clone().into_bytes());
        store.commit(batch)?;
        Ok(made)
    }
}

/// A group of a log in Kafka.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) log: Arc<KafkaLog>,
    pub(super) group: String,
}

#[async_trait]
impl GroupOffsets for Standing {
    async fn committed(&self) -> Result<Vec<Option<u64>>, LogError> {
        self.log.committed(&self.group).await
    }
}

/// Each group has one reader, made already.
fn readers(groups: BTreeMap<String, KafkaGroup>) -> MakeReader {
    let groups = Mutex::new(groups);
    Arc::new(move |group| {
        let mut groups = groups.lock().unwrap_or_else(PoisonError::into_inner);
        match groups.remove(group) {
            Some(joined) => Box::new(joined),
            None => Box::new(Nobody(Some(format!("group {group} has a reader already")))),
        }
    })
}

fn checkpoints(transactors: BTreeMap<String, Arc<Transactor>>) -> MakeCheckpoint {
    Arc::new(
        move |to_store, epoch| match transactors.get(&to_store.group) {
            Some(transactor) => {
                let transactor = Arc::clone(transactor);
                Arc::new(ChangelogCheckpoint::new(to_store, transactor, epoch))
            }
            None => Arc::new(to_store),
        },
    )
}

/// A reader that has nothing to read.
#[derive(Debug)]
struct Nobody(Option<String>);

#[async_trait]
impl LogReader for Nobody {
    async fn next(&mut self) -> ReaderEvent {
        match self.0.take() {
            Some(why) => ReaderEvent::Halted(why),
            None => std::future::pending().await,
        }
    }
}
