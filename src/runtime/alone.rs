//! Having all partitions of a sink, for a command that changes what is kept of it.
//!
//! Guarantee (G2, G3): nothing of a sink is changed here while another process delivers to it. With
//! the Kafka log this process is a member of the sink's group, and begins when every partition is
//! its own; what is assigned to somebody else after that has its commits refused, as always.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::StartError;
use super::in_kafka::{InKafka, Joined};
use crate::changelog::{Changelog, ChangelogCheckpoint};
use crate::engine::checkpoint::{Checkpoint, StoreCheckpoint};
use crate::log::{LogAppender as _, LogReader as _, ReaderEvent};
use crate::store::Store;
use crate::time::SharedClock;
use crate::topology::Config;

/// After so long without all partitions it is told why.
const TELL: Duration = Duration::from_secs(10);

/// A sink whose partitions are all this process's.
#[derive(Debug)]
pub(super) struct Alone {
    /// The group.
    pub(super) group: String,
    pub(super) changelog: Arc<dyn Changelog>,
    /// By partition.
    pub(super) epochs: BTreeMap<u16, u64>,
    /// In the order of the partitions.
    pub(super) checkpoints: Vec<Arc<dyn Checkpoint>>,
    /// Answers the group.
    _member: AbortOnDropHandle<()>,
}

impl Alone {
    /// Waits until all partitions of `sink` are this process's.
    pub(super) async fn at(
        there: &InKafka,
        config: &Config,
        sink: &str,
        store: &Arc<dyn Store>,
        clock: &SharedClock,
    ) -> Result<Self, StartError> {
        let instance = there.instance(store)?;
        let Joined {
            name,
            mut group,
            changelog,
            transactor,
        } = there.join_one(config, (sink, &instance), store, clock)?;
        let partitions = there.log.identity().partitions;
        let mut epochs = BTreeMap::new();
        let mut told = false;
        while epochs.len() < usize::from(partitions) {
            match tokio::time::timeout(TELL, group.next()).await {
                Ok(event) => on_event(event, &mut epochs)?,
                Err(_) if std::mem::replace(&mut told, true) => {}
                Err(_) => tracing::warn!(
                    sink,
                    "group {name} has {} of {partitions} partitions here: stop the other instances \
                     of the sink; waiting",
                    epochs.len()
                ),
            }
        }
        let of = |(partition, epoch): (&u16, &u64)| -> Arc<dyn Checkpoint> {
            let to_store = StoreCheckpoint {
                store: Arc::clone(store),
                sink: sink.to_owned(),
                group: name.clone(),
                partition: *partition,
            };
            let transactor = Arc::clone(&transactor);
            Arc::new(ChangelogCheckpoint::new(to_store, transactor, *epoch))
        };
        let checkpoints = epochs.iter().map(of).collect();
        let mut later = epochs.clone();
        let member =
            tokio::spawn(async move { while on_event(group.next().await, &mut later).is_ok() {} });
        Ok(Self {
            group: name,
            changelog,
            epochs,
            checkpoints,
            _member: AbortOnDropHandle::new(member),
        })
    }
}

fn on_event(event: ReaderEvent, epochs: &mut BTreeMap<u16, u64>) -> Result<(), StartError> {
    match event {
        ReaderEvent::Assigned(readers) => {
            epochs.extend(readers.iter().map(|of| (of.partition(), of.epoch())));
        }
        ReaderEvent::Revoked { partitions, done } => {
            epochs.retain(|partition, _| !partitions.contains(partition));
            // No one waits if it was given back already.
            done.send(()).ok();
        }
        ReaderEvent::Lost { partitions } => {
            epochs.retain(|partition, _| !partitions.contains(partition));
        }
        ReaderEvent::Halted(why) => return Err(StartError::Refused(why)),
    }
    Ok(())
}
