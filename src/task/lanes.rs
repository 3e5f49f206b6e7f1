//! How a task moves its lanes: routing, the fence, and the turn that follows from it.
//!
//! Guarantee (G4): at most one turn of a subject is under way, and what is sent is what the fence
//! let through or what Reltio answered.

use std::sync::Arc;

use futures::future::BoxFuture;
use prost::Message as _;

use super::commit::store_blocking;
use super::ends::NO_OFFSET;
use super::fence::Fenced;
use super::lane::{self, Lane, Pending};
use super::progress::note;
use super::sink_task::{LaneEvent, SinkTask, TaskError};
use super::turn::{Purpose, Turn, refusal_without_send};
use crate::event::{EventRecord, Kind, Subject};
use crate::ledger::{Register, Store, StoreError, keys};
use crate::log::LogRecord;
use crate::sink::Mode;
use crate::time::{Millis, until};

impl SinkTask {
    /// Hands records to their lanes.
    pub(super) async fn dispatch(&mut self, records: Vec<LogRecord>) -> Result<(), TaskError> {
        for LogRecord { offset, bytes } in records {
            let size = bytes.len();
            let careful = self.is_careful();
            let record = EventRecord::decode(bytes).map_err(|error| TaskError::Record {
                partition: self.partition,
                offset,
                why: error.to_string(),
            })?;
            self.tracker.start(offset);
            if !self.wants(&record) {
                self.complete(offset, "filtered");
                continue;
            }
            self.sizes.insert(offset, size);
            self.bytes += size;
            let subject = record.subject_key();
            let suspect = offset < self.beginning.suspect_below;
            let kills = careful && self.note(offset).await?;
            let pending = Pending {
                suspect,
                kills,
                ..Pending::new(offset, record)
            };
            self.lane(&subject)?.queue.push_back(pending);
            self.step(&subject);
        }
        Ok(())
    }

    /// Whether the record is for this sink at all. Erasures pass every filter.
    fn wants(&self, record: &EventRecord) -> bool {
        let sink = &self.context.courier.sink;
        if !record.sink.is_empty() && record.sink != sink.name() {
            return false;
        }
        let kind = record.kind();
        record.ask
            || kind == Kind::Erased
            || (kind != Kind::Other && sink.wants(&record.subject_key(), &record.object_type, kind))
    }

    /// Notes a record that is tried by itself; tells whether it is what stops the process.
    async fn note(&mut self, offset: u64) -> Result<bool, StoreError> {
        let last = self.noted.replace(offset);
        let partition = self.partition;
        let sink = self.context.courier.sink.name().to_owned();
        let key = move |offset| keys::attempts(&sink, partition, offset);
        let note = move |store: &dyn Store| note(store, key, offset, last);
        store_blocking(&self.context.store, note).await
    }

    /// The subject's lane, with what the ledger has of it.
    fn lane(&mut self, subject: &Subject) -> Result<&mut Lane, StoreError> {
        if !self.lanes.contains_key(subject) {
            let register = match self.overlay.get(subject) {
                Some(register) => Some(register.clone()),
                None => self.stored(subject)?,
            };
            self.lanes.insert(
                subject.clone(),
                Lane {
                    register,
                    ..Lane::default()
                },
            );
        }
        Ok(self.lanes.entry(subject.clone()).or_default())
    }

    fn stored(&self, subject: &Subject) -> Result<Option<Register>, StoreError> {
        let sink = self.context.courier.sink.name();
        let key = keys::register(sink, self.partition, subject);
        let Some(value) = self.context.store.get(&key)? else {
            return Ok(None);
        };
        Register::decode(value.as_slice())
            .map(Some)
            .map_err(|error| StoreError::Corrupt {
                key: format!("a register of {sink} in partition {}", self.partition),
                why: error.to_string(),
            })
    }

    /// Moves a lane as far as it goes without waiting.
    pub(super) fn step(&mut self, subject: &Subject) {
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
    fn keep_rows(&mut self, subject: &Subject) {
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
        let context = self.context.clone();
        self.turning += 1;
        self.work.push(Box::pin(async move {
            LaneEvent::End(Box::new(context.deliver(turn).await))
        }));
    }

    /// Dead-letters the head without sending it.
    fn refuse_head(&mut self, subject: &Subject, reason: &'static str, code: &str) {
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
            LaneEvent::End(Box::new(context.refuse(subject, pending, refusal).await))
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
        lane.busy = true;
        if now < due {
            self.work
                .push(later(now, due, LaneEvent::Wake(subject.clone())));
            return;
        }
        let asked = lane.take_answered(now, rules);
        let (context, subject, register) =
            (self.context.clone(), subject.clone(), lane.register.clone());
        self.turning += 1;
        self.work.push(Box::pin(async move {
            LaneEvent::End(Box::new(context.answer(subject, register, asked).await))
        }));
    }

    /// Nothing is queued: the lane asserts again if it has to, or goes.
    fn rest(&mut self, subject: &Subject) {
        let now = self.context.courier.clock.now();
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
                self.work
                    .push(later(now, due, LaneEvent::Look(subject.clone())));
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

fn later(now: Millis, then: Millis, event: LaneEvent) -> BoxFuture<'static, LaneEvent> {
    let wait = until(now, then);
    Box::pin(async move {
        tokio::time::sleep(wait).await;
        event
    })
}
