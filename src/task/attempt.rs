//! Delivering one thing: attempts until the sink acknowledged it or will never take it.
//!
//! Guarantee (G3, G7): `Ok` means that the sink acknowledged this very delivery. What the sink
//! may still do late (`ambiguous`) is reported beside the result, never folded into it.

use std::sync::{Arc, Mutex, PoisonError};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::gate::Gate;
use super::retry::RetryPolicy;
use crate::mutation::{self, Mutation};
use crate::sink::{Delivered, Delivery, Effect, Sink, SinkError};
use crate::telemetry::Metrics;
use crate::time::{Millis, SharedClock};

/// What is needed to deliver to one sink.
#[derive(Debug, Clone)]
pub struct Courier {
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
    /// Jitter, seeded so that a simulation can repeat it.
    pub jitter: Arc<Mutex<ChaCha8Rng>>,
}

/// Why a delivery is given up: what a dead letter says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Class: `rejected`, `exhausted`, …
    pub reason: &'static str,
    /// The sink's code.
    pub code: String,
    /// Target fields it is about.
    pub fields: Vec<String>,
    /// What the sink was doing.
    pub action: String,
}

/// How a delivery ended.
#[derive(Debug, Clone)]
pub struct Attempted {
    /// The sink's acknowledgement, or why it is given up.
    pub result: Result<Delivered, Refusal>,
    /// An attempt ended without an answer: what it wrote may still land.
    pub ambiguous: bool,
    /// Attempts made.
    pub attempts: u32,
    /// When the first one began, ms.
    pub first_time: Millis,
    /// When the last one began, ms.
    pub started: Millis,
    /// The same, by a clock that nobody sets.
    pub began: Instant,
}

impl Courier {
    /// Delivers, with as many attempts as it takes and the budget allows.
    pub async fn deliver(&self, delivery: &Delivery) -> Attempted {
        let mut so_far = Attempted {
            result: Err(Refusal {
                reason: "exhausted",
                code: String::new(),
                fields: Vec::new(),
                action: "deliver".to_owned(),
            }),
            ambiguous: false,
            attempts: 0,
            first_time: self.clock.now(),
            started: 0,
            began: Instant::now(),
        };
        let mut waits = 0;
        loop {
            self.gate.pass(&delivery.subject).await;
            (so_far.started, so_far.began) = (self.clock.now(), Instant::now());
            match self.sink.deliver(delivery).await {
                Ok(delivered) => {
                    self.note("delivered");
                    self.gate.accepted();
                    so_far.result = Ok(delivered);
                    return so_far;
                }
                Err(SinkError::Retryable {
                    ambiguous: false,
                    outage: false,
                    ..
                }) if mutation::is(Mutation::PartialFailureAcknowledged) => {
                    so_far.result = Ok(Delivered {
                        effect: Effect::Delivered,
                        second_look: false,
                        read: None,
                    });
                    return so_far;
                }
                Err(error) => {
                    if self.give_up(delivery, error, &mut so_far) {
                        return so_far;
                    }
                }
            }
            waits += 1;
            tokio::time::sleep(self.retry.wait(waits, self.roll())).await;
        }
    }

    /// Books a failed attempt; tells whether that was the last one.
    fn give_up(&self, delivery: &Delivery, error: SinkError, so_far: &mut Attempted) -> bool {
        match error {
            SinkError::Retryable {
                code,
                ambiguous,
                outage,
            } => {
                self.note("retryable");
                so_far.ambiguous |= ambiguous;
                if outage {
                    self.gate.failed(&delivery.subject);
                } else {
                    self.gate.busy(&delivery.subject);
                }
                // What never reached the sink says nothing about the record.
                if !outage || ambiguous {
                    so_far.attempts += 1;
                }
                if let Err(refusal) = &mut so_far.result {
                    refusal.code = code;
                }
                so_far.attempts >= self.retry.attempts
            }
            SinkError::Throttled { pause, .. } => {
                self.note("throttled");
                self.gate.pause(pause);
                self.gate.busy(&delivery.subject);
                false
            }
            SinkError::Systemic { code, remedy } => {
                self.note("systemic");
                self.gate
                    .halt(&delivery.subject, &format!("{code}: {remedy}"));
                false
            }
            SinkError::Rejected {
                code,
                fields,
                action,
            } => {
                self.note("rejected");
                if self.gate.rejected(&delivery.subject, &code) {
                    // The sink is halted, which spends nobody's budget.
                    return false;
                }
                so_far.attempts += 1;
                so_far.result = Err(Refusal {
                    reason: "rejected",
                    code,
                    fields,
                    action: action.to_owned(),
                });
                true
            }
        }
    }

    fn note(&self, result: &'static str) {
        self.metrics.attempt(self.sink.name(), result);
    }

    fn roll(&self) -> f64 {
        self.jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .random()
    }
}
