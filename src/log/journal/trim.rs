//! Giving disk back: whole segments that every reader has passed.
//!
//! Guarantee (G2, G8): the floor is a law, `keep` is a wish. Nothing at or above the floor is
//! deleted; above four fifths of the quota, what lies below it goes before its time. Above nine
//! tenths, readers that may miss records no longer have a floor.

use std::fs;
use std::sync::atomic::Ordering;

use super::files::{io_error, sync_dir};
use super::view::Held;
use super::writer::Writer;
use crate::log::LogError;
use crate::time::{Millis, as_millis};

impl Writer {
    /// Deletes what lies below the floors and is old enough, oldest first.
    pub(super) fn trim(&mut self, floors: &[u64]) -> Result<(), LogError> {
        let now = self.deps.clock.now();
        for (partition, floor) in (0_u16..).zip(floors) {
            self.give_back_newest(partition, *floor, now)?;
            while self.delete_passed(partition, *floor, now)? {}
        }
        Ok(())
    }

    /// The newest segment can only be deleted once there is one after it.
    fn give_back_newest(
        &mut self,
        partition: u16,
        floor: u64,
        now: Millis,
    ) -> Result<(), LogError> {
        let wanted = self
            .appenders
            .get(usize::from(partition))
            .is_some_and(|appender| {
                let passed = appender.next() <= floor;
                appender
                    .last()
                    .is_some_and(|last| passed && self.is_due(last, now))
            });
        match self.appenders.get_mut(usize::from(partition)) {
            Some(appender) if wanted => appender.seal(),
            _ => Ok(()),
        }
    }

    fn is_due(&self, last: Millis, now: Millis) -> bool {
        last.saturating_add(as_millis(self.keep)) <= now || self.is_above(4, 5)
    }

    /// Whether more than so many parts of so many are used.
    fn is_above(&self, parts: u64, of: u64) -> bool {
        self.shared.used.load(Ordering::Relaxed) > self.shared.quota / of * parts
    }

    fn delete_passed(&self, partition: u16, floor: u64, now: Millis) -> Result<bool, LogError> {
        let Some(oldest) = self.oldest_below(partition, floor) else {
            return Ok(false);
        };
        if !self.is_due(oldest.last, now) {
            return Ok(false);
        }
        self.delete(partition, oldest)?;
        Ok(true)
    }

    /// Deletes the oldest segments of all partitions below the floors, until there is room. One
    /// that holds nothing back loses nothing, since it has passed the oldest.
    pub(super) fn evict(&mut self, floors: &[u64]) -> Result<(), LogError> {
        while self.is_above(9, 10) {
            let below = (0_u16..).zip(floors).filter_map(|(partition, floor)| {
                Some((partition, self.oldest_below(partition, *floor)?))
            });
            let Some((partition, oldest)) = below.min_by_key(|(_, held)| held.last) else {
                return Ok(());
            };
            self.delete(partition, oldest)?;
        }
        Ok(())
    }

    /// The oldest segment of a partition, if all of it lies below the floor.
    fn oldest_below(&self, partition: u16, floor: u64) -> Option<Held> {
        let view = self.shared.views.get(usize::from(partition))?;
        let (oldest, until) = view.oldest()?;
        (until <= floor).then_some(oldest)
    }

    fn delete(&self, partition: u16, oldest: Held) -> Result<(), LogError> {
        let view = self.shared.view(partition)?;
        view.forget_oldest();
        let path = &oldest.segment.path;
        if let Err(error) = fs::remove_file(path) {
            view.restore_oldest(oldest);
            return Err(io_error(&error));
        }
        self.shared.used.fetch_sub(oldest.length, Ordering::Relaxed);
        // One by one: no crash may leave an older segment behind and take a newer one.
        let synced = path.parent().map_or(Ok(()), sync_dir);
        synced.map_err(|error| io_error(&error))
    }
}
