//! What stands between librdkafka's thread and the task: a bounded queue of records, and events.
//!
//! Guarantee (G8): the thread stops reading while the queue is full; events never wait behind
//! records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::event::SourceRecord;
use crate::source::SourceEvent;

/// Records that wait for the task at most, and their bytes.
const RECORDS: usize = 1000;
const BYTES: usize = 8 << 20;

/// The queue, the ends of the partitions, and who is to be woken.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Notify,
    woken: Mutex<bool>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<SourceEvent>,
    records: VecDeque<SourceRecord>,
    bytes: usize,
    full: bool,
    /// No broker is connected.
    away: bool,
    /// The topic or the group is not there for us.
    absent: bool,
    standing: BTreeMap<i32, Standing>,
}

#[derive(Debug, Clone, Copy)]
struct Standing {
    committed: u64,
    end: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The next event; a record only if there is room for one.
    pub(super) async fn next(&self, room: bool) -> SourceEvent {
        loop {
            // Made before the look, so that what comes between look and wait is not missed.
            let changed = self.changed.notified();
            if let Some(event) = self.take(room) {
                return event;
            }
            changed.await;
        }
    }

    fn take(&self, room: bool) -> Option<SourceEvent> {
        let mut state = lock(&self.state);
        if let Some(event) = state.events.pop_front() {
            return Some(event);
        }
        if !room {
            return None;
        }
        let record = state.records.pop_front()?;
        state.bytes = state.bytes.saturating_sub(record.body.len());
        if state.full && state.records.len() < RECORDS / 2 && state.bytes < BYTES / 2 {
            state.full = false;
            drop(state);
            self.wake();
        }
        Some(SourceEvent::Record(Box::new(record)))
    }

    /// An event for the task.
    pub(super) fn tell(&self, event: SourceEvent) {
        lock(&self.state).events.push_back(event);
        self.changed.notify_one();
    }

    /// A record for the task.
    pub(super) fn push(&self, record: SourceRecord) {
        let mut state = lock(&self.state);
        if let Some(origin) = &record.origin {
            let next = u64::try_from(origin.offset.saturating_add(1)).unwrap_or_default();
            state.saw_end(origin.partition, next);
        }
        state.bytes = state.bytes.saturating_add(record.body.len());
        state.records.push_back(record);
        drop(state);
        self.changed.notify_one();
    }

    /// Whether another record may be pushed; if not, the thread is woken when one may.
    pub(super) fn has_room(&self) -> bool {
        let mut state = lock(&self.state);
        let room = state.records.len() < RECORDS && state.bytes < BYTES;
        state.full = !room;
        room
    }

    /// Drops the records of partitions that are no longer ours: whoever owns them reads them.
    pub(super) fn forget(&self, partitions: &BTreeSet<i32>) {
        let mut state = lock(&self.state);
        let of =
            |record: &SourceRecord| record.origin.as_ref().map_or(-1, |origin| origin.partition);
        state
            .records
            .retain(|record| !partitions.contains(&of(record)));
        state.bytes = state.records.iter().map(|record| record.body.len()).sum();
        state
            .standing
            .retain(|partition, _| !partitions.contains(partition));
    }

    /// A partition is ours, from `position`.
    pub(super) fn stands(&self, partition: i32, position: u64, end: u64) {
        lock(&self.state).standing.insert(
            partition,
            Standing {
                committed: position,
                end,
            },
        );
    }

    /// A position was committed.
    pub(super) fn committed(&self, partition: i32, position: u64) {
        if let Some(standing) = lock(&self.state).standing.get_mut(&partition) {
            standing.committed = position;
        }
    }

    /// The end of a partition is known to be at least this.
    pub(super) fn ends(&self, ends: &[(i32, u64)]) {
        let mut state = lock(&self.state);
        for (partition, end) in ends {
            state.saw_end(*partition, *end);
        }
    }

    /// Records between the committed position and the end, by partition.
    pub(super) fn lag(&self) -> Vec<(i32, u64)> {
        let state = lock(&self.state);
        let lag = |standing: &Standing| standing.end.saturating_sub(standing.committed);
        state
            .standing
            .iter()
            .map(|(partition, standing)| (*partition, lag(standing)))
            .collect()
    }

    /// Whether any broker is connected.
    pub(super) fn reaches(&self, broker: bool) {
        lock(&self.state).away = !broker;
    }

    /// Whether the broker says that there is no such topic, or not for us.
    pub(super) fn lacks(&self, topic: bool) {
        lock(&self.state).absent = topic;
    }

    /// Whether nothing can be read for now.
    pub(super) fn is_unreachable(&self) -> bool {
        let state = lock(&self.state);
        state.away || state.absent
    }

    /// Wakes the thread.
    pub(super) fn wake(&self) {
        *lock(&self.woken) = true;
        self.bell.notify_one();
    }

    /// Waits until woken, no longer than `longest`.
    pub(super) fn wait(&self, longest: Duration) {
        let woken = lock(&self.woken);
        let waited = self
            .bell
            .wait_timeout_while(woken, longest, |woken| !*woken);
        let (mut woken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *woken = false;
    }
}

impl State {
    fn saw_end(&mut self, partition: i32, end: u64) {
        if let Some(standing) = self.standing.get_mut(&partition) {
            standing.end = standing.end.max(end);
        }
    }
}
