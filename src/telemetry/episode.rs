//! Trouble that many records meet is told when it begins and when it is over, not for each record.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Trouble of one kind, as a log that is full or a system that does not answer. It lasts as long
/// as somebody is in it.
#[derive(Debug, Default)]
pub struct Episode {
    under_way: Mutex<Option<UnderWay>>,
}

#[derive(Debug)]
struct UnderWay {
    began: Instant,
    /// Who is in it now.
    now: u64,
    /// Who came into it so far.
    records: u64,
}

/// One record in trouble, until it is dropped.
#[must_use = "it is out of trouble once this is dropped"]
#[derive(Debug)]
pub struct InTrouble<'a> {
    episode: &'a Episode,
    /// It came out by itself, not because somebody gave up waiting.
    over: bool,
}

/// What is told of an episode at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// How many records met it.
    pub records: u64,
    /// How long it lasted.
    pub lasted: Duration,
}

impl Episode {
    /// One that has not begun.
    pub const fn new() -> Self {
        Self {
            under_way: Mutex::new(None),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, Option<UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// One more record meets the trouble; `tell` is called if it is the first.
    pub fn enter(&self, tell: impl FnOnce()) -> InTrouble<'_> {
        self.enter_together(1, tell)
    }

    /// So many more records meet the trouble, and leave it together.
    pub fn enter_together(&self, records: u64, tell: impl FnOnce()) -> InTrouble<'_> {
        let first = {
            let mut under_way = self.under_way();
            let first = under_way.is_none();
            let episode = under_way.get_or_insert_with(|| UnderWay {
                began: Instant::now(),
                now: 0,
                records: 0,
            });
            episode.now = episode.now.saturating_add(1);
            episode.records = episode.records.saturating_add(records);
            first
        };
        if first {
            tell();
        }
        InTrouble {
            episode: self,
            over: false,
        }
    }

    /// What is to be told if the last one has left.
    fn leave(&self) -> Option<Past> {
        let mut under_way = self.under_way();
        let episode = under_way.as_mut()?;
        episode.now = episode.now.saturating_sub(1);
        let ended = under_way.take_if(|episode| episode.now == 0)?;
        Some(Past {
            records: ended.records,
            lasted: ended.began.elapsed(),
        })
    }
}

impl InTrouble<'_> {
    /// The record is out of it; `tell` is called if it was the last one.
    pub fn over(mut self, tell: impl FnOnce(Past)) {
        self.over = true;
        if let Some(past) = self.episode.leave() {
            tell(past);
        }
    }
}

impl Drop for InTrouble<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.episode.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nine_hundred_records_in_one_trouble_are_two_lines() {
        let (episode, begun) = (Episode::new(), Cell::new(0));
        let enter = || episode.enter(|| begun.set(begun.get() + 1));
        let mut waiting: Vec<_> = (0..900).map(|_| enter()).collect();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let last = waiting.pop().unwrap();
        for record in waiting {
            record.over(|past| panic!("one is still in it: {past:?}"));
        }
        let told = Cell::new(None);
        last.over(|past| told.set(Some(past)));
        let past = Past {
            records: 900,
            lasted: Duration::from_mins(1),
        };
        assert_eq!((told.get(), begun.get()), (Some(past), 1));
        enter().over(|past| assert_eq!(past.records, 1));
        assert_eq!(begun.get(), 2, "the next one is another");
    }

    #[test]
    fn who_gives_up_waiting_keeps_no_episode_open() {
        let (episode, begun) = (Episode::new(), Cell::new(0));
        for _ in 0..2 {
            drop(episode.enter(|| begun.set(begun.get() + 1)));
        }
        assert_eq!(begun.get(), 2);
    }
}
