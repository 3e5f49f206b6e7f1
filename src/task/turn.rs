//! Turns: what a lane does while others go on. One turn of a subject is under way at a time.
//!
//! Guarantee (G1, G2): a record has its end after the sink acknowledged, or after its dead letter
//! is durable. There is no third way out.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tokio::time::Instant;

use super::answers::Answered;
use super::attempt::{Attempted, Courier, Refusal};
use super::lane::{self, Asked, Asserted, ClockRules, Pending};
use crate::dead_letter::DeadLetter;
use crate::event::{EventRecord, State, Subject, SubjectState};
use crate::ledger::{Register, Store};
use crate::log::{Log, Share};
use crate::reltio::{Answer, Found, Golden, ReltioError, late_enough};
use crate::sink::{Change, Current, Delivery, Mode};
use crate::time::Millis;

/// After a read that failed, the next one waits this long; doubled up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// What the turns of one task share.
#[derive(Debug, Clone)]
pub struct Context {
    /// How to deliver.
    pub courier: Courier,
    /// Reltio, if there is an API.
    pub golden: Option<Arc<dyn Golden>>,
    /// The store of ledger and dead letters.
    pub store: Arc<dyn Store>,
    /// The event log.
    pub log: Arc<dyn Log>,
    /// The tenant's clock rules.
    pub rules: ClockRules,
}

/// Why a turn is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The fence said apply.
    Apply,
    /// Only rows of a history sink.
    Rows,
    /// Reltio was read.
    Answer,
    /// The same once more, since something may have landed late.
    Reassert,
}

/// A turn that ended.
#[derive(Debug)]
pub(crate) struct TurnEnd {
    pub(crate) subject: Subject,
    pub(crate) purpose: Purpose,
    pub(crate) records: Vec<Pending>,
    /// The register, if the sink acknowledged.
    pub(crate) after: Option<Register>,
    pub(crate) asserted: Option<Asserted>,
    /// The time that what was sent stands for, acknowledged or not.
    pub(crate) sent: Option<Millis>,
    pub(crate) attempted: Attempted,
}

/// One turn before it is made.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) subject: Subject,
    pub(crate) purpose: Purpose,
    pub(crate) records: Vec<Pending>,
    pub(crate) current: Option<Current>,
    pub(crate) after: Option<Register>,
}

impl Context {
    fn history(&self) -> bool {
        self.courier.sink.declares().mode == Mode::History
    }

    /// Delivers what the turn says.
    pub(crate) async fn deliver(self, turn: Turn) -> TurnEnd {
        let delivery = self.delivery(&turn);
        let attempted = self.courier.deliver(&delivery).await;
        turn.ended(attempted)
    }

    /// Reads Reltio and delivers the answer as the newest. It keeps its room until then.
    pub(crate) async fn answer(
        self,
        subject: Subject,
        register: Option<Register>,
        asked: Asked,
        mut room: Option<Answered>,
    ) -> TurnEnd {
        let purpose = Purpose::Answer;
        let Asked { records, due } = asked;
        match late_enough(due, self.rules.settle, || self.read(&subject)).await {
            Ok(answer) => {
                if let (Some(room), Found::Alive(object)) = (&mut room, &answer.found) {
                    room.came(object.weight());
                }
                let state = lane::cause_of_death(register.as_ref(), &records, state_of(&answer));
                let after =
                    lane::answered(register.as_ref(), &records, &state, answer.date, self.rules);
                let told = |pending: &Pending| pending.record.state() == State::Erased;
                let current = Current {
                    erased: records.iter().any(told),
                    state,
                    stands_for: after.stands_for,
                    version: after.version,
                    fields: None,
                };
                let turn = Turn {
                    subject,
                    purpose,
                    records,
                    current: Some(current),
                    after: Some(after),
                };
                self.deliver(turn).await
            }
            Err(refusal) => {
                let attempted = self.not_sent(refusal, 1);
                let turn = Turn {
                    subject,
                    purpose,
                    records,
                    current: None,
                    after: None,
                };
                turn.ended(attempted)
            }
        }
    }

    /// Reads until there is an answer, or a reason why there will be none for this subject.
    async fn read(&self, subject: &Subject) -> Result<Answer, Refusal> {
        let Some(golden) = &self.golden else {
            return Err(unreadable("no_reltio_api"));
        };
        let mut wait = FIRST_WAIT;
        loop {
            let result = golden.read(subject.uri()).await;
            self.courier.metrics.read("ask", read_label(&result));
            let error = match result {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if let ReltioError::Rejected { code } = &error {
                return Err(unreadable(code));
            }
            tracing::error!("{error}; will be read again");
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        }
    }

    fn delivery(&self, turn: &Turn) -> Delivery {
        let changes: Vec<Change> = if self.history() && turn.purpose != Purpose::Reassert {
            turn.records.iter().filter_map(lane::change).collect()
        } else {
            Vec::new()
        };
        let mut targets: Vec<String> = turn
            .records
            .iter()
            .flat_map(|pending| pending.record.targets.clone())
            .collect();
        targets.sort_unstable();
        targets.dedup();
        let known = turn
            .records
            .iter()
            .map(|pending| pending.record.known_time())
            .max();
        let newest = turn.after.as_ref().map_or(0, |after| after.newest);
        Delivery {
            subject: turn.subject.clone(),
            object_type: object_type(&turn.records, turn.current.as_ref()),
            current: turn.current.clone(),
            changes,
            newest: newest.max(known.unwrap_or_default()),
            targets,
            hops: turn
                .records
                .iter()
                .map(|pending| pending.record.hops)
                .max()
                .unwrap_or_default(),
        }
    }

    /// Makes durable the letters of a turn that was refused.
    pub(crate) async fn write_letters(&self, end: &TurnEnd) {
        let Err(refusal) = &end.attempted.result else {
            return;
        };
        let sink = self.courier.sink.name();
        let letters: Vec<DeadLetter> = end
            .records
            .iter()
            .map(|pending| letter(sink, pending, refusal, &end.attempted))
            .collect();
        crate::dead_letter::write(&self.store, (&self.log, Share::Sinks), &letters).await;
    }

    /// Ends a record without a send.
    pub(crate) fn refuse(self, subject: Subject, record: Pending, refusal: Refusal) -> TurnEnd {
        let attempted = self.not_sent(refusal, 0);
        let turn = Turn {
            subject,
            purpose: Purpose::Apply,
            records: vec![record],
            current: None,
            after: None,
        };
        turn.ended(attempted)
    }

    fn not_sent(&self, refusal: Refusal, attempts: u32) -> Attempted {
        let now = self.courier.clock.now();
        Attempted {
            result: Err(refusal),
            ambiguous: false,
            attempts,
            first_time: now,
            started: now,
            began: Instant::now(),
        }
    }
}

impl Turn {
    fn ended(self, attempted: Attempted) -> TurnEnd {
        let Self {
            subject,
            purpose,
            records,
            current,
            after,
        } = self;
        let delivered = attempted.result.is_ok();
        let sent = current.as_ref().map(|current| current.stands_for);
        let asserted = current
            .zip(records.last())
            .map(|(current, pending)| Asserted {
                current,
                record: Arc::clone(&pending.record),
            });
        TurnEnd {
            subject,
            purpose,
            after: after.filter(|_| delivered),
            asserted: asserted.filter(|_| delivered),
            sent,
            records,
            attempted,
        }
    }
}

fn unreadable(code: &str) -> Refusal {
    Refusal {
        reason: "unreadable",
        code: code.to_owned(),
        fields: Vec::new(),
        action: "read".to_owned(),
    }
}

/// How a read ended, as the metric calls it.
pub(crate) fn read_label(result: &Result<Answer, ReltioError>) -> &'static str {
    match result {
        Ok(answer) => match answer.found {
            Found::Alive(_) => "found",
            Found::Survivor(_) => "survivor",
            Found::Nothing => "nothing",
        },
        Err(ReltioError::Refused { .. }) => "refused",
        Err(ReltioError::Unavailable { .. } | ReltioError::Rejected { .. }) => "failed",
    }
}

/// What an answer says of the subject that was asked for.
pub(crate) fn state_of(answer: &Answer) -> SubjectState {
    match &answer.found {
        Found::Alive(object) => SubjectState::Alive(Arc::clone(object)),
        Found::Survivor(object) => SubjectState::Absorbed {
            by: object.uri().map(ToOwned::to_owned),
        },
        Found::Nothing => SubjectState::Gone,
    }
}

fn object_type(records: &[Pending], current: Option<&Current>) -> String {
    if let Some(SubjectState::Alive(object)) = current.map(|current| &current.state)
        && let Some(of_object) = object.object_type()
    {
        return of_object.to_owned();
    }
    let mut types = records
        .iter()
        .rev()
        .map(|pending| &pending.record.object_type);
    types
        .find(|name| !name.is_empty())
        .cloned()
        .unwrap_or_default()
}

fn letter(sink: &str, pending: &Pending, refusal: &Refusal, attempted: &Attempted) -> DeadLetter {
    let record: &EventRecord = &pending.record;
    let origin = record.origin.clone().unwrap_or_default();
    DeadLetter {
        id: record.id.clone(),
        sink: sink.to_owned(),
        round: record.round,
        source: origin.source,
        topic: origin.topic,
        partition: origin.partition,
        offset: origin.offset,
        tenant: record.tenant.clone(),
        subject: record.subject.clone(),
        object_type: record.object_type.clone(),
        kind: record.kind().into(),
        version: record.version,
        commit_time: record.commit_time,
        stage: "deliver".to_owned(),
        action: refusal.action.clone(),
        reason: refusal.reason.to_owned(),
        code: refusal.code.clone(),
        fields: refusal.fields.clone(),
        attempts: attempted.attempts,
        first_time: attempted.first_time,
        last_time: attempted.started,
        processor: env!("CARGO_PKG_VERSION").to_owned(),
        headers: std::collections::HashMap::default(),
        original: record.encode_to_vec().into(),
    }
}

/// A refusal that ends a record without a send.
pub(crate) fn refusal_without_send(reason: &'static str, code: &str) -> Refusal {
    Refusal {
        reason,
        code: code.to_owned(),
        fields: Vec::new(),
        action: "none".to_owned(),
    }
}

/// How long after an ambiguous write the newest state is asserted once more.
pub(crate) fn reassert_after(courier: &Courier) -> Option<Duration> {
    courier.sink.declares().reassert_after
}
