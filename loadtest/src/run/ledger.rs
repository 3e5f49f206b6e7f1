//! Every event by its id: when it was due, when it was accepted, when each sink had it.
//!
//! Guarantee: what a sink shows is held against what was sent, one by one. Nothing is sampled.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::throughput::event::Event;

/// So many examples of what is wrong are kept of each sink.
const EXAMPLES: usize = 5;

/// Microseconds since the start of the run.
pub(crate) type Micros = u64;

/// What a sink keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// The newest state of each subject. An older one need not come, and must not come late.
    Newest,
    /// Every change, in any order.
    All,
}

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
}

/// An event at a sink.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// When it was seen first.
    pub(crate) first: Micros,
    /// How often.
    pub(crate) times: u32,
}

/// What one sink has shown.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) keeps: Keeps,
    pub(crate) seen: HashMap<Event, Seen>,
    /// The newest version of each subject that was seen.
    newest: HashMap<u32, u32>,
    pub(crate) letters: HashSet<Event>,
    pub(crate) regressed: u64,
    pub(crate) invented: u64,
    pub(crate) examples: Vec<String>,
}

/// What became of an event that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The sink has it.
    Delivered,
    /// The sink has a newer version, and keeps the newest.
    Stale,
    /// It is in a dead letter.
    DeadLettered,
    /// None of these.
    Lost,
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
    pub(crate) sinks: Vec<Shown>,
    /// Messages, copies included.
    pub(crate) messages: u64,
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
}

/// Shared by senders, and by those who look at the sinks.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<State>);

impl Ledger {
    /// For these sinks.
    pub(crate) fn new(sinks: &[(String, Keeps)]) -> Self {
        let sinks = sinks.iter().map(|(name, keeps)| Shown::new(name, *keeps));
        Self(Mutex::new(State {
            sinks: sinks.collect(),
            ..State::default()
        }))
    }

    /// All of it, locked.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is about to be sent.
    pub(crate) fn sends(&self, event: Event, due: Micros) {
        let mut state = self.lock();
        state.messages += 1;
        state.events.entry(event).or_insert(Sent {
            due,
            ..Sent::default()
        });
    }

    /// A message was accepted: from now on the system answers for it.
    pub(crate) fn accepted(&self, event: Event, at: Micros) {
        let mut state = self.lock();
        state.accepted += 1;
        if let Some(sent) = state.events.get_mut(&event) {
            sent.accepted.get_or_insert(at);
            sent.times += 1;
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
            shown.takes(event, at);
        } else {
            let what = format!("{} version {} was never sent", event.uri(), event.version);
            shown.invents(what);
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

impl Shown {
    fn new(name: &str, keeps: Keeps) -> Self {
        Self {
            name: name.to_owned(),
            keeps,
            seen: HashMap::new(),
            newest: HashMap::new(),
            letters: HashSet::new(),
            regressed: 0,
            invented: 0,
            examples: Vec::new(),
        }
    }

    fn takes(&mut self, event: Event, at: Micros) {
        let newest = self.newest.entry(event.entity).or_default();
        let before = *newest;
        *newest = before.max(event.version);
        if self.keeps == Keeps::Newest && event.version < before {
            self.regressed += 1;
            let (uri, version) = (event.uri(), event.version);
            self.example(format!(
                "{uri} went back from version {before} to {version}"
            ));
        }
        let seen = self.seen.entry(event);
        let seen = seen.or_insert(Seen {
            first: at,
            times: 0,
        });
        seen.times += 1;
    }

    fn invents(&mut self, what: String) {
        self.invented += 1;
        self.example(what);
    }

    pub(crate) fn example(&mut self, what: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(what);
        }
    }

    /// What became of an accepted event.
    pub(crate) fn fate(&self, event: Event) -> Fate {
        if self.seen.contains_key(&event) {
            return Fate::Delivered;
        }
        if self.letters.contains(&event) {
            return Fate::DeadLettered;
        }
        let newest = self.newest.get(&event.entity);
        let newer = newest.is_some_and(|newest| *newest > event.version);
        if self.keeps == Keeps::Newest && newer {
            Fate::Stale
        } else {
            Fate::Lost
        }
    }
}

/// How many.
pub(crate) fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(entity: u32, version: u32) -> Event {
        Event { entity, version }
    }

    /// Three versions of one subject, sent and accepted.
    fn ledger(keeps: Keeps) -> Ledger {
        let ledger = Ledger::new(&[("sink".to_owned(), keeps)]);
        for version in 1..=3 {
            ledger.sends(event(7, version), 10);
            ledger.accepted(event(7, version), 20);
        }
        ledger
    }

    fn fates(ledger: &Ledger) -> Vec<Fate> {
        let state = ledger.lock();
        (1..=3)
            .map(|version| state.sinks[0].fate(event(7, version)))
            .collect()
    }

    #[test]
    fn what_a_newer_state_replaced_is_stale_at_a_sink_that_keeps_the_newest_and_lost_at_another() {
        for (keeps, older) in [(Keeps::Newest, Fate::Stale), (Keeps::All, Fate::Lost)] {
            let ledger = ledger(keeps);
            ledger.seen(0, event(7, 2), 30);
            assert_eq!(fates(&ledger), [older, Fate::Delivered, Fate::Lost]);
            ledger.dead_lettered(Some("sink"), event(7, 3));
            assert_eq!(fates(&ledger), [older, Fate::Delivered, Fate::DeadLettered]);
        }
    }

    #[test]
    fn an_older_state_after_a_newer_one_is_a_step_back_only_where_the_newest_is_kept() {
        for (keeps, back) in [(Keeps::Newest, 1), (Keeps::All, 0)] {
            let ledger = ledger(keeps);
            ledger.seen(0, event(7, 3), 30);
            ledger.seen(0, event(7, 2), 31);
            assert_eq!(ledger.lock().sinks[0].regressed, back);
        }
    }

    #[test]
    fn what_was_never_sent_is_invented_and_what_comes_again_is_counted() {
        let ledger = ledger(Keeps::All);
        ledger.seen(0, event(8, 1), 30);
        ledger.seen(0, event(7, 1), 30);
        ledger.seen(0, event(7, 1), 40);
        let state = ledger.lock();
        assert_eq!(state.sinks[0].invented, 1);
        let seen = state.sinks[0].seen[&event(7, 1)];
        assert_eq!((seen.first, seen.times), (30, 2));
    }

    #[test]
    fn nobody_answers_for_what_was_not_accepted() {
        let ledger = Ledger::new(&[("sink".to_owned(), Keeps::All)]);
        ledger.sends(event(1, 1), 0);
        ledger.refused();
        assert_eq!(ledger.open(), 0);
        ledger.accepted(event(1, 1), 5);
        assert_eq!(ledger.open(), 1);
        ledger.seen(0, event(1, 1), 9);
        assert_eq!(ledger.open(), 0);
    }
}
