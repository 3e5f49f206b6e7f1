//! How a task moves its lanes: routing, the fence, and the turn that follows from it.
//!
//! Guarantee (G4): at most one turn of a subject is under way, and what is sent is what the fence
//! let through or what Reltio answered.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::ends::{LaneEvent, NO_OFFSET};
use super::fence::Fenced;
use super::lane::{self, Lane, Pending};
use super::sink_task::SinkTask;
use super::turn::{Purpose, Turn, refusal_without_send};
use crate::event::Subject;
use crate::mutation::{self, Mutation};
use crate::sink::Mode;
use crate::time::until;

impl SinkTask {
    /// Moves a lane as far as it goes without waiting.
    pub(super) fn step(&mut self, subject: &Subject) {
        let keeps_ids = self.keeps_ids();
        while let Some(lane) = self.lanes.get_mut(subject) {
            if lane.busy || self.stopping {
                return;
            }
            let Some(head) = lane.queue.front() else {
                self.rest(subject);
                return;
            };
            if head.kills {
                self.refuse_head(subject, "kills_the_process", "unclean_stops");
                return;
            }
            if keeps_ids {
                if self.step_row(subject) {
                    return;
                }
                continue;
            }
            let (offset, record) = (head.offset, Arc::clone(&head.record));
            let fenced = lane.fence(&record, self.context.rules);
            let in_doubt = match fenced {
                Fenced::Ask | Fenced::StaleInPart => true,
                Fenced::Apply => lane.may_lose_fields(&record),
                Fenced::Duplicate | Fenced::Stale => false,
            };
            if in_doubt && self.context.golden.is_some() {
                self.ask(subject);
                return;
            }
            let history = self.context.courier.sink.declares().mode == Mode::History;
            let repeat = fenced == Fenced::Duplicate
                && (record.read_time.is_some() || lane_has_payload(lane));
            match fenced {
                Fenced::Apply | Fenced::Ask => {
                    self.apply(subject, fenced);
                    return;
                }
                Fenced::Duplicate | Fenced::Stale | Fenced::StaleInPart if history && !repeat => {
                    self.keep_rows(subject);
                    return;
                }
                Fenced::Duplicate | Fenced::Stale | Fenced::StaleInPart => {
                    lane.queue.pop_front();
                    let name = if fenced == Fenced::Duplicate {
                        "duplicate"
                    } else {
                        "stale"
                    };
                    self.complete(offset, name);
                }
            }
        }
    }

    /// Applies the head: the fence said so, or there is no Reltio API and arrival decides.
    fn apply(&mut self, subject: &Subject, fenced: Fenced) {
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let Some(head) = lane.queue.front() else {
            return;
        };
        let Some(state) = head.state().cloned() else {
            self.refuse_head(subject, "unreadable", "no_object");
            return;
        };
        let Some(pending) = lane.queue.pop_front() else {
            return;
        };
        let record = &pending.record;
        let rules = self.context.rules;
        let register = lane.register.as_ref();
        let state = lane::knowing(register, state);
        if fenced != Fenced::Apply {
            let courier = &self.context.courier;
            courier
                .metrics
                .outcome(courier.sink.name(), "by_arrival", 1);
        }
        let after = lane::applied(register, record, &state, rules);
        let current = lane::current(record, state, after.stands_for);
        self.turn(Turn {
            subject: subject.clone(),
            purpose: Purpose::Apply,
            records: vec![pending],
            current: Some(current),
            after: Some(after),
        });
    }

    /// Keeps the head's row at a history sink; the current table is not touched.
    pub(super) fn keep_rows(&mut self, subject: &Subject) {
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let head = lane.queue.front();
        if head.is_some_and(|head| lane::change(head).is_none()) {
            self.refuse_head(subject, "unreadable", "no_object");
            return;
        }
        let Some(pending) = lane.queue.pop_front() else {
            return;
        };
        self.turn(Turn {
            subject: subject.clone(),
            purpose: Purpose::Rows,
            records: vec![pending],
            current: None,
            after: None,
        });
    }

    fn turn(&mut self, turn: Turn) {
        if let Some(lane) = self.lanes.get_mut(&turn.subject) {
            lane.busy = true;
        }
        if mutation::is(Mutation::LedgerBeforeSink)
            && let Some(after) = &turn.after
        {
            self.overlay.put(turn.subject.clone(), after.clone());
        }
        let context = self.context.clone();
        self.turning += 1;
        self.work.push(Box::pin(async move {
            LaneEvent::of(context.deliver(turn).await)
        }));
    }

    /// Dead-letters the head without sending it.
    pub(super) fn refuse_head(&mut self, subject: &Subject, reason: &'static str, code: &str) {
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let Some(pending) = lane.queue.pop_front() else {
            return;
        };
        lane.busy = true;
        let (subject, refusal) = (subject.clone(), refusal_without_send(reason, code));
        let context = self.context.clone();
        self.turning += 1;
        self.work.push(Box::pin(async move {
            LaneEvent::of(context.refuse(subject, pending, refusal))
        }));
    }

    /// Waits until Reltio may be read, or reads it for everything that the read answers.
    fn ask(&mut self, subject: &Subject) {
        let now = self.context.courier.clock.now();
        let rules = self.context.rules;
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let due = lane.read_at(now, rules);
        let mut wait = until(now, due);
        if lane.queue.front().is_some_and(|pending| pending.suspect) {
            // Before the unclean stop it may have been answered by a read of which nothing is known.
            let settled = self.started + until(0, rules.settle);
            wait = wait.max(settled.saturating_duration_since(Instant::now()));
        }
        lane.busy = true;
        if !wait.is_zero() {
            self.work
                .push(later(wait, LaneEvent::Wake(subject.clone())));
            return;
        }
        let asked = lane.take_answered(now, rules);
        if mutation::is(Mutation::CoalescedCompletedAlone) {
            for pending in asked.records.iter().rev().skip(1) {
                self.tracker.complete(pending.offset);
            }
        }
        let (context, subject, register) =
            (self.context.clone(), subject.clone(), lane.register.clone());
        let answers = self.answers.clone();
        self.turning += 1;
        self.work.push(Box::pin(async move {
            let room = answers.wait().await;
            LaneEvent::of(context.answer(subject, register, asked, room).await)
        }));
    }

    /// Nothing is queued: the lane asserts again if it has to, or goes.
    fn rest(&mut self, subject: &Subject) {
        let now = Instant::now();
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let Some(unsettled) = &lane.unsettled else {
            self.lanes.remove(subject);
            return;
        };
        let due = unsettled.due;
        if now < due {
            // Not busy: what comes meanwhile goes its way.
            if lane.looks_at.is_none() {
                lane.looks_at = Some(due);
                let wait = due.saturating_duration_since(now);
                self.work
                    .push(later(wait, LaneEvent::Look(subject.clone())));
            }
            return;
        }
        let (Some(asserted), Some(after)) = (lane.asserted.clone(), lane.register.clone()) else {
            self.settle(subject);
            return;
        };
        let record = Pending::of(NO_OFFSET, asserted.record);
        self.turn(Turn {
            subject: subject.clone(),
            purpose: Purpose::Reassert,
            records: vec![record],
            current: Some(asserted.current),
            after: Some(after),
        });
    }
}

fn lane_has_payload(lane: &Lane) -> bool {
    lane.register
        .as_ref()
        .is_some_and(|register| !register.observed)
}

fn later(wait: Duration, event: LaneEvent) -> BoxFuture<'static, LaneEvent> {
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        event
    })
}
