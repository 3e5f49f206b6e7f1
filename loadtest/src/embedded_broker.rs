//! A broker in this process: the one that librdkafka carries for tests.
//!
//! It keeps about 5 MB of a partition and drops the oldest beyond, read or not.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use serde::Deserialize;

/// Its only broker.
const BROKER: i32 = 1;
/// What each answer takes more of one that is slow.
const SLOW: Duration = Duration::from_millis(200);

/// What is wrong with a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// It does not answer.
    Away,
    /// Each answer takes 200 ms more.
    Slow,
}

/// An embedded broker. It lives on a thread of its own, which ends when this is dropped: librdkafka's
/// handle stays where it was made.
#[derive(Debug)]
pub struct EmbeddedBroker {
    servers: String,
    conditions: mpsc::Sender<Option<Condition>>,
}

impl EmbeddedBroker {
    /// A broker with these topics and their partitions.
    ///
    /// # Errors
    /// Why librdkafka makes none, in a sentence.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, String> {
        let topics: Vec<_> = topics
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        let (conditions, wanted) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            let made = cluster(&topics);
            let servers = made.as_ref().map(MockCluster::bootstrap_servers);
            // Both ends can only fail when the run is over.
            ready.send(servers.map_err(ToString::to_string)).ok();
            let Ok(cluster) = made else { return };
            while let Ok(condition) = wanted.recv() {
                if let Err(error) = set(&cluster, condition) {
                    tracing::warn!("the embedded broker stays as it was: {error}");
                }
            }
        });
        let failed = |why: String| format!("embedded broker: {why}");
        let servers = started.recv().map_err(|error| failed(error.to_string()))?;
        let servers = servers.map_err(failed)?;
        Ok(Self {
            servers,
            conditions,
        })
    }

    /// Where clients find it, `host:port`.
    pub fn servers(&self) -> &str {
        &self.servers
    }

    /// From now on it is like that; or well again.
    pub fn set_condition(&self, condition: Option<Condition>) {
        // The thread lives as long as this.
        self.conditions.send(condition).ok();
    }
}

fn cluster(topics: &[(String, i32)]) -> KafkaResult<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    for (name, partitions) in topics {
        cluster.create_topic(name, *partitions, 1)?;
    }
    Ok(cluster)
}

fn set(
    cluster: &MockCluster<'static, DefaultProducerContext>,
    condition: Option<Condition>,
) -> KafkaResult<()> {
    match condition {
        Some(Condition::Away) => cluster.broker_down(BROKER),
        Some(Condition::Slow) => cluster.broker_round_trip_time(BROKER, SLOW),
        None => {
            cluster.broker_round_trip_time(BROKER, Duration::ZERO)?;
            cluster.broker_up(BROKER)
        }
    }
}
