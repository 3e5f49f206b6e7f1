//! What stands between librdkafka's thread and the task: a bounded queue of records, and events.
//!
//! Guarantee (G8): the thread stops reading while the queue is full; events never wait behind
//! records.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::source::{Batch, Reached, Room, SourceEvent};

/// What waits for the task at most, save for the last batch.
const ROOM: Room = Room {
    records: 4000,
    bytes: 8 << 20,
};

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
    batches: VecDeque<Batch>,
    records: usize,
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
    /// Below this everything was pushed.
    read: u64,
    end: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The next event; records only as far as there is room.
    pub(super) async fn next(&self, room: Room) -> SourceEvent {
        loop {
            // Made before the look, so that what comes between look and wait is not missed.
            let changed = self.changed.notified();
            if let Some(event) = self.take(room) {
                return event;
            }
            changed.await;
        }
    }

    fn take(&self, room: Room) -> Option<SourceEvent> {
        let mut state = lock(&self.state);
        if let Some(event) = state.events.pop_front() {
            return Some(event);
        }
        if room.is_none() {
            return None;
        }
        let held = state.batches.front_mut()?;
        let batch = held.split(room);
        if held.records.is_empty() {
            state.batches.pop_front();
        }
        state.records = state.records.saturating_sub(batch.records.len());
        state.bytes = state.bytes.saturating_sub(batch.bytes());
        if state.full && state.records < ROOM.records / 2 && state.bytes < ROOM.bytes / 2 {
            state.full = false;
            drop(state);
            self.wake();
        }
        Some(SourceEvent::Batch(batch))
    }

    /// An event for the task.
    pub(super) fn tell(&self, event: SourceEvent) {
        lock(&self.state).events.push_back(event);
        self.changed.notify_one();
    }

    /// Records for the task: one look at the queue for all of them.
    pub(super) fn push(&self, batch: Batch) {
        let Some(last) = batch.records.back() else {
            return;
        };
        let (end, bytes) = (last.offset.saturating_add(1), batch.bytes());
        let mut state = lock(&self.state);
        state.saw_end(batch.partition, end);
        state.has_read(batch.partition, end);
        state.records = state.records.saturating_add(batch.records.len());
        state.bytes = state.bytes.saturating_add(bytes);
        state.batches.push_back(batch);
        drop(state);
        self.changed.notify_one();
    }

    /// Reading got to `position`: whatever lies between it and the last record is none, and is passed
    /// by the task with that record. The queue grows by one batch for each partition at most (G8).
    pub(super) fn reached(&self, partition: i32, position: u64) {
        let mut state = lock(&self.state);
        if !state.has_read(partition, position) {
            return;
        }
        state.saw_end(partition, position);
        let mut held = state.batches.iter_mut().rev();
        if let Some(last) = held.find(|batch| batch.partition == partition) {
            last.reached = Some(position);
        } else {
            state.batches.push_back(Batch {
                partition,
                reached: Some(position),
                ..Batch::default()
            });
        }
        drop(state);
        self.changed.notify_one();
    }

    /// How much more may be pushed; if nothing, the thread is woken when something may.
    pub(super) fn room(&self) -> Room {
        let mut state = lock(&self.state);
        let room = Room {
            records: ROOM.records.saturating_sub(state.records),
            bytes: ROOM.bytes.saturating_sub(state.bytes),
        };
        state.full = room.is_none();
        room
    }

    /// Drops the records of partitions that are no longer ours: whoever owns them reads them.
    pub(super) fn forget(&self, partitions: &BTreeSet<i32>) {
        let mut state = lock(&self.state);
        state
            .batches
            .retain(|batch| !partitions.contains(&batch.partition));
        state.records = state.batches.iter().map(|batch| batch.records.len()).sum();
        state.bytes = state.batches.iter().map(Batch::bytes).sum();
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
                read: position,
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

    /// How far each partition is read.
    pub(super) fn standings(&self) -> Vec<Reached> {
        let state = lock(&self.state);
        let of = |(partition, standing): (&i32, &Standing)| Reached {
            partition: *partition,
            position: standing.committed,
            end: standing.end,
        };
        state.standing.iter().map(of).collect()
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
    /// Notes how far a partition of ours was read; whether that is news.
    fn has_read(&mut self, partition: i32, position: u64) -> bool {
        let Some(standing) = self.standing.get_mut(&partition) else {
            return false;
        };
        let further = position > standing.read;
        standing.read = standing.read.max(position);
        further
    }

    fn saw_end(&mut self, partition: i32, end: u64) {
        if let Some(standing) = self.standing.get_mut(&partition) {
            standing.end = standing.end.max(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::event::{Received, SourceRecord};

    fn records(offsets: std::ops::Range<u64>) -> Batch {
        let record = |offset| Received {
            offset,
            ..Received::from(SourceRecord::default())
        };
        Batch {
            partition: 0,
            records: offsets.map(record).collect(),
            reached: None,
        }
    }

    fn took(shared: &Shared, records: usize) -> Option<(usize, Option<u64>)> {
        let room = Room {
            records,
            bytes: 1 << 20,
        };
        match shared.take(room) {
            Some(SourceEvent::Batch(batch)) => Some((batch.records.len(), batch.reached)),
            _ => None,
        }
    }

    #[test]
    fn g2_where_reading_got_to_is_told_with_the_last_record_before_it() {
        let shared = Shared::default();
        shared.stands(0, 5, 5);
        shared.push(records(5..8));
        shared.reached(0, 9);
        assert_eq!(shared.lag(), [(0, 4)]);
        assert_eq!(took(&shared, 2), Some((2, None)));
        assert_eq!(took(&shared, 2), Some((1, Some(9))));
        assert_eq!(took(&shared, 2), None);
        shared.committed(0, 9);
        assert_eq!(shared.lag(), [(0, 0)]);
    }

    #[test]
    fn g8_markers_alone_take_one_place_for_each_partition() {
        let shared = Shared::default();
        shared.stands(0, 5, 5);
        for position in [6, 8, 10] {
            shared.reached(0, position);
        }
        assert_eq!(took(&shared, 9), Some((0, Some(10))));
        assert_eq!(took(&shared, 9), None);
    }

    #[test]
    fn g2_a_position_that_is_not_ahead_or_of_nobody_here_is_not_told() {
        let shared = Shared::default();
        shared.stands(0, 5, 5);
        shared.reached(0, 5);
        shared.reached(1, 7);
        shared.push(records(5..6));
        shared.reached(0, 6);
        assert_eq!(took(&shared, 9), Some((1, None)));
        shared.reached(0, 7);
        shared.forget(&BTreeSet::from([0]));
        shared.reached(0, 8);
        assert_eq!(took(&shared, 9), None);
    }
}
