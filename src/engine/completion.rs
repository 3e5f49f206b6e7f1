//! What a write leaves behind: registers, closed dead letters, outcomes, and what has to be
//! asserted once more.
//!
//! Guarantee (G3, G4): a register is remembered after the sink acknowledged its write. Where
//! something may still land late, the subject joins the durable set of reassertions in the same
//! commit.

use std::collections::BTreeSet;

use tokio::time::Instant;

use super::lane::{self, Lane, Pending};
use super::letters;
use super::outcome::Outcome;
use super::reading::Read;
use super::reassertion::Asserted;
use super::subject_letters::{NAMED, own_letters};
use super::task::{Event, SinkTask};
use super::work::{Purpose, Refusal, Work};
use crate::event::{Subject, SubjectState};
use crate::mutation::{self, Mutation};
use crate::sink::{Ack, Mode};
use crate::time::until;

impl SinkTask {
    /// A batch was answered.
    pub(super) fn on_sent(&mut self, sent: super::deliverer::Sent) {
        let mut touched = Vec::with_capacity(sent.acknowledged.len());
        for (work, ack) in sent.acknowledged {
            touched.push(work.subject.clone());
            self.in_flight.end_work();
            self.acknowledged(work, ack);
        }
        if !sent.refused.is_empty() {
            self.refuse(sent.refused);
        }
        if !sent.again.is_empty() {
            let again = Event::Again(sent.again);
            self.events.push(super::scheduler::later(sent.wait, again));
        }
        for subject in touched {
            self.free(&subject);
        }
    }

    /// Reltio was read for a lane.
    pub(super) fn on_read(&mut self, read: Read) {
        let Read { work, refusal } = read;
        match refusal {
            None => self.outbox.push(work),
            Some(refusal) => self.refuse(vec![(work, refusal)]),
        }
    }

    /// The lane goes on.
    pub(super) fn free(&mut self, subject: &Subject) {
        if let Some(lane) = self.lanes.by_subject.get_mut(subject) {
            lane.busy = false;
            lane.answers = false;
            lane.alone &= !lane.queue.is_empty();
        }
        self.step(subject);
    }

    fn acknowledged(&mut self, work: Work, ack: Ack) {
        self.observe_latency(&work);
        self.note_rows(&work);
        self.note_dates(&work);
        let reassertion = self.looks_again(&work, ack.second_look);
        let Work {
            subject,
            purpose,
            records,
            current,
            early,
            after,
            tries,
            ..
        } = work;
        let clocks = self.profile.rules.clocks;
        let mut closes = own_letters(&records);
        if let (Some(mut after), Some(lane)) = (after, self.lanes.by_subject.get_mut(&subject)) {
            if let Some(date) = ack.read {
                lane::read_by_sink(&mut after, date, clocks);
            }
            let (superseded, open) = lane.letters(purpose, &records, clocks);
            closes.extend(superseded);
            after.letters = open;
            lane.register = Some(after.clone());
            self.commits.put(&subject, after);
            let record = records.iter().rev().find(|it| it.outcome.is_written());
            let asserted = current.map(|current| Asserted {
                current,
                record: early
                    .map(|early| *early)
                    .or_else(|| record.map(|pending| pending.record.clone())),
            });
            if purpose != Purpose::Rows {
                self.asserted(&subject, asserted, reassertion, tries.began);
            } else if let Some(due) = reassertion {
                // Rows do not say again what the newest state is.
                self.await_reassertion(&subject, due);
            }
        } else if let Some(due) = reassertion {
            self.await_reassertion(&subject, due);
        }
        self.commits.close(closes);
        for pending in &records {
            self.in_flight.complete(pending, pending.outcome);
        }
    }

    /// A start or an end date that had not passed when the write began is looked at when it has.
    fn note_dates(&mut self, work: &Work) {
        let current = work.current.as_ref().map(|current| &current.state);
        if let Some(SubjectState::Alive(object)) = current
            && self.profile.capabilities.dated
            && let Some(time) = object.activity().next(work.tries.last_time)
        {
            self.commits.put_date(&work.subject, time);
        }
    }

    /// When the newest state has to be asserted once more after this write, if it has to.
    fn looks_again(&mut self, work: &Work, second_look: bool) -> Option<Instant> {
        let wait = self.profile.capabilities.reassert_after?;
        if mutation::is(Mutation::LateWriteIgnored) {
            return None;
        }
        let known = self
            .lanes
            .by_subject
            .get_mut(&work.subject)?
            .reassertion
            .as_mut();
        let suspect = work.records.iter().any(|pending| pending.suspect);
        let late = work.records.iter();
        let mut late = late.filter(|pending| pending.outcome != Outcome::Reasserted);
        let late = late.any(|pending| pending.record.is_late());
        let early = work
            .tries
            .began
            .is_none_or(|began| began < self.started + wait);
        let first = known.is_none();
        let looks = second_look && known.is_none_or(|known| known.looks_again(work));
        if work.tries.ambiguous || late || looks {
            Some(Instant::now() + wait)
        } else {
            (first && suspect && early).then_some(self.started + wait)
        }
    }

    /// Given up. A write of several records is taken apart: what another one of them is about may
    /// be accepted (G2). What is left has its outcome when its letters are durable. A letter of the
    /// same name may have been closed before: no later commit removes it, and one that is under
    /// way has removed it before it is written.
    pub(super) fn refuse(&mut self, refused: Vec<(Work, Refusal)>) {
        let mut to_write = Vec::with_capacity(refused.len());
        let mut apart = BTreeSet::new();
        for (mut work, refusal) in refused {
            if self.take_apart(&mut work) {
                apart.insert(work.subject.clone());
            }
            if work.records.is_empty() && work.purpose != Purpose::Reassert {
                self.in_flight.end_work();
                continue;
            }
            let names = work.letters();
            self.commits.reopen(&names);
            if self.commits.is_closing(&names) {
                self.commits.hold(work, refusal);
            } else {
                to_write.push((work, refusal));
            }
        }
        for subject in apart {
            // Those whose newest was refused go on when its letter is durable.
            let waits = |(work, _): &(Work, Refusal)| work.subject == subject;
            if !to_write.iter().any(waits) && !self.commits.holds(&subject) {
                self.free(&subject);
            }
        }
        self.write_letters(to_write);
    }

    pub(super) fn write_letters(&mut self, refused: Vec<(Work, Refusal)>) {
        if refused.is_empty() {
            return;
        }
        let context = self.context.clone();
        self.events.push(Box::pin(async move {
            letters::write(&context, &refused).await;
            Event::Lettered(refused)
        }));
    }

    /// Puts back the records that a refusal is not about; tells whether there are any.
    fn take_apart(&mut self, work: &mut Work) -> bool {
        if work.records.len() < 2 || !matches!(work.purpose, Purpose::Apply | Purpose::Rows) {
            return false;
        }
        let Some(lane) = self.lanes.by_subject.get_mut(&work.subject) else {
            return false;
        };
        let newest = if self.profile.capabilities.mode == Mode::Latest {
            work.records.iter().rposition(|it| it.outcome.is_written())
        } else {
            None
        };
        let newest = newest.and_then(|place| work.records.remove(place));
        lane.alone = self.profile.capabilities.mode == Mode::History;
        while let Some(pending) = work.records.pop_back() {
            lane.queue.push_front(pending);
        }
        work.records.extend(newest);
        true
    }

    /// Letters are durable.
    pub(super) fn on_lettered(&mut self, refused: Vec<(Work, Refusal)>) {
        for (work, _) in refused {
            self.in_flight.end_work();
            let subject = work.subject.clone();
            self.dead_lettered(&work);
            self.free(&subject);
        }
    }

    fn dead_lettered(&mut self, work: &Work) {
        let again = self.looks_again(work, false);
        let now = self.context.deliverer.clock.now();
        let subject = &work.subject;
        if let Some(lane) = self.lanes.by_subject.get_mut(subject) {
            let named = |lane: &Lane| lane.register.as_ref().map_or(0, |it| it.letters.len());
            let before = named(lane);
            let noted = lane.refused(
                work,
                self.profile.capabilities,
                now,
                self.profile.rules.clocks,
            );
            if before < NAMED && named(lane) == NAMED {
                tracing::warn!(
                    sink = self.context.deliverer.sink.name(),
                    subject = subject.uri(),
                    "has {NAMED} open dead letters; a delivery will close the newest {NAMED} by \
                     itself, older ones are to be redriven or discarded"
                );
            }
            if let Some(register) = noted {
                self.commits.put(subject, register);
            }
        }
        match again {
            Some(due) => self.await_reassertion(subject, due),
            None if work.purpose != Purpose::Reassert => {}
            None if work.records.is_empty() => self.reassert_later(subject),
            // Its letter tells of it.
            None => self.settle(subject),
        }
        for pending in &work.records {
            self.in_flight.complete(pending, Outcome::DeadLettered);
        }
    }

    fn observe_latency(&self, work: &Work) {
        if work.purpose == Purpose::Reassert {
            return;
        }
        let now = self.context.deliverer.clock.now();
        for Pending { record, .. } in &work.records {
            let waited = until(record.received_time(), now);
            self.profile.metrics.latency(waited.as_secs_f64());
        }
    }
}
