//! Joining the group once more.

use std::sync::Arc;
use std::thread;

use super::commits::Commits;
use super::reader::Reader;
use super::{consumer, no_thread};
use crate::kafka::NAME_TAKEN;

impl Reader {
    /// Whether no partition is assigned, or about to be.
    pub(super) fn has_nothing(&self) -> bool {
        self.queues.is_empty() && self.arriving.is_none() && self.leaving.is_none()
    }

    /// The member's name is taken.
    pub(super) fn join_later(&mut self) {
        if self.rejoin.refused() {
            let (source, group) = (&*self.name, &self.settings.group);
            tracing::warn!(source, group, "{NAME_TAKEN}");
        }
    }

    /// Joins with another client, once that is due: the one that was refused is of no use.
    pub(super) fn go_on_joining(&mut self) {
        if !self.halted
            && self.rejoin.is_due()
            && let Err(why) = self.join()
        {
            let source = &*self.name;
            tracing::error!(
                source,
                "no other member could be made: {why}; will be tried again"
            );
            self.rejoin.refused();
        }
    }

    fn join(&mut self) -> Result<(), String> {
        let made = Arc::new(consumer(&self.settings, &self.shared)?);
        let commits = Commits::start(&made, &self.settings.topic);
        self.commits = commits.map_err(|error| no_thread(&error))?;
        let old = std::mem::replace(&mut self.consumer, made);
        // Its drop may wait for brokers.
        thread::spawn(move || drop(old));
        Ok(())
    }
}
