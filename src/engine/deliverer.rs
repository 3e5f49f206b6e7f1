//! Sending one batch to the sink, and what each of its writes came to.
//!
//! Guarantee (G3, G7): a write counts as acknowledged only by its own answer. What the sink may
//! still do late is noted with the write's attempts, and never taken for an answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::gate::Gate;
use super::retry::RetryPolicy;
use super::work::{Refusal, Work};
use crate::mutation::{self, Mutation};
use crate::sink::pieces::FULL;
use crate::sink::{Ack, DUPLICATE, Effect, Mode, Pieces, Sink, SinkError, UNANSWERED, Write};
use crate::telemetry::{Metrics, SinkMetrics, spans};
use crate::time::SharedClock;

/// What is needed to deliver to one sink.
#[derive(Debug, Clone)]
pub struct Deliverer {
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// Its gate.
    pub gate: Arc<Gate>,
    /// When to try again.
    pub retry: RetryPolicy,
    /// The time.
    pub clock: SharedClock,
    /// The instruments.
    pub metrics: Arc<Metrics>,
    /// What gathers the rows of this task's partition instead, where the sink takes pieces.
    pub pieces: Option<Arc<dyn Pieces>>,
    /// Jitter, seeded so that a simulation can repeat it.
    pub jitter: Arc<Mutex<ChaCha8Rng>>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Acknowledged.
    pub(crate) acknowledged: Vec<(Work, Ack)>,
    /// Given up.
    pub(crate) refused: Vec<(Work, Refusal)>,
    /// To be tried again after `wait`.
    pub(crate) again: Vec<Work>,
    pub(crate) wait: Duration,
}

/// What one answer means.
enum Verdict {
    Acknowledged(Ack),
    Refused(Refusal),
    Again,
}

impl Deliverer {
    /// Sends `batch`, which the gate let pass. Where rows are gathered in pieces, nothing reaches the
    /// target yet, and nothing is said of it.
    pub(crate) async fn send(&self, mut batch: Vec<Work>) -> (Vec<Work>, Answers) {
        let (now, began) = (self.clock.now(), Instant::now());
        let history = self.sink.capabilities().mode == Mode::History;
        let mut writes: Vec<Write> = Vec::with_capacity(batch.len());
        for work in &mut batch {
            work.tries.begin(now, began);
            writes.push(work.to_write(history));
        }
        let span = spans::write(self.sink.name(), writes.len());
        let mut answers = if let Some(pieces) = &self.pieces {
            pieces.gather(&writes).instrument(span).await
        } else {
            let _sending = self.gate.sending();
            self.sink.write(&writes).instrument(span).await
        };
        answers.resize_with(batch.len(), || Err(UNANSWERED));
        (batch, answers)
    }

    /// Judges the answers, one by one. A batch with an answer that is no failure shows that the
    /// sink is there.
    pub(crate) fn judge(&self, batch: Vec<Work>, answers: Answers, metrics: &SinkMetrics) -> Sent {
        let mut sent = Sent::default();
        let company = Company {
            alone: batch.len() == 1,
            takes: answers.iter().any(Result::is_ok),
        };
        if company.takes && self.pieces.is_none() {
            self.gate.accepted();
        }
        let (mut waits, mut counts) = (0, Counts::default());
        for (mut work, answer) in batch.into_iter().zip(answers) {
            counts.add(&answer);
            match self.verdict(&mut work, answer, &company) {
                Verdict::Acknowledged(ack) => sent.acknowledged.push((work, ack)),
                Verdict::Refused(refusal) => sent.refused.push((work, refusal)),
                Verdict::Again => {
                    work.tries.waits += 1;
                    waits = waits.max(work.tries.waits);
                    sent.again.push(work);
                }
            }
        }
        counts.tell(metrics);
        if !sent.again.is_empty() {
            sent.wait = self.retry.wait(waits, self.roll());
        }
        sent
    }

    fn verdict(
        &self,
        work: &mut Work,
        answer: Result<Ack, SinkError>,
        company: &Company,
    ) -> Verdict {
        let error = match answer {
            Ok(ack) => return Verdict::Acknowledged(ack),
            Err(error) => error,
        };
        match error {
            SinkError::Retryable {
                ambiguous: false,
                outage: false,
                ..
            } if mutation::is(Mutation::PartialFailureAcknowledged) => Verdict::Acknowledged(Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            }),
            SinkError::Retryable {
                code,
                ambiguous,
                outage,
            } => self.retryable(work, code, (ambiguous, outage), company),
            SinkError::Throttled { code, pause } => {
                self.gate.throttled(&work.subject, pause, &code);
                Verdict::Again
            }
            SinkError::Systemic { code, remedy } => {
                self.gate.halt(&work.subject, &format!("{code}: {remedy}"));
                Verdict::Again
            }
            SinkError::Rejected {
                code,
                fields,
                action,
            } => {
                // A sink that takes others is not set up wrongly. One that is halted spends nothing
                // of a record's budget.
                if code == DUPLICATE {
                    self.gate.duplicate();
                } else if self.pieces.is_none()
                    && !company.takes
                    && self.gate.rejected(&work.subject, &code)
                {
                    return Verdict::Again;
                }
                work.tries.attempts += 1;
                Verdict::Refused(Refusal {
                    reason: "rejected",
                    code,
                    fields,
                    action: action.to_owned(),
                })
            }
        }
    }

    fn retryable(
        &self,
        work: &mut Work,
        code: String,
        (ambiguous, outage): (bool, bool),
        company: &Company,
    ) -> Verdict {
        if self.pieces.is_some() && code == FULL {
            return Verdict::Again;
        }
        work.tries.ambiguous |= ambiguous;
        if outage && !company.takes {
            self.gate.failed(&work.subject, &code);
        } else if !outage {
            self.gate.busy(&work.subject);
        }
        if outage && !company.alone {
            // One of the batch may be to blame: smaller company will tell.
            work.tries.splits += u32::from(ambiguous);
        } else if !outage || ambiguous {
            // What never reached the sink says nothing about the record.
            work.tries.attempts += 1;
        }
        if work.tries.attempts >= self.retry.attempts {
            return Verdict::Refused(Refusal {
                reason: "exhausted",
                code,
                fields: Vec::new(),
                action: "deliver".to_owned(),
            });
        }
        work.tries.code = code;
        Verdict::Again
    }

    fn roll(&self) -> f64 {
        self.jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random()
    }
}

/// The answers of a batch, in its order.
pub(crate) type Answers = Vec<Result<Ack, SinkError>>;

/// How the attempts of a batch ended.
#[derive(Debug, Default)]
struct Counts([u64; 5]);

impl Counts {
    const NAMES: [&'static str; 5] = [
        "delivered",
        "retryable",
        "throttled",
        "systemic",
        "rejected",
    ];

    fn add(&mut self, answer: &Result<Ack, SinkError>) {
        let place = match answer {
            Ok(_) => 0,
            Err(SinkError::Retryable { .. }) => 1,
            Err(SinkError::Throttled { .. }) => 2,
            Err(SinkError::Systemic { .. }) => 3,
            Err(SinkError::Rejected { .. }) => 4,
        };
        if let Some(count) = self.0.get_mut(place) {
            *count += 1;
        }
    }

    fn tell(self, metrics: &SinkMetrics) {
        for (name, count) in Self::NAMES.into_iter().zip(self.0) {
            if count > 0 {
                metrics.attempts(name, count);
            }
        }
    }
}

/// What a write was sent with.
struct Company {
    alone: bool,
    /// The sink took something of it.
    takes: bool,
}
