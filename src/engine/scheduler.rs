//! How a task moves its lanes: what the rules say comes next becomes a write, a read or an outcome.
//!
//! Guarantee (G4): at most one write of a subject is under way, and what is sent is what the fence
//! let through or what Reltio answered.

use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::decide::Step;
use super::reading;
use super::task::{Event, SinkTask};
use super::work::{Purpose, Refusal, Work};
use crate::event::Subject;
use crate::mutation::{self, Mutation};
use crate::time::until;

impl SinkTask {
    /// Moves a lane as far as it goes without waiting.
    pub(super) fn step(&mut self, subject: &Subject) {
        while let Some(lane) = self.lanes.by_subject.get_mut(subject) {
            if lane.busy || self.stopping {
                return;
            }
            match lane.next(subject, &self.profile.rules) {
                Step::Rest => {
                    self.rest(subject);
                    return;
                }
                Step::Complete(pending, outcome) => self.in_flight.complete(&pending, outcome),
                Step::Keep(pending, outcome, register) => {
                    lane.register = Some(register.clone());
                    self.commits.put(subject, register);
                    self.in_flight.complete(&pending, outcome);
                }
                Step::Write(work) => {
                    lane.busy = true;
                    self.write(work);
                    return;
                }
                Step::Ask => {
                    self.ask(subject);
                    return;
                }
                Step::Refuse(pending, reason, code) => {
                    lane.busy = true;
                    if pending.blame.kills() {
                        self.input.resume.kills(&pending.record);
                        lane.spread_blame(&pending);
                    }
                    let mut work = Work::new(subject, Purpose::Apply);
                    work.records.push_back(pending);
                    work.tries.first_time = self.context.deliverer.clock.now();
                    work.tries.last_time = work.tries.first_time;
                    self.in_flight.begin_work();
                    let refusal = Refusal::without_send(reason, code, "none");
                    self.refuse(vec![(work, refusal)]);
                    return;
                }
            }
        }
    }

    /// A write waits to be sent.
    pub(super) fn write(&mut self, work: Work) {
        if mutation::is(Mutation::RegisterBeforeSink)
            && let Some(after) = &work.after
        {
            self.commits.put(&work.subject, after.clone());
        }
        if mutation::is(Mutation::CoalescedCompletedAlone) {
            let older = work.records.iter().rev().skip(1);
            older.for_each(|pending| self.in_flight.complete_early(pending.offset));
        }
        self.in_flight.begin_work();
        self.outbox.push(work);
    }

    /// Waits until Reltio may be read, or reads it for everything that the read answers.
    pub(super) fn ask(&mut self, subject: &Subject) {
        let now = self.context.deliverer.clock.now();
        let clocks = self.profile.rules.clocks;
        let Some(lane) = self.lanes.by_subject.get_mut(subject) else {
            return;
        };
        let due = lane.read_at(now, clocks);
        let mut wait = until(now, due);
        if lane.queue.front().is_some_and(|pending| pending.suspect) {
            // Before the unclean stop it may have been answered by a read of which nothing is known.
            let settled = self.started + until(0, clocks.settle);
            wait = wait.max(settled.saturating_duration_since(Instant::now()));
        }
        lane.busy = true;
        if !wait.is_zero() {
            let wake = Event::Wake(subject.clone());
            self.events.push(later(wait, wake));
            return;
        }
        let asked = lane.take_answered(now, clocks);
        lane.answers = true;
        if mutation::is(Mutation::CoalescedCompletedAlone) {
            let older = asked.records.iter().rev().skip(1);
            older.for_each(|pending| self.in_flight.complete_early(pending.offset));
        }
        let (context, subject, register) =
            (self.context.clone(), subject.clone(), lane.register.clone());
        let reads = self.in_flight.reads.clone();
        self.in_flight.begin_work();
        self.events.push(Box::pin(async move {
            let room = reads.wait().await;
            let read = reading::answer(&context, subject, register, asked, room).await;
            Event::Read(Box::new(read))
        }));
    }

    /// Nothing is under way for the subject any more.
    pub(super) fn end_lane(&mut self, subject: &Subject) {
        if let Some((subject, lane)) = self.lanes.by_subject.remove_entry(subject)
            && let Some(register) = lane.register
        {
            self.commits.keep_visible(subject, register);
        }
    }
}

pub(super) fn later(wait: Duration, event: Event) -> BoxFuture<'static, Event> {
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        event
    })
}
