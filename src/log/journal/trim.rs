//! Giving disk back: whole segments that every reader has passed.
//!
//! Guarantee (G2, G8): the floor is a law, `keep` is a wish. Nothing at or above the floor is
//! deleted; above four fifths of the quota, what lies below it goes before its time.

use std::fs;
use std::sync::atomic::Ordering;

use super::files::{io_error, sync_dir};
use super::writer::Writer;
use crate::log::LogError;
use crate::time::{Millis, as_millis};

impl Writer {
    /// Deletes what lies below the floors and is old enough, oldest first.
    pub(super) fn trim(&mut self, floors: &[u64]) -> Result<(), LogError> {
        let now = self.seams.clock.now();
        for (partition, floor) in (0_u16..).zip(floors) {
            self.give_back_newest(partition, *floor, now)?;
            while self.delete_oldest(partition, *floor, now)? {}
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
        let (used, quota) = (self.shared.used.load(Ordering::Relaxed), self.shared.quota);
        last.saturating_add(as_millis(self.keep)) <= now || used > quota / 5 * 4
    }

    fn delete_oldest(&self, partition: u16, floor: u64, now: Millis) -> Result<bool, LogError> {
        let Some(view) = self.shared.views.get(usize::from(partition)) else {
            return Ok(false);
        };
        let Some((oldest, until)) = view.oldest() else {
            return Ok(false);
        };
        if until > floor || !self.is_due(oldest.last, now) {
            return Ok(false);
        }
        view.forget_oldest();
        let path = &oldest.segment.path;
        if let Err(error) = fs::remove_file(path) {
            view.restore_oldest(oldest);
            return Err(io_error(&error));
        }
        self.shared.used.fetch_sub(oldest.length, Ordering::Relaxed);
        // One by one: no crash may leave an older segment behind and take a newer one.
        let synced = path.parent().map_or(Ok(()), sync_dir);
        synced.map_err(|error| io_error(&error))?;
        Ok(true)
    }
}
