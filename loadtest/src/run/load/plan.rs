//! Which event comes next.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::schedule::Schedule;
use super::sizes::Sizes;
use super::subjects::Subjects;
use crate::run::scenario::Scenario;
use crate::throughput::event::Event;

/// A late event comes at most so many messages after the newer one.
const LATEST: u64 = 200;
/// So many events are remembered for copies.
const REMEMBERED: usize = 4096;

/// One message that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    /// When, since the start.
    pub(crate) at: Duration,
    /// What.
    pub(crate) event: Event,
    /// Bytes of notes in its body.
    pub(crate) notes: u32,
    /// It was sent before.
    pub(crate) copy: bool,
    /// A newer version of its subject was sent before.
    pub(crate) late: bool,
    /// It comes as a webhook, else over Kafka.
    pub(crate) by_webhook: bool,
}

/// How a message comes to be sent.
#[derive(Debug, PartialEq, Eq)]
enum Kind {
    New,
    Late,
    Copy,
}

/// All messages of a scenario, in the order of sending. Every version of an entity up to its newest
/// is sent once that is no copy, if the plan is gone through to its end. Takes four bytes of memory
/// for an entity.
#[derive(Debug)]
pub(crate) struct Plan {
    rng: ChaCha8Rng,
    schedule: Schedule,
    sizes: Sizes,
    subjects: Subjects,
    copies: f64,
    late: f64,
    webhooks: f64,
    /// The number of the next message.
    number: u64,
    /// Newest version by entity, held back or not; 0 for none.
    newest: Vec<u32>,
    /// What is held back, by the number of its message.
    held: BTreeMap<u64, Event>,
    /// Late events that could not be arranged yet.
    owed: u64,
    /// Some of what was sent, mostly recent.
    remembered: Vec<Event>,
}

impl Plan {
    /// The messages of a scenario.
    pub(crate) fn new(scenario: &Scenario, seed: u64) -> Self {
        let load = &scenario.load;
        // What was held back takes this part of the messages; chance decides on the others.
        let free = 1.0 - load.late;
        Self {
            rng: ChaCha8Rng::seed_from_u64(seed),
            schedule: Schedule::new(scenario.rate, scenario.seconds),
            sizes: Sizes::new(load, seed),
            subjects: Subjects::new(load.entities, load.skew),
            copies: load.copies / free,
            late: load.late / free,
            webhooks: scenario.webhooks,
            number: 0,
            newest: vec![0; usize::try_from(load.entities).unwrap_or_default()],
            held: BTreeMap::new(),
            owed: 0,
            remembered: Vec::new(),
        }
    }

    fn pick(&mut self) -> Option<(Event, Kind)> {
        if let Some(event) = self.held.remove(&self.number) {
            return Some((event, Kind::Late));
        }
        let chance = self.rng.random::<f64>();
        if chance < self.copies && !self.remembered.is_empty() {
            let at = self.rng.random_range(0..self.remembered.len());
            return Some((*self.remembered.get(at)?, Kind::Copy));
        }
        if (self.copies..self.copies + self.late).contains(&chance) {
            self.owed += 1;
        }
        Some((self.new_version()?, Kind::New))
    }

    /// The next version of an entity, or the one after it while the next is held back.
    fn new_version(&mut self) -> Option<Event> {
        let entity = self.subjects.pick(&mut self.rng);
        let later = if self.owed > 0 {
            self.free_number(entity)
        } else {
            None
        };
        let newest = self.newest.get_mut(usize::try_from(entity).ok()?)?;
        *newest += 1;
        if let Some(number) = later {
            self.owed -= 1;
            self.held.insert(
                number,
                Event {
                    entity,
                    version: *newest,
                },
            );
            *newest += 1;
        }
        Some(Event {
            entity,
            version: *newest,
        })
    }

    /// A later message in which an event of this entity can come, unless one is held back already.
    fn free_number(&mut self, entity: u32) -> Option<u64> {
        let first = self.number + 1;
        let end = self.schedule.events().min(first + LATEST);
        if first >= end || self.held.values().any(|held| held.entity == entity) {
            return None;
        }
        let wanted = self.rng.random_range(first..end);
        (wanted..end)
            .chain(first..wanted)
            .find(|number| !self.held.contains_key(number))
    }

    /// Remembers an event in place of any other, so that most of those remembered are recent.
    fn remember(&mut self, event: Event) {
        if self.remembered.len() < REMEMBERED {
            self.remembered.push(event);
        } else {
            let at = self.rng.random_range(0..REMEMBERED);
            if let Some(other) = self.remembered.get_mut(at) {
                *other = event;
            }
        }
    }
}

impl Iterator for Plan {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let at = self.schedule.next()?;
        let (event, kind) = self.pick()?;
        self.number += 1;
        if kind != Kind::Copy {
            self.remember(event);
        }
        Some(Due {
            at,
            event,
            notes: self.sizes.notes(event),
            copy: kind == Kind::Copy,
            late: kind == Kind::Late,
            by_webhook: self.rng.random::<f64>() < self.webhooks,
        })
    }
}
