//! The topic: partitions of messages, and the offsets that its consumer group committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use goldwire::event::{Origin, SourceRecord};
use goldwire::source::{Source, SourceError, SourceEvent};
use tokio::sync::Notify;

use super::fault::Fault;
use super::world::World;

/// What the broker keeps.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// Emissions by partition.
    pub(crate) partitions: [Vec<usize>; 2],
    pub(crate) committed: BTreeMap<i32, u64>,
    grown: Arc<Notify>,
}

impl World {
    pub(crate) fn append_to_topic(&self, partition: i32, emission: usize) {
        let mut state = self.lock();
        let held = &mut state.broker.partitions[usize::try_from(partition).unwrap()];
        held.push(emission);
        let offset = held.len() - 1;
        state.note(|| format!("topic {partition}@{offset}: m{emission}"));
        state.broker.grown.notify_waiters();
    }
}

/// The consumer of one life.
#[derive(Debug)]
pub(crate) struct Consumer {
    world: Arc<World>,
    announced: bool,
    next: BTreeMap<i32, u64>,
}

impl Consumer {
    pub(crate) fn new(world: &Arc<World>) -> Self {
        let committed = world.lock().broker.committed.clone();
        let next = (0..2)
            .map(|partition| (partition, committed.get(&partition).copied().unwrap_or(0)))
            .collect();
        Self {
            world: Arc::clone(world),
            announced: false,
            next,
        }
    }

    fn take(&mut self) -> Option<SourceRecord> {
        let state = self.world.lock();
        for (partition, next) in &mut self.next {
            let held = &state.broker.partitions[usize::try_from(*partition).unwrap()];
            let Some(emission) = held.get(usize::try_from(*next).unwrap()) else {
                continue;
            };
            let offset = i64::try_from(*next).unwrap();
            *next += 1;
            let sent = &self.world.emissions[*emission];
            let headers = sent.headers.iter();
            return Some(SourceRecord {
                source: "topic".to_owned(),
                received_time: state.now(),
                headers: headers
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect(),
                origin: Some(Origin {
                    source: "topic".to_owned(),
                    topic: "changes".to_owned(),
                    partition: *partition,
                    offset,
                    ..Origin::default()
                }),
                body: sent.body.clone().into(),
                ..SourceRecord::default()
            });
        }
        None
    }
}

#[async_trait]
impl Source for Consumer {
    fn name(&self) -> &'static str {
        "topic"
    }

    async fn next(&mut self, room: bool) -> SourceEvent {
        if !self.announced {
            self.announced = true;
            return SourceEvent::Assigned {
                partitions: vec![0, 1],
            };
        }
        if !room {
            return std::future::pending().await;
        }
        loop {
            let grown = Arc::clone(&self.world.lock().broker.grown);
            let notified = grown.notified();
            if let Some(record) = self.take() {
                return SourceEvent::Record(Box::new(record));
            }
            notified.await;
        }
    }

    async fn commit(&mut self, positions: &[(i32, u64)]) -> Result<(), SourceError> {
        self.world.pause(50).await;
        let lost = self.world.hits(Fault::SourceCommit);
        if !lost {
            for (partition, position) in positions {
                self.world.source_committed(*partition, *position);
            }
        }
        self.world.pause(50).await;
        if lost || self.world.hits(Fault::SourceCommitStored) {
            return Err(SourceError::Retryable("simulated".to_owned()));
        }
        Ok(())
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        let state = self.world.lock();
        (0..2)
            .map(|partition| {
                let held = state.broker.partitions[usize::try_from(partition).unwrap()].len();
                let committed = state.broker.committed.get(&partition).copied().unwrap_or(0);
                (
                    partition,
                    u64::try_from(held).unwrap().saturating_sub(committed),
                )
            })
            .collect()
    }
}
