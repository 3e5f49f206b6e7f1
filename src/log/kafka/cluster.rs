//! The brokers that a log is at, and its topics there.
//!
//! Guarantee: nothing is appended to or read from a topic before it was seen to keep what it gets.
//! A topic that does not is refused with a sentence that names the remedy; none is changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::config::KafkaLogConfig;
use super::topics::{Found, Kind, Topic};
use crate::kafka::{self, Complaints, Place, Reports, code};
use crate::log::LogError;

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Between two questions to brokers that do not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Brokers that answered once, and what a log there is made with.
pub struct KafkaCluster {
    pub(super) config: KafkaLogConfig,
    /// What the topics' names begin with.
    prefix: String,
    /// Bytes of the largest record.
    pub(super) largest: u64,
    id: String,
    admin: Arc<AdminClient<Reports>>,
}

impl fmt::Debug for KafkaCluster {
    /// Without the properties: they hold passwords (G10).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCluster")
            .field("id", &self.id)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl KafkaCluster {
    /// Waits until the brokers of `config` answer, however long that takes, and says so meanwhile.
    /// `body` is the largest body that a source takes.
    ///
    /// # Errors
    /// If librdkafka makes no client of the configuration.
    pub async fn reach(
        config: &KafkaLogConfig,
        app: &str,
        body: u64,
    ) -> Result<Arc<Self>, LogError> {
        let mut cluster = Self {
            prefix: config.prefix(app).to_owned(),
            largest: config.largest(body),
            id: String::new(),
            admin: Arc::new(admin(config)?),
            config: config.clone(),
        };
        let mut waiting = Waiting::default();
        loop {
            let admin = Arc::clone(&cluster.admin);
            let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_cluster_id(ANSWER));
            if let Ok(Some(id)) = asked.await {
                cluster.id = id;
                return Ok(Arc::new(cluster));
            }
            let trouble = cluster.admin.inner().context().trouble();
            let code = trouble.unwrap_or(Code::OperationTimedOut);
            waiting.again(&cluster.config.bootstrap_servers, code).await;
        }
    }

    /// Asks once, for [`check`](Self::check).
    ///
    /// # Errors
    /// A sentence.
    pub async fn ask(config: &KafkaLogConfig, app: &str, body: u64) -> Result<Arc<Self>, String> {
        let reached = Self::reach(config, app, body);
        match tokio::time::timeout(ANSWER, reached).await {
            Ok(Ok(cluster)) => Ok(cluster),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!(
                "the broker at {} does not answer; check address, TLS and password",
                config.bootstrap_servers
            )),
        }
    }

    /// How the log is configured.
    pub fn config(&self) -> &KafkaLogConfig {
        &self.config
    }

    /// Bytes of the largest record.
    pub fn largest(&self) -> u64 {
        self.largest
    }

    /// Which cluster it is.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The topic of dead letters.
    pub fn letters(&self) -> Topic {
        Topic {
            name: self.topic("dead-letters"),
            partitions: self.config.partitions,
            kind: Kind::DeadLetters,
        }
    }

    /// The inbox topic.
    pub fn inbox(&self) -> Topic {
        Topic {
            name: self.topic("inbox"),
            partitions: self.config.partitions,
            kind: Kind::Inbox,
        }
    }

    /// The name of a topic of this log.
    pub fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// Makes those of the topics that are not there, and sees that the others are as they have to
    /// be. Brokers that are away are waited for.
    ///
    /// # Errors
    /// [`LogError::Refused`] with the remedy.
    pub async fn prepare(&self, topics: &[Topic]) -> Result<(), LogError> {
        let mut waiting = Waiting::default();
        for topic in topics {
            loop {
                match self.prepare_one(topic).await {
                    Ok(()) => break,
                    Err(Trouble::Refused(why)) => return Err(LogError::Refused(why)),
                    Err(Trouble::Retry(code)) => waiting.again(&topic.name, code).await,
                }
            }
        }
        Ok(())
    }

    /// What is wrong with the topics that are there; those that are not are made at the start.
    pub async fn check(&self, topics: &[Topic]) -> Vec<String> {
        let mut problems = Vec::new();
        for topic in topics {
            match self.find(&topic.name).await {
                Ok(Some(found)) => problems.extend(topic.unfit(&found, self.largest).err()),
                Ok(None) => {}
                Err(Trouble::Refused(why)) => problems.push(why),
                Err(Trouble::Retry(code)) => {
                    return vec![format!("the broker does not answer ({code:?})")];
                }
            }
        }
        problems
    }

    async fn prepare_one(&self, topic: &Topic) -> Result<(), Trouble> {
        if let Some(found) = self.find(&topic.name).await? {
            topic
                .unfit(&found, self.largest)
                .map_err(Trouble::Refused)?;
            if found.replication < usize::from(self.config.replication) {
                let (name, there, wanted) =
                    (&topic.name, found.replication, self.config.replication);
                tracing::warn!(
                    "topic {name} has {there} copies of each partition, and \
                     log.kafka.replication says {wanted}; reassign its partitions to more brokers"
                );
            }
            return Ok(());
        }
        self.make(topic).await
    }

    async fn make(&self, topic: &Topic) -> Result<(), Trouble> {
        let replication = self.config.replication;
        let settings = topic.kind.settings(self.largest, replication);
        let fixed = TopicReplication::Fixed(i32::from(replication));
        let mut new = NewTopic::new(&topic.name, i32::from(topic.partitions), fixed);
        for (key, value) in &settings {
            new = new.set(key, value);
        }
        let made = self.admin.create_topics([&new], &options()).await;
        let made = made.map_err(|error| Trouble::Retry(code(&error)))?;
        match made.into_iter().next() {
            Some(Ok(_)) => {
                tracing::info!(
                    topic = topic.name,
                    partitions = topic.partitions,
                    "topic made"
                );
                Ok(())
            }
            // Another instance was faster: what it made is looked at.
            Some(Err((_, Code::TopicAlreadyExists))) => {
                Err(Trouble::Retry(Code::TopicAlreadyExists))
            }
            Some(Err((_, code))) => Err(self.not_made(topic, code)),
            None => Err(Trouble::Retry(Code::Unknown)),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "librdkafka has over a hundred codes; what has no remedy of its own is tried again"
    )]
    fn not_made(&self, topic: &Topic, code: Code) -> Trouble {
        let (name, replication) = (&topic.name, self.config.replication);
        match code {
            Code::InvalidReplicationFactor => Trouble::Refused(format!(
                "topic {name} cannot be made: there are fewer brokers than the {replication} that \
                 log.kafka.replication asks for; start more, or lower it (1 is for tests)"
            )),
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                Trouble::Refused(format!(
                    "no permission to make topic {name}: grant Create on it, or make it with {} \
                     partitions and {}",
                    topic.partitions,
                    topic.kind.words(self.largest, replication)
                ))
            }
            Code::PolicyViolation | Code::InvalidConfig | Code::InvalidPartitions => {
                Trouble::Refused(format!(
                    "the brokers do not make topic {name} as it has to be ({code:?}): make it with \
                     {} partitions and {}",
                    topic.partitions,
                    topic.kind.words(self.largest, replication)
                ))
            }
            code => Trouble::Retry(code),
        }
    }

    /// The topic as it is; nothing if it is not there.
    async fn find(&self, name: &str) -> Result<Option<Found>, Trouble> {
        super::topics::find(&self.admin, name, ANSWER).await
    }

    /// Deletes what lies below these offsets.
    pub(super) async fn delete_records(
        &self,
        below: &rdkafka::TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let deleted = self.admin.delete_records(below, &options()).await?;
        let results = deleted
            .elements()
            .into_iter()
            .map(|element| element.error());
        results.collect()
    }
}

/// The topics of a log with these sinks, that of the events first. `expires`: the brokers may delete what was not read.
pub fn topics(
    cluster: &KafkaCluster,
    sinks: impl IntoIterator<Item = impl fmt::Display>,
    expires: bool,
) -> Vec<Topic> {
    let partitions = cluster.config.partitions;
    let events = Topic {
        name: cluster.topic("events"),
        partitions,
        kind: Kind::Events { expires },
    };
    let changelogs = sinks.into_iter().map(|sink| Topic {
        name: cluster.topic(&format!("{sink}.changelog")),
        partitions,
        kind: Kind::Changelog,
    });
    let others = [events, cluster.letters(), cluster.inbox()];
    others.into_iter().chain(changelogs).collect()
}

/// Why a topic is not as it should be.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The brokers may answer later.
    Retry(Code),
    /// A person has to act.
    Refused(String),
}

fn admin(config: &KafkaLogConfig) -> Result<AdminClient<Reports>, LogError> {
    let client: ClientConfig = config.client();
    let made = client.create_with_context(Reports::default());
    made.map_err(|error| {
        let why = kafka::complaint(&config.properties, &error);
        LogError::Refused(format!("log.kafka.{why}"))
    })
}

fn options() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER))
        .operation_timeout(Some(ANSWER))
}

/// Says what is waited for, not too often.
#[derive(Default)]
struct Waiting(Complaints);

impl Waiting {
    async fn again(&mut self, topic: &str, code: Code) {
        if code != Code::TopicAlreadyExists {
            let place = Place {
                bootstrap: topic,
                topic,
                group: "",
            };
            if let Some((meaning, suppressed)) = self.0.tell(&place, code) {
                tracing::warn!(?code, suppressed, "log.kafka: {meaning}; waiting for it");
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}
