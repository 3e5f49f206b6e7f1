//! Refreshes of dashboards, beside the sinks that they follow.
//!
//! Guarantee (G3): a refresh is asked for after what it is to show was committed by the sink's group,
//! whichever instances have its partitions. One instance asks: the one that has the group's first
//! partition. What it is about to ask for is durable before it asks, and follows the partition: who
//! takes that over looks for the refresh before asking for another. An instance that lost the
//! partition cannot make that durable, so that it asks for nothing.
//!
//! | stopped or fenced | what is kept | what the next owner does |
//! |---|---|---|
//! | before the request is kept | the state before | sees the change, asks |
//! | kept, and not sent | a request without an answer | waits until it cannot be sent any more, does not find it, asks |
//! | sent, and no answer kept | the same | finds it at the target, and follows it |
//! | answer kept | a refresh under way | follows it |
//! | ended, and that not kept | the same | sees how it ended |

mod owned;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::owned::{ELSEWHERE, LOOK, Owned};
use super::inbox::GroupOffsets;
use super::{Deps, Instance, StartError, Tasks};
use crate::engine::checkpoint::Checkpoint;
use crate::event::proto::RefreshState;
use crate::log::LogError;
use crate::refresh::{self, Dashboard, Pacing};
use crate::store::{Store, StoreError, keys, store_blocking};
use crate::telemetry::Metrics;
use crate::time::SharedClock;
use crate::topology::Config;

use prost::Message as _;

/// The partition whose owner asks.
const FIRST: u16 = 0;

/// How the positions of a group are found out, by its name.
pub type MakeOffsets = Arc<dyn Fn(&str) -> Arc<dyn GroupOffsets> + Send + Sync>;

/// What a dashboard's refreshes go by.
#[derive(Debug, Clone)]
struct Refreshing {
    /// The refresh's name.
    name: String,
    /// The sink that it follows.
    sink: String,
    tasks: Tasks,
    group: Arc<dyn GroupOffsets>,
    dashboard: Arc<dyn Dashboard>,
    pacing: Pacing,
    store: Arc<dyn Store>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
}

impl Refreshing {
    async fn run(self) {
        let mut owned = None;
        loop {
            let wait = self.round(&mut owned).await;
            tokio::time::sleep(wait).await;
        }
    }

    /// Does what is due, if this instance is the one; how long to wait for the next round.
    async fn round(&self, owned: &mut Option<Owned>) -> Duration {
        let Some(kept) = self.tasks.checkpoints().remove(&FIRST) else {
            if owned.take().is_some() {
                self.metrics.refresh_state(&self.name, false, 0.0);
            }
            return ELSEWHERE;
        };
        // Another assignment: somebody else may have asked meanwhile.
        owned.take_if(|owned| !owned.is_kept_in(&kept));
        let owned = match owned {
            Some(owned) => owned,
            None => match self.take_up(kept).await {
                Ok(taken) => owned.insert(taken),
                Err(error) => {
                    let refresh = &self.name;
                    tracing::warn!(refresh, "where it stands could not be read: {error}");
                    return LOOK;
                }
            },
        };
        let wait = owned.step(self).await;
        owned.tell_state(self);
        wait
    }

    /// Where the refreshes stand, as whoever had the partition before left it.
    async fn take_up(&self, kept: Arc<dyn Checkpoint>) -> Result<Owned, StoreError> {
        let key = self.key();
        let found = store_blocking(&self.store, move |store| store.get(&key)).await?;
        let mut state = match found {
            Some(bytes) => RefreshState::decode(bytes.as_slice()).map_err(|error| {
                let key = format!("refresh {} of {}", self.name, self.sink);
                let why = error.to_string();
                StoreError::Corrupt { key, why }
            })?,
            None => RefreshState::default(),
        };
        state.bound(self.clock.now());
        Ok(Owned::new(kept, state))
    }

    fn key(&self) -> Vec<u8> {
        keys::refresh(&self.sink, FIRST, &self.name)
    }
}

/// A group whose partitions are all this process's.
#[derive(Debug)]
struct Whole {
    tasks: Tasks,
    partitions: u16,
}

#[async_trait]
impl GroupOffsets for Whole {
    async fn committed(&self) -> Result<Vec<Option<u64>>, LogError> {
        let tasks = self.tasks.statuses();
        let each = 0..self.partitions;
        let position = |partition| tasks.get(&partition).map(|task| task.position);
        Ok(each.map(position).collect())
    }
}

impl Instance {
    /// Starts the refreshes of the dashboards that follow sinks of this instance. `offsets` is
    /// nothing where no other instance has partitions.
    pub(super) fn start_refreshes(
        &mut self,
        config: &Config,
        with: &Deps,
        offsets: Option<&MakeOffsets>,
    ) -> Result<(), StartError> {
        for (name, refresh) in &config.refreshes {
            let Some(sink) = self.sinks.iter().find(|sink| sink.name == refresh.after) else {
                // It runs elsewhere.
                continue;
            };
            let group: Arc<dyn GroupOffsets> = match offsets {
                Some(offsets) => offsets(&sink.group),
                None => Arc::new(Whole {
                    tasks: sink.tasks.clone(),
                    partitions: self.files.log.identity().partitions,
                }),
            };
            let refreshing = Refreshing {
                name: name.clone(),
                sink: sink.name.clone(),
                tasks: sink.tasks.clone(),
                group,
                dashboard: refresh::open(name, refresh, &with.clock)
                    .map_err(StartError::Refused)?,
                pacing: refresh.pacing(),
                store: Arc::clone(&self.files.store),
                clock: Arc::clone(&with.clock),
                metrics: Arc::clone(&with.metrics),
            };
            with.metrics.expect_refresh(name);
            self.around.spawn(refreshing.run());
        }
        Ok(())
    }
}
