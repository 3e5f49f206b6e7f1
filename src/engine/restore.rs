//! What a task takes up from before: subjects that have to be asserted once more.

use super::checkpoint::Waiting;
use super::lane;
use super::reassertion::Asserted;
use super::task::SinkTask;
use crate::event::{Record, Subject};

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
            self.await_reassertion(&subject, self.started + wait);
            if let Some(record) = record.filter(|_| !self.profile.rules.has_api) {
                self.keep_record(&subject, record);
            }
        }
    }

    /// What is asserted where Reltio cannot be read.
    fn keep_record(&mut self, subject: &Subject, record: Record) {
        let lane = self.lanes.by_subject.get_mut(subject);
        let Some((state, lane)) = record.subject_state().zip(lane) else {
            return;
        };
        let content_time = lane.register.as_ref().map_or(0, |it| it.content_time);
        let current = lane::current(&record, state, content_time);
        if let Some(reassertion) = &mut lane.reassertion {
            let record = Some(record);
            let asserted = Some(Asserted { current, record });
            let room = self.settings.in_flight_bytes;
            self.lanes.schedule.keep(reassertion, asserted, room);
            let kept = reassertion.asserted.as_ref();
            let record = kept.and_then(|kept| kept.record.clone());
            self.commits.reassert(subject, record);
        }
    }
}
