//! The topic: partitions of messages, and the offsets that its consumer group committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use goldwire::event::{Origin, Received, SourceRecord};
use goldwire::source::{Batch, Committing, Room, Source, SourceError, SourceEvent};
use tokio::sync::Notify;

use super::fault::Fault;
use super::host::Host;
use super::world::{State, World};

/// What the broker keeps.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// Emissions by partition.
    pub(crate) partitions: [Vec<usize>; 2],
    pub(crate) committed: BTreeMap<i32, u64>,
    grown: Arc<Notify>,
}

impl World {
    /// Whether the consumers have committed all that was produced.
    pub(crate) fn is_consumed(state: &State) -> bool {
        (0..)
            .zip(&state.broker.partitions)
            .all(|(partition, held)| {
                let committed = state.broker.committed.get(&partition).copied();
                committed.unwrap_or(0) == u64::try_from(held.len()).unwrap()
            })
    }

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
    world: Arc<Host>,
    announced: bool,
    next: BTreeMap<i32, u64>,
}

impl Consumer {
    pub(crate) fn new(world: &Arc<Host>) -> Self {
        let committed = world.lock().broker.committed.clone();
        // With several instances each has its part of the topic, for good.
        let instances = world.plan.cluster.as_ref().map_or(1, |it| it.instances);
        let next = (0..2)
            .filter(|partition| usize::try_from(*partition).unwrap() % instances == world.slot)
            .map(|partition| (partition, committed.get(&partition).copied().unwrap_or(0)))
            .collect();
        Self {
            world: Arc::clone(world),
            announced: false,
            next,
        }
    }

    /// What a partition has ready.
    fn take(&mut self, room: Room) -> Option<Batch> {
        let mut state = self.world.lock();
        for (partition, next) in &mut self.next {
            let held = &state.broker.partitions[usize::try_from(*partition).unwrap()];
            let ready = held.iter().skip(usize::try_from(*next).unwrap());
            let records = ready.take(room.records).zip(*next..);
            let records = records.map(|(emission, offset)| {
                let sent = &self.world.emissions[*emission];
                let headers = sent.headers.iter();
                Received::from(SourceRecord {
                    source: "topic".to_owned(),
                    received_time: state.now(),
                    headers: headers
                        .map(|(name, value)| ((*name).to_owned(), value.clone()))
                        .collect(),
                    origin: Some(Origin {
                        topic: "changes".to_owned(),
                        partition: *partition,
                        offset: i64::try_from(offset).unwrap(),
                        ..Origin::default()
                    }),
                    body: sent.body.clone().into(),
                    ..SourceRecord::default()
                })
            });
            let mut batch = Batch {
                partition: *partition,
                records: records.collect(),
                reached: None,
            };
            let batch = batch.split(room);
            if let Some(last) = batch.records.back() {
                *next = last.offset + 1;
                state.dated = state.now();
                return Some(batch);
            }
        }
        None
    }
}

#[async_trait]
impl Source for Consumer {
    fn name(&self) -> &'static str {
        "topic"
    }

    async fn next(&mut self, room: Room) -> SourceEvent {
        if !self.announced {
            self.announced = true;
            return SourceEvent::Assigned {
                partitions: self.next.keys().copied().collect(),
            };
        }
        if room.is_none() {
            return std::future::pending().await;
        }
        loop {
            let grown = Arc::clone(&self.world.lock().broker.grown);
            let notified = grown.notified();
            if let Some(batch) = self.take(room) {
                return SourceEvent::Batch(batch);
            }
            notified.await;
        }
    }

    fn commit(&mut self, positions: &[(i32, u64)]) -> Committing {
        let (world, positions) = (Arc::clone(&self.world), positions.to_vec());
        Box::pin(async move {
            world.pause(50).await;
            let lost = world.hits(Fault::SourceCommit);
            if !lost {
                for (partition, position) in positions {
                    world.source_committed(partition, position);
                }
            }
            world.pause(50).await;
            if lost || world.hits(Fault::SourceCommitStored) {
                return Err(SourceError::Retryable("simulated".to_owned()));
            }
            Ok(())
        })
    }

    fn lag(&self) -> Vec<(i32, u64)> {
        let state = self.world.lock();
        let own = self.next.keys().copied();
        own.map(|partition| {
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
