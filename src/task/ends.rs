//! What a turn leaves behind: registers, completed offsets, and lanes that are not settled yet.
//!
//! Guarantee (G4): a lane whose sink may still do something late keeps its records in flight, and
//! its register out of the ledger, until its newest state was asserted once more.

use std::time::Duration;

use tokio::time::Instant;

use super::commit::names_one_of;
use super::lane::{self, Lane};
use super::letters::own_letters;
use super::sink_task::SinkTask;
use super::turn::{Purpose, TurnEnd, reassert_after};
use super::unsettled::Unsettled;
use crate::event::Subject;
use crate::mutation::{self, Mutation};
use crate::time::until;

/// Stands where a record has no offset of its own: a state that is asserted once more.
pub(super) const NO_OFFSET: u64 = u64::MAX;

/// What a turn or a timer reports to the loop.
pub(super) enum LaneEvent {
    /// The lane waited for its read, which is due.
    Wake(Subject),
    /// The lane's second assertion may be due.
    Look(Subject),
    /// A turn was refused; its letters are not written yet.
    Refused(Box<TurnEnd>),
    /// A turn ended.
    End(Box<TurnEnd>),
}

impl LaneEvent {
    pub(super) fn of(end: TurnEnd) -> Self {
        if end.attempted.result.is_err() {
            Self::Refused(Box::new(end))
        } else {
            Self::End(Box::new(end))
        }
    }
}

impl SinkTask {
    pub(super) fn on_event(&mut self, event: LaneEvent) {
        match event {
            LaneEvent::Wake(subject) => {
                if let Some(lane) = self.lanes.get_mut(&subject) {
                    lane.busy = false;
                }
                self.step(&subject);
            }
            LaneEvent::Look(subject) => {
                if let Some(lane) = self.lanes.get_mut(&subject) {
                    lane.looks_at = None;
                }
                self.step(&subject);
            }
            LaneEvent::Refused(end) => self.refused(end),
            LaneEvent::End(end) => {
                self.turning = self.turning.saturating_sub(1);
                self.turns += 1;
                let subject = end.subject.clone();
                if let Some(lane) = self.lanes.get_mut(&subject) {
                    lane.busy = false;
                }
                self.on_end(*end);
                self.step(&subject);
            }
        }
    }

    /// A refused record has its end when its letters are durable (G2). A letter of the same name
    /// may have been closed before: no later commit removes it, and one that is under way has
    /// removed it before it is written.
    fn refused(&mut self, end: Box<TurnEnd>) {
        let letters = end.letters();
        self.overlay.reopen(&letters);
        if self.overlay.is_closing(&letters) {
            self.refused.push(*end);
            return;
        }
        let context = self.context.clone();
        self.work.push(Box::pin(async move {
            context.write_letters(&end).await;
            LaneEvent::End(end)
        }));
    }

    /// The commit is over that the letters of refused records had to wait for.
    pub(super) fn write_refused(&mut self) {
        for end in std::mem::take(&mut self.refused) {
            self.refused(Box::new(end));
        }
    }

    fn on_end(&mut self, end: TurnEnd) {
        let delivered = end.attempted.result.as_ref().ok().copied();
        self.unsettle(
            &end,
            delivered.is_some_and(|delivered| delivered.second_look),
        );
        if delivered.is_some() {
            self.observe_latency(&end);
            self.acknowledged(end);
        } else {
            self.dead_lettered(&end);
        }
    }

    /// Notes that something may still land, or be missed, and until when.
    fn unsettle(&mut self, end: &TurnEnd, second_look: bool) {
        let Some(wait) = reassert_after(&self.context.courier) else {
            return;
        };
        let suspect = end.records.iter().any(|pending| pending.suspect);
        let Some(lane) = self.lanes.get_mut(&end.subject) else {
            return;
        };
        let again = end.attempted.ambiguous
            || second_look && lane.unsettled.as_mut().is_none_or(|it| it.looks_again(end));
        let due = if again {
            Instant::now() + wait
        } else if suspect && lane.unsettled.is_none() && end.started_before(self.started, wait) {
            self.started + wait
        } else {
            return;
        };
        if mutation::is(Mutation::LateWriteIgnored) {
            return;
        }
        let unsettled = lane.unsettled.get_or_insert_with(|| Unsettled::until(due));
        unsettled.due = unsettled.due.max(due);
        self.unsettled.insert(end.subject.clone());
    }

    fn acknowledged(&mut self, end: TurnEnd) {
        let TurnEnd {
            subject,
            purpose,
            records,
            mut after,
            asserted,
            attempted,
            ..
        } = end;
        let offsets: Vec<u64> = records
            .iter()
            .map(|pending| pending.offset)
            .filter(|offset| *offset != NO_OFFSET)
            .collect();
        self.count(outcome_of(purpose), &offsets);
        self.note_rows(&subject, &records);
        let Some(lane) = self.lanes.get_mut(&subject) else {
            return;
        };
        let mut closes = own_letters(&records);
        let read = attempted.result.ok().and_then(|delivered| delivered.read);
        if let Some(after) = &mut after {
            if let Some(date) = read {
                lane::read_by_sink(after, date, self.context.rules);
            }
            let (superseded, open) = lane.letters(purpose, &records, self.context.rules);
            closes.extend(superseded);
            after.letters = open;
            lane.register = Some(after.clone());
        }
        let Some(unsettled) = &mut lane.unsettled else {
            if let Some(after) = after {
                self.overlay.put(subject, after);
            }
            self.overlay.close(closes);
            self.finish(&offsets);
            return;
        };
        let settles = after.is_some() && attempted.began >= unsettled.due;
        unsettled.offsets.extend(&offsets);
        unsettled.closes.extend(closes);
        if after.is_some() {
            lane.assert(asserted, &mut self.asserted_bytes);
        }
        self.hold(&offsets);
        if settles {
            self.settle(&subject);
        }
    }

    /// The newest state was asserted after everything late must have landed.
    pub(super) fn settle(&mut self, subject: &Subject) {
        self.unsettled.remove(subject);
        let Some(lane) = self.lanes.get_mut(subject) else {
            return;
        };
        let unsettled = lane.unsettled.take();
        let (offsets, closes) =
            unsettled.map_or_else(Default::default, |it| (it.offsets, it.closes));
        lane.assert(None, &mut self.asserted_bytes);
        if let Some(register) = lane.register.clone() {
            self.overlay.put(subject.clone(), register);
        }
        self.overlay.close(closes);
        self.resting = self.resting.saturating_sub(offsets.len());
        for offset in offsets {
            self.tracker.complete(offset);
        }
        if lane_is_idle(self.lanes.get(subject)) {
            self.lanes.remove(subject);
        }
    }

    fn dead_lettered(&mut self, end: &TurnEnd) {
        let letters = end.letters();
        let offsets: Vec<u64> = end
            .records
            .iter()
            .map(|pending| pending.offset)
            .filter(|offset| *offset != NO_OFFSET)
            .collect();
        self.count("dead_lettered", &offsets);
        let Some(lane) = self.lanes.get_mut(&end.subject) else {
            self.finish(&offsets);
            return;
        };
        let courier = &self.context.courier;
        let sink = courier.sink.declares();
        let noted = lane.refused(end, sink, courier.clock.now(), self.context.rules);
        if let Some(unsettled) = &mut lane.unsettled {
            // What was sent of it may still land: it is read again after a crash until then.
            unsettled.closes.retain(|one| !names_one_of(one, &letters));
            unsettled.offsets.extend(&offsets);
            self.hold(&offsets);
        } else {
            if let Some(register) = noted {
                self.overlay.put(end.subject.clone(), register);
            }
            self.finish(&offsets);
        }
        if end.purpose == Purpose::Reassert {
            self.settle(&end.subject);
        }
    }

    /// Offsets that stay in flight, without their payloads.
    fn hold(&mut self, offsets: &[u64]) {
        for offset in offsets {
            self.release(*offset);
            self.resting += 1;
        }
    }

    fn finish(&mut self, offsets: &[u64]) {
        for offset in offsets {
            self.release(*offset);
            self.tracker.complete(*offset);
        }
    }

    fn release(&mut self, offset: u64) {
        if let Some(size) = self.sizes.remove(&offset) {
            self.bytes = self.bytes.saturating_sub(size);
        }
    }

    pub(super) fn complete(&mut self, offset: u64, outcome: &'static str) {
        self.count(outcome, &[offset]);
        self.finish(&[offset]);
    }

    fn count(&self, outcome: &'static str, offsets: &[u64]) {
        let records = u64::try_from(offsets.len()).unwrap_or(u64::MAX);
        self.context
            .courier
            .metrics
            .outcome(self.context.courier.sink.name(), outcome, records);
    }

    fn observe_latency(&self, end: &TurnEnd) {
        let now = self.context.courier.clock.now();
        if end.purpose == Purpose::Reassert {
            return;
        }
        for pending in &end.records {
            let waited = until(pending.record.received_time, now);
            self.context
                .courier
                .metrics
                .latency(self.context.courier.sink.name(), waited.as_secs_f64());
        }
    }
}

impl TurnEnd {
    /// Whether what an earlier process sent may still land after this turn.
    fn started_before(&self, started: Instant, wait: Duration) -> bool {
        self.attempted.began < started + wait
    }
}

fn lane_is_idle(lane: Option<&Lane>) -> bool {
    lane.is_some_and(|lane| lane.queue.is_empty() && !lane.busy && lane.unsettled.is_none())
}

fn outcome_of(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Apply => "delivered",
        Purpose::Rows => "row",
        Purpose::Answer => "answered",
        Purpose::Reassert => "reasserted",
    }
}
