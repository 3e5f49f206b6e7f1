//! Ids of changes expire, at sinks without unique keys.
//!
//! Guarantee (G5, G8): a copy is known if it is received within the window after its change was
//! delivered. So the time by which ids expire stands still while something that was received then
//! has not passed the sink: neither an outage of the sink nor one of ingest shortens the window.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::SinkView;
use super::housekeeping::Keeper;
use crate::event::{EventRecord, SourceRecord};
use crate::ledger::{Store, ids};
use crate::log::{Log, ReadLimit};
use crate::task::store_blocking;
use crate::time::{Millis, as_millis};

/// Pages of ids removed from one partition in a round.
const PAGES: usize = 4;
/// A record is read to see when it was received.
const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: 1,
};

impl Keeper {
    /// Removes what is due.
    pub(super) async fn expire_ids(&self) {
        for sink in &self.sinks {
            let Some(window) = sink.dedupe else { continue };
            if let Some(due) = self.due(sink, window).await {
                self.expire(&sink.name, due).await;
            }
        }
    }

    async fn expire(&self, sink: &str, due: Vec<(u16, Millis)>) {
        let name = sink.to_owned();
        let expire = move |store: &dyn Store| {
            for (partition, until) in due {
                ids::expire(store, &name, partition, until, PAGES)?;
            }
            Ok(())
        };
        if let Err(error) = store_blocking(&self.files.store, expire).await {
            tracing::warn!(sink, "ids could not be expired: {error}");
        }
    }

    /// By partition, before which time an id was noted that is due; nothing if that cannot be known.
    async fn due(&self, sink: &SinkView, window: Duration) -> Option<Vec<(u16, Millis)>> {
        let received = |bytes: Bytes| Some(SourceRecord::decode(bytes).ok()?.received_time);
        let position = self.inbox_position().await;
        let oldest = self.oldest(self.files.inbox.as_ref(), 0, position, received);
        let taken = oldest.await?;
        let mut due = Vec::new();
        for (partition, task) in (0_u16..).zip(&sink.tasks) {
            let position = task.borrow().position;
            let received = |bytes: Bytes| Some(EventRecord::decode(bytes).ok()?.received_time);
            let log = self.files.log.as_ref();
            let passed = self.oldest(log, partition, position, received).await?;
            let until = taken.min(passed).saturating_sub(as_millis(window));
            due.push((partition, until));
        }
        Some(due)
    }

    /// When the record at `position` was received, or now if there is none yet.
    async fn oldest(
        &self,
        log: &dyn Log,
        partition: u16,
        position: u64,
        received: impl Fn(Bytes) -> Option<Millis>,
    ) -> Option<Millis> {
        let now = self.clock.now();
        if position >= log.range(partition).end {
            return Some(now);
        }
        let read = log.read(partition, position, ONE).await.ok()?;
        let received = received(read.into_iter().next()?.bytes)?;
        Some(received.min(now))
    }
}
