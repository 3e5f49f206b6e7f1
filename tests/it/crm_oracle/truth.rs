//! What truly happened: Reltio's entities over time, and the records that its streams make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use goldwire::event::Object;
use goldwire::sink::salesforce::ids;
use goldwire::time::Millis;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, RngExt};
use serde_json::{Value, json};

pub(crate) use super::words::{Kind, Record, Says, State};

/// What the world does, ms: the API lags its own stream, nodes' clocks differ.
pub(crate) const LAG: Millis = 1800;
pub(crate) const SKEW: Millis = 300;
/// What goldwire assumes.
pub(crate) const SETTLE: Millis = 2500;
pub(crate) const MARGIN: Millis = 700;

/// Entities at most.
pub(crate) const MOST: usize = 8;

#[derive(Debug, Clone, Copy, Default)]
struct How {
    of_set: bool,
    no_version: bool,
}

const PLAIN: How = How {
    of_set: false,
    no_version: false,
};
const OF_SET: How = How {
    of_set: true,
    no_version: false,
};
const OF_SET_BARE: How = How {
    of_set: true,
    no_version: true,
};

#[derive(Debug, Default)]
pub(crate) struct Reltio {
    pub(crate) names: Vec<String>,
    /// Dates of the contacts that crosswalks name.
    pub(crate) dates: BTreeMap<String, usize>,
    pub(crate) records: Vec<(String, Record)>,
    pub(crate) end: Millis,
    past: BTreeMap<String, Vec<(Millis, State)>>,
    own: BTreeMap<String, Vec<String>>,
    holds: BTreeMap<String, BTreeSet<String>>,
    came: BTreeMap<String, BTreeSet<String>>,
    versions: BTreeMap<String, i64>,
    restart: bool,
    one_time: bool,
    sets: bool,
}

fn pick<R: Rng, T: Clone>(rng: &mut R, of: &[T]) -> T {
    of.choose(rng).unwrap().clone()
}

impl Reltio {
    pub(crate) fn new(rng: &mut impl Rng) -> Self {
        let mut it = Self {
            names: (0..rng.random_range(3..=5))
                .map(|n| format!("entities/e{n}"))
                .collect(),
            end: 100_000,
            restart: rng.random(),
            one_time: rng.random(),
            sets: rng.random_bool(0.7),
            ..Self::default()
        };
        let mut dates: Vec<usize> = (0..20).collect();
        dates.shuffle(rng);
        for e in it.names.clone() {
            for _ in 0..pick(rng, &[0, 0, 1, 1, 2]) {
                let contact = ids::canonical(&format!("003P{:011}", it.dates.len())).unwrap();
                it.own.entry(e.clone()).or_default().push(contact.clone());
                it.dates.insert(contact, dates.pop().unwrap());
            }
        }
        for e in it.names.clone() {
            it.end += 10;
            it.create(rng, &e);
        }
        it.end += pick(rng, &[10, 3000, 40_000]);
        let gaps: &[Millis] = if rng.random() {
            &[1, 50, 300, 1000, 5000, 20_000]
        } else {
            &[1, 300, 1000, 3000]
        };
        for _ in 0..rng.random_range(2..=12) {
            it.end += pick(rng, gaps);
            it.happen(rng);
        }
        it
    }

    pub(crate) fn living(&self) -> Vec<String> {
        self.now(|kind| matches!(kind, Kind::Alive(_)))
    }

    fn now(&self, is: impl Fn(&Kind) -> bool) -> Vec<String> {
        let last = |e: &String| {
            self.past[e]
                .last()
                .is_some_and(|(_, state)| is(&state.kind))
        };
        self.names.iter().filter(|e| last(e)).cloned().collect()
    }

    fn put(&mut self, e: &str, kind: Kind) -> State {
        let past = self.past.entry(e.to_owned()).or_default();
        let state = State {
            kind,
            index: past.len(),
        };
        past.push((self.end, state.clone()));
        state
    }

    fn live(&mut self, e: &str) -> State {
        let held = self.holds[e]
            .iter()
            .filter_map(|held| self.own.get(held))
            .flatten();
        let mut contacts: Vec<String> = held.cloned().collect();
        contacts.sort_by_key(|contact| self.dates[contact]);
        self.put(e, Kind::Alive(contacts))
    }

    fn again(&mut self, e: &str, holds: BTreeSet<String>) {
        self.holds.insert(e.to_owned(), holds);
        let version = self.versions.entry(e.to_owned()).or_default();
        *version = if self.restart { 0 } else { *version };
    }

    fn create(&mut self, rng: &mut impl Rng, e: &str) {
        self.again(e, [e.to_owned()].into());
        let state = self.live(e);
        self.emit(rng, &[(e, state, PLAIN)]);
    }

    fn happen(&mut self, rng: &mut impl Rng) {
        let (what, alive): (f64, _) = (rng.random(), self.living());
        let absorbed = self.now(|kind| matches!(kind, Kind::Absorbed(_)));
        let dead = self.now(|kind| *kind == Kind::Dead);
        if what < 0.4 && alive.len() > 1 {
            let two: Vec<String> = alive.sample(rng, 2).cloned().collect();
            self.merge(rng, &two[0], &two[1]);
        } else if what < 0.65 && !absorbed.is_empty() {
            let spawn = pick(rng, &absorbed);
            self.unmerge(rng, &alive, &spawn);
        } else if what < 0.75 && !alive.is_empty() {
            let e = pick(rng, &alive);
            // What it had absorbed goes too, without an event.
            for other in std::mem::take(self.holds.get_mut(&e).unwrap()) {
                self.put(&other, Kind::Dead);
            }
            let state = self.past[&e].last().unwrap().1.clone();
            self.emit(rng, &[(&e, state, PLAIN)]);
        } else if what < 0.85 && !dead.is_empty() {
            let e = pick(rng, &dead);
            self.create(rng, &e);
        } else if !alive.is_empty() {
            let e = pick(rng, &alive);
            let state = self.live(&e);
            self.emit(rng, &[(&e, state, PLAIN)]);
        }
    }

    fn merge(&mut self, rng: &mut impl Rng, winner: &str, loser: &str) {
        let came = std::mem::take(self.holds.get_mut(loser).unwrap());
        self.holds.get_mut(winner).unwrap().extend(came.clone());
        self.came.insert(loser.to_owned(), came);
        let won = self.live(winner);
        let lost = self.put(loser, Kind::Absorbed(winner.to_owned()));
        let events = [
            (winner, won.clone(), PLAIN),
            (winner, won, OF_SET),
            (loser, lost.clone(), OF_SET_BARE),
            (loser, lost, PLAIN),
        ];
        self.emit(rng, &events);
    }

    fn unmerge(&mut self, rng: &mut impl Rng, alive: &[String], spawn: &str) {
        let origin = alive
            .iter()
            .find(|e| self.holds[*e].contains(spawn))
            .unwrap();
        let mut back: BTreeSet<String> = [spawn.to_owned()].into();
        if rng.random() {
            let came = self.came[spawn]
                .iter()
                .filter(|e| self.holds[origin].contains(*e) && *e != origin);
            back.extend(came.cloned());
        }
        self.holds
            .get_mut(origin)
            .unwrap()
            .retain(|e| !back.contains(e));
        self.again(spawn, back);
        let (left, spawned) = (self.live(origin), self.live(spawn));
        for root in [origin, spawn] {
            for e in self.holds[root].clone().into_iter().filter(|e| e != root) {
                self.put(&e, Kind::Absorbed(root.to_owned()));
            }
        }
        let events = [
            (origin.as_str(), left.clone(), OF_SET),
            (origin.as_str(), left, PLAIN),
            (spawn, spawned.clone(), OF_SET_BARE),
            (spawn, spawned, PLAIN),
        ];
        self.emit(rng, &events);
    }

    /// The org is a source too: a crosswalk names a contact that goldwire created; its home's,
    /// another entity's, or a new one's. Answers the records that follow.
    pub(crate) fn feed(
        &mut self,
        rng: &mut impl Rng,
        contact: &str,
        now: Millis,
    ) -> Vec<(String, Record)> {
        self.end = self.end.max(now);
        let alive = self.living();
        let e = if rng.random() && self.names.len() < MOST || alive.is_empty() {
            let e = format!("entities/e{}", self.names.len());
            self.names.push(e.clone());
            self.holds.insert(e.clone(), [e.clone()].into());
            self.versions.insert(e.clone(), 0);
            e
        } else {
            pick(rng, &alive)
        };
        let date = 100 + self.dates.len();
        self.dates.insert(contact.to_owned(), date);
        self.own
            .entry(e.clone())
            .or_default()
            .push(contact.to_owned());
        let known = self.records.len();
        let state = self.live(&e);
        self.emit(rng, &[(&e, state, PLAIN)]);
        for _ in 0..pick(rng, &[0, 0, 1, 4]) {
            self.end += pick(rng, &[1, 300, 3000, 20_000]);
            self.happen(rng);
        }
        self.records.split_off(known)
    }

    /// An entity's object as Reltio prints it: crosswalks in no order, among them some that name
    /// nothing of the org, or do so no longer.
    pub(crate) fn object(&self, e: &str, state: &State, first: Option<&str>) -> Arc<Object> {
        let crosswalk = |source: &str, value: &str, date: usize| {
            let seconds = 1_700_000_000 + i64::try_from(date).unwrap() * 86_400;
            let created = jiff::Timestamp::from_second(seconds).unwrap().to_string();
            json!({ "type": format!("configuration/sources/{source}"), "value": value,
                "createDate": created })
        };
        let mut crosswalks: Vec<Value> = Vec::new();
        for id in state.named().unwrap_or_default().iter().rev() {
            let date = if first == Some(id) {
                0
            } else {
                self.dates[id] + 1
            };
            let value = if date % 2 == 0 { ids::short(id) } else { id };
            crosswalks.push(crosswalk("SFDC", value, date));
        }
        if let Some(id) = self.dates.keys().next() {
            crosswalks.push(crosswalk("Other", id, 0));
            let mut ended = crosswalk("SFDC", id, 0);
            ended["deleteDate"] = json!("1970-01-01T00:00:00.000Z");
            crosswalks.push(ended);
        }
        let json = json!({
            "uri": e, "type": "configuration/entityTypes/Individual", "crosswalks": crosswalks,
            "attributes": { "Of": [{ "value": e }], "Index": [{ "value": state.index }] },
        });
        Arc::new(Object::parse(json.to_string().as_bytes()).unwrap())
    }

    /// One operation's records as ingest leaves them; those of sets have no object, and may not
    /// be sent.
    fn emit(&mut self, rng: &mut impl Rng, events: &[(&str, State, How)]) {
        for e in events.iter().map(|(e, ..)| *e).collect::<BTreeSet<_>>() {
            *self.versions.get_mut(e).unwrap() += 1;
        }
        let common = self.end + rng.random_range(0..=SKEW);
        for (e, state, how) in events {
            let own = self.end + rng.random_range(0..=SKEW);
            let time = if self.one_time { common } else { own };
            let copies = 1 + usize::from(rng.random_bool(0.3));
            for _ in 0..if self.sets || !how.of_set { copies } else { 0 } {
                let mut at = self.end + SKEW + pick(rng, &[0, 10, 1000, 8000, 30_000]);
                let versioned = !how.no_version && rng.random_bool(0.9);
                let commit_time = rng.random_bool(0.9).then_some(time);
                let mut says = Says::State(state.clone());
                if how.of_set || state.named().is_some() && rng.random_bool(0.1) {
                    at = at.max(commit_time.unwrap_or(at) + SETTLE);
                    says = Says::Nothing;
                }
                let version = versioned.then(|| self.versions[*e]);
                let record = Record {
                    version,
                    commit_time,
                    at,
                    says,
                    read: None,
                    partial: state.named().is_some() && rng.random_bool(0.1),
                    hops: 0,
                    targets: vec![],
                };
                self.records.push(((*e).to_owned(), record));
            }
        }
    }

    /// What an entity was at a time.
    pub(crate) fn at(&self, e: &str, time: Millis) -> State {
        let past = self.past.get(e).into_iter().flatten().rev();
        let known = past
            .clone()
            .find(|(since, _)| *since <= time)
            .map(|(_, state)| state.clone());
        known.unwrap_or(State {
            kind: Kind::Dead,
            index: usize::MAX,
        })
    }

    /// Who answers for an entity's URI: itself, who survived it, or no one.
    pub(crate) fn survivor(&self, e: &str, time: Millis) -> Option<String> {
        let mut e = e.to_owned();
        loop {
            match self.at(&e, time).kind {
                Kind::Alive(_) => return Some(e),
                Kind::Absorbed(by) => e = by,
                Kind::Dead => return None,
            }
        }
    }

    /// The living entity with a crosswalk that names a contact.
    pub(crate) fn names(&self, contact: &str, time: Millis) -> Option<String> {
        let names = |e: &&String| {
            self.at(e, time)
                .named()
                .is_some_and(|ids| ids.iter().any(|id| id == contact))
        };
        self.names.iter().find(names).cloned()
    }
}
