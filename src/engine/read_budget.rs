//! Memory for what Reltio answers: how many answers may be held at once.
//!
//! Guarantee (G8): a read begins when there is room for an answer of [`EXPECTED`] bytes, and what
//! it brought keeps its room until it is delivered, also while it waits at a gate or for the log. A
//! larger one takes what more there is, so that fewer come after it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room that a read is made with. Snapshots are mostly smaller.
const EXPECTED: usize = 256 << 10;
/// The unit of room, bytes.
const UNIT: usize = 1 << 10;

/// Room for answers.
#[derive(Debug, Clone)]
pub(crate) struct ReadBudget {
    room: Arc<Semaphore>,
    expected: usize,
}

/// One answer's part of it, given back when dropped.
#[derive(Debug)]
pub(crate) struct Answered {
    room: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
}

impl ReadBudget {
    /// Room for so many bytes, and at least for one answer.
    pub(crate) fn new(bytes: usize) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            room: Arc::new(Semaphore::new(units)),
            expected: (EXPECTED / UNIT).min(units),
        }
    }

    /// Waits for the room of one answer. Cancel safe.
    pub(crate) async fn wait(&self) -> Option<Answered> {
        let expected = u32::try_from(self.expected).unwrap_or(u32::MAX);
        let held = Arc::clone(&self.room).acquire_many_owned(expected).await;
        // No one closes it.
        let held = held.ok()?;
        let room = Arc::clone(&self.room);
        Some(Answered { room, held })
    }
}

impl Answered {
    /// The answer has come, or another one beside it: it holds so many bytes in all.
    pub(crate) fn came(&mut self, bytes: usize) {
        let units = (bytes / UNIT).max(1);
        let held = self.held.num_permits();
        if units < held {
            drop(self.held.split(held - units));
            return;
        }
        let more = (units - held).min(self.room.available_permits());
        let more = u32::try_from(more).unwrap_or(u32::MAX);
        if let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(more) {
            self.held.merge(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn g8_answers_wait_for_room_and_a_small_one_gives_back_what_it_does_not_need() {
        let budget = ReadBudget::new(2 * EXPECTED);
        let mut first = budget.wait().await.unwrap();
        let second = budget.wait().await.unwrap();
        assert!(budget.wait().now_or_never().is_none());
        first.came(1000);
        assert!(budget.wait().now_or_never().is_none());
        drop(second);
        let mut third = budget.wait().now_or_never().unwrap().unwrap();
        third.came(100 * EXPECTED);
        drop(first);
        assert!(budget.wait().now_or_never().is_none());
        drop(third);
        assert!(budget.wait().now_or_never().is_some());
        assert_eq!(budget.room.available_permits(), 2 * EXPECTED / UNIT);
    }

    #[tokio::test]
    async fn there_is_room_for_one_answer_however_little_is_configured() {
        let budget = ReadBudget::new(1);
        let mut only = budget.wait().await.unwrap();
        only.came(EXPECTED);
        assert!(budget.wait().now_or_never().is_none());
        drop(only);
        assert!(budget.wait().now_or_never().is_some());
    }
}
