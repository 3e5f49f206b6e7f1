//! A broker in this process: the one that librdkafka carries for tests.
//!
//! It keeps about 5 MB of a partition and drops the oldest beyond, read or not.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::Failed;
use crate::run::scenario::Condition;

/// Its only broker.
const BROKER: i32 = 1;
/// What each answer takes more of one that is slow.
const SLOW: Duration = Duration::from_millis(200);

/// An embedded broker. It lives on a thread of its own, which ends when this is dropped: librdkafka's
/// handle stays where it was made.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) servers: String,
    conditions: mpsc::Sender<Option<Condition>>,
}

impl Broker {
    /// A broker with these topics and their partitions.
    pub(super) fn start(topics: &[(&str, i32)]) -> Result<Self, Failed> {
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
        let servers = started
            .recv()?
            .map_err(|why| format!("embedded broker: {why}"))?;
        Ok(Self {
            servers,
            conditions,
        })
    }

    /// From now on it is like that; or well again.
    pub(super) fn set_condition(&self, condition: Option<Condition>) {
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
