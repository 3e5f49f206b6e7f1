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
use crate::run::scenario::Bad;

/// Its only broker.
const BROKER: i32 = 1;
/// What each answer takes more of one that is slow.
const SLOW: Duration = Duration::from_millis(200);

/// An embedded broker. It lives on a thread of its own, which ends when this is dropped: librdkafka's
/// handle stays where it was made.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) servers: String,
    orders: mpsc::Sender<Option<Bad>>,
}

impl Broker {
    /// A broker with these topics and their partitions.
    pub(super) fn start(topics: &[(&str, i32)]) -> Result<Self, Failed> {
        let topics: Vec<_> = topics
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect();
        let (orders, ordered) = mpsc::channel();
        let (ready, started) = mpsc::channel();
        thread::spawn(move || {
            let made = cluster(&topics);
            let servers = made.as_ref().map(MockCluster::bootstrap_servers);
            // Both ends can only fail when the run is over.
            ready.send(servers.map_err(ToString::to_string)).ok();
            let Ok(cluster) = made else { return };
            while let Ok(order) = ordered.recv() {
                let done = obey(&cluster, order);
                if let Err(error) = done {
                    tracing::warn!("the embedded broker does not do as told: {error}");
                }
            }
        });
        let servers = started
            .recv()?
            .map_err(|why| format!("embedded broker: {why}"))?;
        Ok(Self { servers, orders })
    }

    /// From now on it is like that; or well again.
    pub(super) fn be(&self, bad: Option<Bad>) {
        // The thread lives as long as this.
        self.orders.send(bad).ok();
    }
}

fn cluster(topics: &[(String, i32)]) -> KafkaResult<MockCluster<'static, DefaultProducerContext>> {
    let cluster = MockCluster::new(1)?;
    for (name, partitions) in topics {
        cluster.create_topic(name, *partitions, 1)?;
    }
    Ok(cluster)
}

fn obey(
    cluster: &MockCluster<'static, DefaultProducerContext>,
    order: Option<Bad>,
) -> KafkaResult<()> {
    match order {
        Some(Bad::Away) => cluster.broker_down(BROKER),
        Some(Bad::Slow) => cluster.broker_round_trip_time(BROKER, SLOW),
        None => {
            cluster.broker_round_trip_time(BROKER, Duration::ZERO)?;
            cluster.broker_up(BROKER)
        }
    }
}
