//! The gate before one sink: breaker, pauses and halts, shared by all of its tasks.
//!
//! Waiting here spends no record's budget. A halt is loud, once, with its remedy; a single lane
//! then probes once a minute, so that a mended sink goes on without a restart. A target that cannot
//! be reached is told once, within ten seconds. A person's pause holds everything until it is
//! taken back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::breaker::{Breaker, Permit};
use super::reach::{Cause, Reach};
use crate::event::Subject;
use crate::sink::{SILENCE, Sink};
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
    /// A send has had no answer for long: where to, and for how long.
    Silent(String),
    /// Sends fail, of several lanes or for long: where to, the newest code, and for how long.
    Unreachable(String),
    /// The target asked for a pause: its code, if that lasts.
    Throttled(String),
    /// A person holds it.
    Paused,
    /// No record would be accepted: code and remedy.
    Halted(String),
}

impl SinkStatus {
    /// Whether what is in the log may be expected to go out soon.
    pub fn moves(&self) -> bool {
        match self {
            Self::Running | Self::Silent(_) => true,
            Self::Unreachable(_) | Self::Throttled(_) | Self::Paused | Self::Halted(_) => false,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    breaker: Breaker,
    reach: Reach,
    /// A person holds the sink.
    held: bool,
    throttled_until: Millis,
    halted: Option<String>,
    rejections: u32,
    waiting: usize,
}

/// The gate before one sink.
#[derive(Debug)]
pub struct Gate {
    sink: String,
    /// The sink itself, which knows its target.
    before: Option<Arc<dyn Sink>>,
    inner: Mutex<Inner>,
    changed: Notify,
    made: Instant,
}

impl Gate {
    /// An open gate before a sink of this name, whose target has none.
    pub fn new(sink: &str) -> Self {
        Self {
            sink: sink.to_owned(),
            before: None,
            inner: Mutex::default(),
            changed: Notify::new(),
            made: Instant::now(),
        }
    }

    /// An open gate before `sink`.
    pub fn before(sink: &Arc<dyn Sink>) -> Self {
        Self {
            before: Some(Arc::clone(sink)),
            ..Self::new(sink.name())
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
                let permit = if inner.held {
                    Permit::NotBefore(now.saturating_add(as_millis(HALT)))
                } else if now < inner.throttled_until {
                    Permit::NotBefore(inner.throttled_until)
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

    /// The sink refused this record for what other records it has: it is set up rightly, however
    /// many such records come in a row.
    pub fn duplicate(&self) {
        let mut inner = self.inner();
        self.goes_on(&mut inner);
        self.answered(&mut inner);
    }

    fn answered(&self, inner: &mut Inner) {
        let was_open = inner.breaker.is_open();
        inner.breaker.answered();
        self.reached(inner);
        if was_open {
            self.changed.notify_waiters();
        }
    }

    fn reached(&self, inner: &mut Inner) {
        if let Some(lasted) = inner.reach.answered(self.now()) {
            let destination = self.destination();
            let lasted = lasted.as_secs();
            tracing::info!(
                sink = self.sink,
                destination,
                "the sink answers again, after {lasted} s"
            );
        }
    }

    /// A send begins; it has ended when the answer is dropped.
    pub(super) fn sending(&self) -> Sending<'_> {
        let now = self.now();
        self.inner().reach.begin(now);
        Sending(self)
    }

    /// A send failed with this code, in a way that speaks against the sink.
    pub fn failed(&self, lane: &Subject, code: &str) {
        let now = self.now();
        let mut inner = self.inner();
        let was_open = inner.breaker.is_open();
        inner.breaker.failed(lane, None, now);
        let cause = Cause::Failed(code.to_owned());
        inner.reach.met(cause.clone(), now);
        if !was_open && inner.breaker.is_open() {
            // Several subjects failed: that is no single record's trouble.
            let told = inner.reach.tell(cause);
            self.tell(told);
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

    /// The sink asks for a pause, with this code.
    pub fn throttled(&self, lane: &Subject, pause: Duration, code: &str) {
        let now = self.now();
        let then = now.saturating_add(as_millis(pause));
        let mut inner = self.inner();
        inner.throttled_until = inner.throttled_until.max(then);
        inner.reach.met(Cause::Throttled(code.to_owned()), now);
        if inner.halted.is_some() {
            inner.breaker.failed(lane, Some(HALT), now);
        } else {
            inner.breaker.answered();
        }
        self.changed.notify_waiters();
    }

    /// Tells what has lasted for too long, once. To be called every second or so.
    pub fn look(&self) {
        let silence = self.before.as_ref().map_or(SILENCE, |of| of.silence());
        let mut inner = self.inner();
        let told = inner.reach.look(silence, self.now());
        self.tell(told);
    }

    fn tell(&self, told: Option<Cause>) {
        let (sink, destination) = (&self.sink, self.destination());
        match told {
            Some(Cause::Silent) => {
                let error = self.complaint();
                tracing::warn!(
                    sink,
                    destination,
                    error,
                    "the sink does not answer; its records wait"
                );
            }
            Some(Cause::Failed(error)) => tracing::warn!(
                sink,
                destination,
                error,
                "the sink cannot be reached; its records wait and are tried again"
            ),
            Some(Cause::Throttled(error)) => tracing::warn!(
                sink,
                destination,
                error,
                "the sink takes nothing for now; its records wait and are tried again"
            ),
            None => {}
        }
    }

    /// Where the sink writes to.
    fn destination(&self) -> String {
        self.before
            .as_ref()
            .map(|of| of.target())
            .unwrap_or_default()
    }

    /// What is known of a target that does not answer.
    fn complaint(&self) -> String {
        let known = self.before.as_ref().and_then(|of| of.complaint());
        known.unwrap_or_else(|| "no answer".to_owned())
    }

    /// Holds everything back until [`go_on`](Self::go_on). What is being sent is finished.
    pub fn hold(&self) {
        self.inner().held = true;
    }

    /// No record would be accepted: stop, say so once, and probe now and then.
    pub fn halt(&self, lane: &Subject, sentence: &str) {
        let now = self.now();
        let mut inner = self.inner();
        self.reached(&mut inner);
        inner.breaker.failed(lane, Some(HALT), now);
        if inner.halted.as_deref() != Some(sentence) {
            let destination = self.destination();
            tracing::error!(
                sink = self.sink,
                destination,
                "the sink is halted: {sentence}"
            );
            inner.halted = Some(sentence.to_owned());
        }
        self.changed.notify_waiters();
    }

    /// Ends a [`hold`](Self::hold), and lets a halted or broken sink be tried at once.
    pub fn go_on(&self) {
        let mut inner = self.inner();
        inner.held = false;
        inner.rejections = 0;
        inner.throttled_until = 0;
        inner.halted = None;
        inner.breaker = Breaker::default();
        self.changed.notify_waiters();
    }

    /// Why the sink does not move, or that it does.
    pub fn status(&self) -> SinkStatus {
        let now = self.now();
        let inner = self.inner();
        if inner.held {
            return SinkStatus::Paused;
        }
        if let Some(sentence) = &inner.halted {
            return SinkStatus::Halted(sentence.clone());
        }
        let at = |what: &str, lasts: Duration| {
            let (destination, lasts) = (self.destination(), lasts.as_secs());
            format!("{destination}: {what}, for {lasts} s")
                .trim_start_matches(": ")
                .to_owned()
        };
        match inner.reach.told(now) {
            Some((Cause::Failed(code), lasts)) => SinkStatus::Unreachable(at(&code, lasts)),
            Some((Cause::Throttled(code), lasts)) => SinkStatus::Throttled(at(&code, lasts)),
            Some((Cause::Silent, lasts)) => SinkStatus::Silent(at(&self.complaint(), lasts)),
            None if now < inner.throttled_until => SinkStatus::Throttled(String::new()),
            None => SinkStatus::Running,
        }
    }
}

/// A send under way.
pub(super) struct Sending<'a>(&'a Gate);

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.0.inner().reach.end();
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
