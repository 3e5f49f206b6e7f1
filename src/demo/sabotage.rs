//! One delivery broken on purpose, so that everybody can see the comparison notice it.
//!
//! From the chosen delivery on, every delivery of that subject is broken in the same way: one
//! alone would be mended by the subject's next change, which is what goldwire is for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::event::{Kind, Subject, SubjectState};
use crate::runtime::WrapSink;
use crate::sink::{
    Ack, Capabilities, Current, Effect, Pieces, Place, Serving, Sink, SinkError, Write, each,
};
use crate::time::Millis;

/// What to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// Acknowledge a change without writing it.
    Lose,
    /// Write a change twice, as two changes.
    Double,
    /// Write an older state over a newer one.
    Regress,
}

/// Deliveries passed before one is chosen, so that the run is well under way: a share of the
/// events, and no more than so many.
const CHOSEN_AFTER: usize = 40;
const SHARE: usize = 5;

/// What is to be broken, and whether it was.
#[derive(Debug, Clone)]
pub(super) struct Scheme {
    sabotage: Sabotage,
    plan: Arc<Mutex<Plan>>,
}

impl Scheme {
    /// For a run of so many events.
    pub(super) fn new(sabotage: Sabotage, events: usize) -> Self {
        let plan = Plan {
            wait: CHOSEN_AFTER.min(events / SHARE),
            ..Plan::default()
        };
        Self {
            sabotage,
            plan: Arc::new(Mutex::new(plan)),
        }
    }

    /// Gets between goldwire and the warehouse.
    pub(super) fn wrap(&self) -> WrapSink {
        let scheme = self.clone();
        Arc::new(move |inner| {
            if inner.name() == "warehouse" {
                let scheme = scheme.clone();
                Arc::new(Saboteur { inner, scheme })
            } else {
                inner
            }
        })
    }

    /// Nothing was broken if no delivery was fit for it: a run that proves nothing.
    ///
    /// # Errors
    /// One sentence that says so.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.plan().chosen.is_some() {
            return Ok(());
        }
        Err(
            "--sabotage: among so few events no delivery was fit to be broken; raise --events"
                .to_owned(),
        )
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Plan {
    wait: usize,
    seen: usize,
    first: HashMap<Subject, Current>,
    chosen: Option<Subject>,
}

/// A sink that breaks what one subject gets.
#[derive(Debug)]
struct Saboteur {
    inner: Arc<dyn Sink>,
    scheme: Scheme,
}

impl Saboteur {
    /// The delivery as it is to be made; nothing if it is to be lost.
    fn spoil(&self, delivery: &Write) -> Option<Write> {
        let mut plan = self.scheme.plan();
        plan.seen += 1;
        if plan.chosen.is_none() && plan.seen > plan.wait && self.suits(&plan, delivery) {
            tracing::warn!(subject = %delivery.subject, "sabotage begins");
            plan.chosen = Some(delivery.subject.clone());
        }
        if plan.chosen.as_ref() != Some(&delivery.subject) {
            if let Some(current) = &delivery.current
                && current.state.is_alive()
            {
                let subject = delivery.subject.clone();
                plan.first.entry(subject).or_insert_with(|| current.clone());
            }
            return Some(delivery.clone());
        }
        let mut spoiled = delivery.clone();
        match self.scheme.sabotage {
            Sabotage::Lose => return None,
            Sabotage::Double => {
                let copies = delivery.changes.iter().cloned().map(|mut copy| {
                    copy.commit_time = copy.commit_time.saturating_add(1);
                    copy
                });
                spoiled.changes.extend(copies);
            }
            Sabotage::Regress => {
                if let (Some(current), Some(first)) =
                    (&mut spoiled.current, plan.first.get(&delivery.subject))
                {
                    current.state = first.state.clone();
                    current.version = first.version;
                }
            }
        }
        Some(spoiled)
    }

    /// Whether breaking this delivery shows.
    fn suits(&self, plan: &Plan, delivery: &Write) -> bool {
        let alive = matches!(
            delivery.current.as_ref().map(|current| &current.state),
            Some(SubjectState::Alive(_))
        );
        let differs = plan.first.get(&delivery.subject).is_some_and(|first| {
            delivery
                .current
                .as_ref()
                .is_some_and(|now| now.state != first.state)
        });
        match self.scheme.sabotage {
            Sabotage::Lose | Sabotage::Double => alive && !delivery.changes.is_empty(),
            Sabotage::Regress => alive && differs,
        }
    }
}

#[async_trait]
impl Sink for Saboteur {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn target(&self) -> String {
        self.inner.target()
    }

    fn complaint(&self) -> Option<String> {
        self.inner.complaint()
    }

    fn silence(&self) -> std::time::Duration {
        self.inner.silence()
    }

    fn pieces(&self, place: &Place) -> Option<Arc<dyn Pieces>> {
        self.inner.pieces(place)
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn accepts(&self, subject: &Subject, object_type: &str, kind: Kind) -> bool {
        self.inner.accepts(subject, object_type, kind)
    }

    async fn write(&self, batch: &[Write]) -> Vec<Result<Ack, SinkError>> {
        each(batch, |write| self.one(write)).await
    }

    async fn serve(&self) -> Result<Option<Serving>, String> {
        self.inner.serve().await
    }

    fn caught_up(&self, time: Millis) {
        self.inner.caught_up(time);
    }

    async fn probe(&self) -> Vec<String> {
        self.inner.probe().await
    }
}

impl Saboteur {
    async fn one(&self, delivery: &Write) -> Result<Ack, SinkError> {
        match self.spoil(delivery) {
            Some(delivery) => self.inner.write_one(&delivery).await,
            None => Ok(Ack {
                effect: Effect::Delivered,
                second_look: false,
                read: None,
            }),
        }
    }
}
