//! Ids of changes expire, at sinks without unique keys.
//!
//! Guarantee (G5, G8): a copy is known if it is received within the window after its change was
//! delivered. So the time by which ids expire stands still while something that was received then
//! has not passed the sink: neither an outage of the sink nor one of ingest shortens the window.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;
use tokio::time::MissedTickBehavior;

use super::SinkView;
use super::files::Files;
use super::inbox::InboxTopic;

use crate::engine::TaskStatus;
use crate::engine::checkpoint::Checkpoint;
use crate::event::{EventRecord, SourceRecord};
use crate::log::{Log, ReadLimit};
use crate::source::Acknowledged;
use crate::store::ids::{self, Due};
use crate::store::{StoreError, store_blocking};
use crate::time::{Millis, SharedClock, as_millis};

const RHYTHM: Duration = Duration::from_secs(1);
/// Rounds after which ids are looked for from the oldest on again: one may have been noted with an
/// earlier time than those that expired.
const FROM_START: u32 = 300;
/// Brokers are asked every so many rounds. What they said before is on the safe side.
const ASK_EVERY: u32 = 10;
/// A record is read to see when it was received.
const ONE: ReadLimit = ReadLimit {
    records: 1,
    bytes: 1,
};

/// Expires the ids of one instance's sinks, beside everything else: it takes as long as it takes.
#[derive(Debug)]
pub(super) struct Expiry {
    pub(super) files: Files,
    pub(super) sinks: Vec<SinkView>,
    /// The inbox's position.
    pub(super) inbox: Acknowledged,
    /// The inbox topic, if there is one.
    pub(super) topic: Option<InboxTopic>,
    pub(super) clock: SharedClock,
}

impl Expiry {
    /// Removes what is due, all of it, every second.
    pub(super) async fn run(self) {
        let windows = self.sinks.iter();
        let windows: Vec<_> = windows
            .filter_map(|sink| Some((sink, sink.dedupe?)))
            .collect();
        if windows.is_empty() {
            return;
        }
        let mut rhythm = tokio::time::interval(RHYTHM);
        rhythm.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ended = HashMap::new();
        let mut taken = None;
        for round in 0_u32.. {
            rhythm.tick().await;
            if round % FROM_START == 0 {
                ended.clear();
            }
            if self.topic.is_none() || round % ASK_EVERY == 0 {
                taken = self.taken().await;
            }
            let Some(taken) = taken else { continue };
            for (sink, window) in &windows {
                let kept = sink.tasks.checkpoints();
                for (partition, until) in self.due(sink, *window, taken).await.unwrap_or_default() {
                    let Some(kept) = kept.get(&partition) else {
                        continue;
                    };
                    let after = ended.entry((&sink.name, partition)).or_default();
                    let of = (sink.name.as_str(), partition);
                    if let Err(error) = self.expire(of, until, after, kept.as_ref()).await {
                        tracing::warn!(sink = sink.name, "ids could not be expired: {error}");
                    }
                }
            }
        }
    }

    /// Removes what is due in one partition, a page at a time, between which commits of the tasks, a
    /// stop and whatever else waits get their turn. `ended` is where the last expiry ended.
    async fn expire(
        &self,
        (sink, partition): (&str, u16),
        until: Millis,
        ended: &mut Option<Vec<u8>>,
        kept: &dyn Checkpoint,
    ) -> Result<(), StoreError> {
        loop {
            let (name, after) = (sink.to_owned(), ended.clone());
            let page = store_blocking(&self.files.store, move |store| {
                ids::due(store, (&name, partition), until, after.as_deref())
            });
            let Due { keys, after } = page.await?;
            if !keys.is_empty() {
                kept.discard(keys).await?;
            }
            if after.is_none() {
                return Ok(());
            }
            *ended = after;
            tokio::task::yield_now().await;
        }
    }

    /// Until when ingest has taken everything that had been received; nothing if that cannot be known.
    async fn taken(&self) -> Option<Millis> {
        let topic = match &self.topic {
            Some(topic) => topic.oldest(self.clock.now()).await?,
            None => Millis::MAX,
        };
        let received = |bytes: Bytes| Some(SourceRecord::decode(bytes).ok()?.received_time);
        let oldest = self.oldest(self.files.inbox.as_ref(), 0, self.inbox.get(), received);
        Some(oldest.await?.min(topic))
    }

    /// By partition, before which time an id was noted that is due; nothing if that cannot be known.
    async fn due(
        &self,
        sink: &SinkView,
        window: Duration,
        taken: Millis,
    ) -> Option<Vec<(u16, Millis)>> {
        let mut due = Vec::new();
        for (partition, TaskStatus { position, .. }) in sink.tasks.statuses() {
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
