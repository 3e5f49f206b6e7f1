//! Asserts the newest state of a subject once more, where an older write may have landed late.
//!
//! Guarantee (G4): what is due is asserted by what was written last: as it is kept here, else as
//! Reltio answers, and where Reltio cannot be read, as the store keeps it. It stays in the durable
//! set until that was acknowledged.

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::checkpoint::{Reasserts, Waiting, Wanted};
use super::lane::{self, Pending};
use super::outcome::Outcome;
use super::reassertion::{Asserted, MOST, Reassertion};
use super::task::{Event, SinkTask};
use super::work::{NO_OFFSET, Purpose, Work};
use crate::event::{Record, Subject};
use crate::store::{Register, StoreError};

impl SinkTask {
    /// Takes up the subjects that have to be asserted once more. What was on its way when the last
    /// process ended may land until a whole wait from now.
    pub(super) fn restore_reassertions(&mut self, waiting: Vec<Waiting>) {
        let Some(wait) = self.profile.capabilities.reassert_after else {
            return;
        };
        for Waiting {
            subject,
            register,
            record,
        } in waiting
        {
            let lane = self.lanes.by_subject.entry(subject.clone()).or_default();
            lane.register = register;
            self.schedule(&subject, self.started + wait);
            let Some(record) = record else {
                continue;
            };
            if self.profile.rules.has_api {
                // It will not be kept up to date.
                self.commits.reassert(&subject, None);
            } else {
                let asserted = self.asserted_by(&subject, record);
                self.keep(&subject, asserted);
            }
        }
    }

    /// The sink has the newest state: it settles what was due before it was sent, and is what is
    /// asserted once more otherwise.
    pub(super) fn asserted(
        &mut self,
        subject: &Subject,
        asserted: Option<Asserted>,
        again: Option<Instant>,
        began: Option<Instant>,
    ) {
        if let Some(due) = again {
            self.await_reassertion(subject, due);
        }
        let lane = self.lanes.by_subject.get(subject);
        let Some(reassertion) = lane.and_then(|lane| lane.reassertion.as_ref()) else {
            return;
        };
        if began.is_some_and(|began| began >= reassertion.due) {
            self.settle(subject);
            return;
        }
        if !self.profile.rules.has_api {
            let record = asserted.as_ref().and_then(|it| it.record.clone());
            self.commits.reassert(subject, record);
        }
        self.keep(subject, asserted);
    }

    /// The subject's newest state has to be asserted once more at `due`. What the durable set says of
    /// it stays: it may be all that is known of that state.
    pub(super) fn await_reassertion(&mut self, subject: &Subject, due: Instant) {
        if self.schedule(subject, due) {
            self.commits.reassert(subject, None);
        }
    }

    /// Sets or moves a subject's time; tells whether it had none.
    fn schedule(&mut self, subject: &Subject, due: Instant) -> bool {
        let lane = self.lanes.by_subject.entry(subject.clone()).or_default();
        let before = lane.reassertion.as_ref().map(|known| known.due);
        let due = before.map_or(due, |before| before.max(due));
        let reassertion = lane
            .reassertion
            .get_or_insert_with(|| Box::new(Reassertion::new(due)));
        reassertion.due = due;
        self.lanes.schedule.set(subject, before, due);
        before.is_none()
    }

    /// Keeps in memory what was asserted, if there is room.
    fn keep(&mut self, subject: &Subject, asserted: Option<Asserted>) {
        let room = self.settings.in_flight_bytes;
        let lane = self.lanes.by_subject.get_mut(subject);
        if let Some(reassertion) = lane.and_then(|lane| lane.reassertion.as_mut()) {
            self.lanes.schedule.keep(reassertion, asserted, room);
        }
    }

    /// What a record that was kept asserts.
    fn asserted_by(&self, subject: &Subject, record: Record) -> Option<Asserted> {
        let register = self.lanes.by_subject.get(subject)?.register.as_ref();
        let content_time = register.map_or(0, |register| register.content_time);
        let state = record.subject_state()?;
        let current = lane::current(&record, state, content_time);
        let record = Some(record);
        Some(Asserted { current, record })
    }

    /// Moves the lanes whose newest state is due to be asserted once more.
    pub(super) fn reassert(&mut self) {
        if self.stopping {
            return;
        }
        for subject in self.lanes.schedule.due(Instant::now()) {
            self.step(&subject);
        }
    }

    /// Nothing is queued: the lane asserts again if that is due, or goes.
    pub(super) fn rest(&mut self, subject: &Subject) {
        let Some(lane) = self.lanes.by_subject.get_mut(subject) else {
            return;
        };
        let Some(reassertion) = &lane.reassertion else {
            self.end_lane(subject);
            return;
        };
        if Instant::now() < reassertion.due {
            return;
        }
        let applied = lane.register.as_ref().is_some_and(Register::applied);
        match (&reassertion.asserted, self.profile.rules.has_api) {
            (Some(asserted), _) => {
                let asserted = asserted.clone();
                self.assert_again(subject, asserted);
            }
            (None, true) if applied => self.ask(subject),
            (None, true) => self.settle(subject),
            (None, false) => {
                lane.busy = true;
                let recalled = self.recall(subject);
                self.events.push(recalled);
            }
        }
    }

    fn assert_again(&mut self, subject: &Subject, asserted: Asserted) {
        let lane = self.lanes.by_subject.get_mut(subject);
        let Some((lane, after)) = lane.and_then(|lane| {
            let after = lane.register.clone()?;
            Some((lane, after))
        }) else {
            self.settle(subject);
            return;
        };
        lane.busy = true;
        let mut work = Work::new(subject, Purpose::Reassert);
        work.records.extend(asserted.record.map(|record| Pending {
            outcome: Outcome::Reasserted,
            ..Pending::of(NO_OFFSET, record)
        }));
        work.current = Some(asserted.current);
        work.after = Some(after);
        self.write(work);
    }

    /// What the durable set says of the subject, which had no room in memory.
    fn recall(&self, subject: &Subject) -> BoxFuture<'static, Event> {
        let unsaved = self.commits.reasserts(subject).cloned();
        let (checkpoint, subject) = (self.commits.checkpoint(), subject.clone());
        Box::pin(async move {
            let record = match unsaved {
                Some(Reasserts::By(record)) => Ok(Some(record)),
                Some(Reasserts::ByRead | Reasserts::Settled) => Ok(None),
                None => {
                    let wanted = Wanted {
                        reasserted: vec![subject.clone()],
                        ..Wanted::default()
                    };
                    let known = checkpoint.lookup(wanted).await;
                    known.map(|mut known| known.reasserted.remove(&subject).map(Box::new))
                }
            };
            Event::Recalled(subject, record)
        })
    }

    /// The store was read for a lane. What came meanwhile goes first.
    pub(super) fn on_recalled(
        &mut self,
        subject: &Subject,
        record: Result<Option<Box<Record>>, StoreError>,
    ) -> Result<(), StoreError> {
        let record = record?;
        let Some(lane) = self.lanes.by_subject.get_mut(subject) else {
            return Ok(());
        };
        lane.busy = false;
        if self.stopping || !lane.queue.is_empty() {
            self.step(subject);
            return Ok(());
        }
        match record.and_then(|record| self.asserted_by(subject, *record)) {
            Some(asserted) => self.assert_again(subject, asserted),
            None => self.settle(subject),
        }
        Ok(())
    }

    /// The newest state was asserted after everything late must have landed, or there is none.
    pub(super) fn settle(&mut self, subject: &Subject) {
        let Some(lane) = self.lanes.by_subject.get_mut(subject) else {
            return;
        };
        if let Some(reassertion) = lane.reassertion.take() {
            self.lanes.schedule.remove(subject, &reassertion);
            self.commits.settled(subject);
        }
        if lane.queue.is_empty() && !lane.busy {
            self.end_lane(subject);
        }
    }

    /// The newest state could not be asserted once more: what lands late may stay, and no dead
    /// letter tells of it. It is tried again, unless there are too many already.
    pub(super) fn reassert_later(&mut self, subject: &Subject) {
        let wait = self.profile.capabilities.reassert_after;
        let due = wait.map(|wait| Instant::now() + wait);
        let sink = self.context.deliverer.sink.name();
        if let Some(due) = due.filter(|_| self.lanes.schedule.len() < MOST) {
            tracing::warn!(
                sink,
                subject = subject.uri(),
                "its newest state was refused when it was to be written once more, because an \
                 older write may have landed late; will be tried again"
            );
            self.await_reassertion(subject, due);
        } else {
            tracing::error!(
                sink,
                subject = subject.uri(),
                "its newest state was refused when it was to be written once more, and too many \
                 others wait: the sink may keep an older state until the subject changes"
            );
            self.settle(subject);
        }
    }
}
