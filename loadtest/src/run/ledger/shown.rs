//! What one sink has shown, and what that makes of an event.

use std::collections::{HashMap, HashSet};

use super::Micros;
use crate::throughput::event::Event;

/// So many examples of what is wrong are kept of each sink.
const EXAMPLES: usize = 5;

/// What a sink keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// The newest state of each subject. An older one need not come, and must not come late.
    Newest,
    /// The same, but a subject that was never there and whose newest event removes it need not come.
    Living,
    /// Every change, in any order.
    All,
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
    /// Of what keeps the living: the newest version of each subject that was accepted.
    wanted: HashMap<u32, u32>,
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

impl Shown {
    pub(super) fn new(name: &str, keeps: Keeps) -> Self {
        Self {
            name: name.to_owned(),
            keeps,
            seen: HashMap::new(),
            newest: HashMap::new(),
            wanted: HashMap::new(),
            letters: HashSet::new(),
            regressed: 0,
            invented: 0,
            examples: Vec::new(),
        }
    }

    pub(super) fn takes(&mut self, event: Event, at: Micros, told: impl Fn(Event) -> String) {
        let newest = self.newest.entry(event.entity).or_default();
        let before = *newest;
        *newest = before.max(event.version);
        if self.keeps != Keeps::All && event.version < before {
            self.regressed += 1;
            let newer = Event {
                version: before,
                ..event
            };
            self.example(format!("{} came after {}", told(event), told(newer)));
        }
        let seen = self.seen.entry(event);
        let seen = seen.or_insert(Seen {
            first: at,
            times: 0,
        });
        seen.times += 1;
    }

    pub(super) fn invents(&mut self, what: String) {
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
        let settled = match self.newest.get(&event.entity) {
            Some(newest) => self.keeps != Keeps::All && *newest > event.version,
            None => self.never_lived(event.entity),
        };
        if settled { Fate::Stale } else { Fate::Lost }
    }

    /// Whether the newest event of a subject that is not there removes it.
    fn never_lived(&self, entity: u32) -> bool {
        let newest = self.wanted.get(&entity);
        newest.is_some_and(|version| {
            let version = *version;
            Event { entity, version }.is_removal()
        })
    }

    /// An event was accepted that was made here, so that its name says whether it removes.
    pub(super) fn wants(&mut self, event: Event) {
        if self.keeps == Keeps::Living {
            let newest = self.wanted.entry(event.entity).or_default();
            *newest = event.version.max(*newest);
        }
    }
}
