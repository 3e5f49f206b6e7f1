//! Every event by its id: when it was due, when it was accepted, when each sink had it.
//!
//! Guarantee: what a sink shows is held against what was sent, one by one. Nothing is sampled.

mod shown;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::run::replay::Names;
use crate::throughput::event::Event;

pub(crate) use shown::{Fate, Keeps, Shown};

/// So many events are shown while the ledger is locked.
const AT_ONCE: usize = 500;

/// Microseconds since the start of the run.
pub(crate) type Micros = u64;

/// An event, however often it was sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sent {
    /// When it was due first.
    pub(crate) due: Micros,
    /// When it was accepted first.
    pub(crate) accepted: Option<Micros>,
    /// How often it was accepted.
    pub(crate) times: u32,
    /// When the system had it on its disk, as it says itself.
    pub(crate) logged: Option<Micros>,
    /// How long after it was due it was sent first.
    pub(crate) behind: Micros,
}

/// Numbers of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Messages that were sent.
    pub(crate) sent: u64,
    /// Of those, accepted.
    pub(crate) accepted: u64,
    /// Of those, given up.
    pub(crate) refused: u64,
    /// Events seen at each sink.
    pub(crate) seen: Vec<(String, u64)>,
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) events: HashMap<Event, Sent>,
    /// When each was due first, in the order of sending.
    order: Vec<(Micros, Event)>,
    pub(crate) sinks: Vec<Shown>,
    /// Messages, copies included.
    pub(crate) messages: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Shared by senders, and by those who look at the sinks.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    /// What captured events are called.
    names: Option<Arc<Names>>,
}

impl Ledger {
    /// For these sinks.
    pub(crate) fn new(sinks: &[(String, Keeps)]) -> Self {
        let sinks = sinks.iter().map(|(name, keeps)| Shown::new(name, *keeps));
        Self {
            state: Mutex::new(State {
                sinks: sinks.collect(),
                ..State::default()
            }),
            names: None,
        }
    }

    /// Of captured events, which are called so.
    pub(crate) fn naming(self, names: Option<Arc<Names>>) -> Self {
        Self { names, ..self }
    }

    /// What captured events are called; nothing where the load was made.
    pub(crate) fn names(&self) -> Option<&Names> {
        self.names.as_deref()
    }

    /// An event in words.
    pub(crate) fn told(&self, event: Event) -> String {
        match self.names().and_then(|names| names.told(event)) {
            Some((uri, version)) => format!("{uri} version {version}"),
            None => format!("{} version {}", event.uri(), event.version),
        }
    }

    /// All of it, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is about to be sent, when it is due.
    #[cfg(test)]
    pub(crate) fn sends(&self, event: Event, due: Micros) {
        self.sends_behind(event, due, 0);
    }

    /// A message is about to be sent, so long after it was due.
    pub(crate) fn sends_behind(&self, event: Event, due: Micros, behind: Micros) {
        let mut state = self.lock();
        state.messages += 1;
        let State { events, order, .. } = &mut *state;
        events.entry(event).or_insert_with(|| {
            order.push((due, event));
            Sent {
                due,
                behind,
                ..Sent::default()
            }
        });
    }

    /// Shows each event that was due first from the one time to before the other. Some at a time:
    /// whoever sends meanwhile does not wait for all of them.
    pub(crate) fn due_within(
        &self,
        (from, to): (Micros, Micros),
        mut look: impl FnMut(Event, Sent, &[Shown]),
    ) {
        let mut next = self.lock().order.partition_point(|(due, _)| *due < from);
        loop {
            let state = self.lock();
            let rest = state.order.get(next..).unwrap_or_default();
            let some = rest.iter().take(AT_ONCE);
            let some = some.take_while(|(due, _)| *due < to);
            let before = next;
            for (_, event) in some {
                let sent = state.events.get(event).copied().unwrap_or_default();
                look(*event, sent, &state.sinks);
                next += 1;
            }
            if next == before {
                return;
            }
        }
    }

    /// A message was accepted: from now on the system answers for it.
    pub(crate) fn accepted(&self, event: Event, at: Micros) {
        let mut state = self.lock();
        state.accepted += 1;
        if let Some(sent) = state.events.get_mut(&event) {
            sent.accepted.get_or_insert(at);
            sent.times += 1;
        }
        if self.names.is_none() {
            state.sinks.iter_mut().for_each(|shown| shown.wants(event));
        }
    }

    /// A message was given up.
    pub(crate) fn refused(&self) {
        self.lock().refused += 1;
    }

    /// The system says when it had the event on its disk.
    pub(crate) fn logged(&self, event: Event, at: Micros) {
        if let Some(sent) = self.lock().events.get_mut(&event) {
            let first = sent.logged.map_or(at, |known| known.min(at));
            sent.logged = Some(first);
        }
    }

    /// The sink with this number shows an event.
    pub(crate) fn seen(&self, sink: usize, event: Event, at: Micros) {
        let mut state = self.lock();
        let State { events, sinks, .. } = &mut *state;
        let Some(shown) = sinks.get_mut(sink) else {
            return;
        };
        if events.contains_key(&event) {
            shown.takes(event, at, |event| self.told(event));
        } else {
            shown.invents(format!("{} was never sent", self.told(event)));
        }
    }

    /// The sink with this number shows something that is no event that was sent.
    pub(crate) fn invented(&self, sink: usize, what: String) {
        if let Some(shown) = self.lock().sinks.get_mut(sink) {
            shown.invents(what);
        }
    }

    /// A dead letter of the sink of this name holds an event; without a name, of every sink.
    pub(crate) fn dead_lettered(&self, sink: Option<&str>, event: Event) {
        for shown in &mut self.lock().sinks {
            if sink.is_none_or(|name| name == shown.name) {
                shown.letters.insert(event);
            }
        }
    }

    /// What sinks showed that was never sent or is older than what was there, and dead letters.
    pub(crate) fn wrong(&self) -> (u64, u64) {
        let state = self.lock();
        let wrong = state.sinks.iter().map(|it| it.invented + it.regressed);
        let letters = state.sinks.iter().map(|it| count(it.letters.len()));
        (wrong.sum(), letters.sum())
    }

    /// Numbers of this moment.
    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        let seen = state.sinks.iter();
        let seen = seen.map(|shown| (shown.name.clone(), count(shown.seen.len())));
        Counts {
            sent: state.messages,
            accepted: state.accepted,
            refused: state.refused,
            seen: seen.collect(),
        }
    }

    /// Accepted events that some sink does not account for yet.
    pub(crate) fn open(&self) -> u64 {
        let state = self.lock();
        let accepted = state.events.iter().filter(|(_, sent)| sent.times > 0);
        let open = accepted.filter(|(event, _)| {
            let mut sinks = state.sinks.iter();
            sinks.any(|shown| shown.fate(**event) == Fate::Lost)
        });
        count(open.count())
    }
}

/// How many.
pub(crate) fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
