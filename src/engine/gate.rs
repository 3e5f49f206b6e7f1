//! The gate before one sink: breaker, pauses and halts, shared by all of its tasks.
//!
//! Waiting here spends no record's budget. A halt is loud, once, with its remedy; a single lane
//! then probes once a minute, so that a mended sink goes on without a restart.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breaker, Permit};
use crate::event::Subject;
use crate::time::{Millis, as_millis, until};

/// A halted sink is probed this often.
const HALT: Duration = Duration::from_mins(1);
/// So many rejections in a row, with nothing accepted between, halt the sink: a bad mapping must
/// not drain the log into dead letters.
const REJECTIONS: u32 = 50;

/// Why a sink does not move, or that it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkStatus {
    /// Deliveries go out.
    Running,
    /// Several lanes failed.
    BreakerOpen,
    /// The sink asked for a pause.
    Paused,
    /// No record would be accepted: code and remedy.
    Halted(String),
}

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    paused_until: Millis,
    halted: Option<String>,
    rejections: u32,
    waiting: usize,
}

/// The gate before one sink.
#[derive(Debug)]
pub struct Gate {
    sink: String,
    inner: Mutex<Inner>,
    changed: Notify,
    made: Instant,
}

impl Gate {
    /// An open gate before `sink`.
    pub fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            inner: Mutex::default(),
            changed: Notify::new(),
            made: Instant::now(),
        }
    }

    /// Since the gate was made: waits are no matter of a clock that can be set.
    fn now(&self) -> Millis {
        as_millis(self.made.elapsed())
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // A panic under this lock leaves at worst a stale breaker state.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `lane` may send.
    pub async fn pass(&self, lane: &Subject) {
        let mut counted = Waiting {
            gate: self,
            counted: false,
        };
        loop {
            let changed = self.changed.notified();
            let now = self.now();
            let wait = {
                let mut inner = self.inner();
                let others = inner.waiting > usize::from(counted.counted);
                let permit = if now < inner.paused_until {
                    Permit::NotBefore(inner.paused_until)
                } else {
                    inner.breaker.permit(lane, others, now)
                };
                match permit {
                    Permit::Go => return,
                    Permit::NotBefore(then) => {
                        if !counted.counted {
                            inner.waiting += 1;
                            counted.counted = true;
                        }
                        until(now, then).max(Duration::from_millis(1))
                    }
                }
            };
            tokio::select! {
                biased;
                () = changed => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// The sink took a record.
    pub fn accepted(&self) {
        let mut inner = self.inner();
        inner.rejections = 0;
        self.goes_on(&mut inner);
        self.answered(&mut inner);
    }

    fn goes_on(&self, inner: &mut Inner) {
        if inner.halted.take().is_some() {
            tracing::warn!(sink = self.sink, "the sink takes records again");
        }
    }

    /// The sink answered, and refused this record. Tells whether the sink is to be halted, in
    /// which case the record is not dead-lettered. One that judges records again is not halted by
    /// what was systemic before.
    pub fn rejected(&self, lane: &Subject, code: &str) -> bool {
        let mut inner = self.inner();
        inner.rejections = inner.rejections.saturating_add(1);
        if inner.rejections < REJECTIONS {
            self.goes_on(&mut inner);
            self.answered(&mut inner);
            return false;
        }
        drop(inner);
        self.halt(
            lane,
            &format!(
                "the last {REJECTIONS} records were all rejected, the newest with {code}; correct \
                 the mapping or the target, see `goldwire dlq list --sink {}`",
                self.sink
            ),
        );
        true
    }

    fn answered(&self, inner: &mut Inner) {
        let was_open = inner.breaker.is_open();
        inner.breaker.answered();
        if was_open {
            tracing::info!(sink = self.sink, "the sink answers again");
            self.changed.notify_waiters();
        }
    }

    /// A send failed in a way that speaks against the sink.
    pub fn failed(&self, lane: &Subject) {
        let now = self.now();
        let mut inner = self.inner();
        let was_open = inner.breaker.is_open();
        inner.breaker.failed(lane, None, now);
        if !was_open && inner.breaker.is_open() {
            tracing::warn!(
                sink = self.sink,
                "several subjects failed: the breaker is open"
            );
        }
        if was_open {
            // A probe failed: those who wait for its end look again when the next one is due.
            self.changed.notify_waiters();
        }
    }

    /// The sink answered, but did not take the record yet: it is there. A halt stays.
    pub fn busy(&self, lane: &Subject) {
        let now = self.now();
        let mut inner = self.inner();
        if inner.halted.is_some() {
            inner.breaker.failed(lane, Some(HALT), now);
            self.changed.notify_waiters();
        } else {
            self.answered(&mut inner);
        }
    }

    /// The sink asks for a pause.
    pub fn pause(&self, pause: Duration) {
        let then = self.now().saturating_add(as_millis(pause));
        let mut inner = self.inner();
        inner.paused_until = inner.paused_until.max(then);
    }

    /// No record would be accepted: stop, say so once, and probe now and then.
    pub fn halt(&self, lane: &Subject, sentence: &str) {
        let now = self.now();
        let mut inner = self.inner();
        inner.breaker.failed(lane, Some(HALT), now);
        if inner.halted.as_deref() != Some(sentence) {
            tracing::error!(sink = self.sink, "the sink is halted: {sentence}");
            inner.halted = Some(sentence.to_owned());
        }
        self.changed.notify_waiters();
    }

    /// Lets a halted or broken sink be tried at once.
    pub fn resume(&self) {
        let mut inner = self.inner();
        inner.rejections = 0;
        inner.paused_until = 0;
        inner.halted = None;
        inner.breaker = Breaker::default();
        self.changed.notify_waiters();
    }

    /// Why the sink does not move, or that it does.
    pub fn status(&self) -> SinkStatus {
        let now = self.now();
        let inner = self.inner();
        match &inner.halted {
            Some(sentence) => SinkStatus::Halted(sentence.clone()),
            None if inner.breaker.is_open() => SinkStatus::BreakerOpen,
            None if now < inner.paused_until => SinkStatus::Paused,
            None => SinkStatus::Running,
        }
    }
}

/// Counts a lane as waiting until it passes or gives up.
struct Waiting<'a> {
    gate: &'a Gate,
    counted: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.counted {
            let mut inner = self.gate.inner();
            inner.waiting = inner.waiting.saturating_sub(1);
        }
    }
}
