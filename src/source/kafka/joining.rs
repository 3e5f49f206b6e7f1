//! Joining the group once more.

use std::collections::BTreeSet;
use std::sync::Arc;

use rdkafka::error::RDKafkaErrorCode;

use super::commits::Commits;
use super::reader::Reader;
use super::{consumer, no_thread};
use crate::kafka::{FENCED, Fenced, Holds, NAME_TAKEN, VACANT, retire};
use crate::source::SourceEvent;

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

    /// Another client joined with the member's name: everything is lost, and joins again soon.
    pub(super) fn fenced(&mut self, code: RDKafkaErrorCode) {
        match self.rejoin.fenced() {
            Fenced::Known => return,
            Fenced::TooOften => return self.halt_of(code),
            Fenced::JoinsAgain => {}
        }
        let (source, group) = (&*self.name, &self.settings.group);
        tracing::warn!(source, group, "{FENCED}");
        self.arriving = None;
        self.leaving = None;
        let queues = std::mem::take(&mut self.queues);
        let partitions: BTreeSet<i32> = queues.into_keys().collect();
        self.shared.forget(&partitions);
        let partitions = partitions.into_iter().collect();
        self.shared.tell(SourceEvent::Lost { partitions });
    }

    /// Sees to it that no partition stays without a member.
    pub(super) fn fill_vacancies(&mut self) {
        let moves = self.arriving.is_some() || self.leaving.is_some();
        let holds = Holds::of(moves, !self.queues.is_empty());
        let Some(vacancy) = self.vacancy.as_mut().filter(|_| !self.halted) else {
            return;
        };
        if let Some(partitions) = vacancy.go_on(&self.consumer, holds) {
            let (source, group) = (&*self.name, &self.settings.group);
            tracing::warn!(source, group, ?partitions, "{VACANT}");
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
        retire(std::mem::replace(&mut self.consumer, made));
        Ok(())
    }
}
