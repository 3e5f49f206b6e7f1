//! What outlives the process: time, disks, the broker, Reltio, the targets; and the oracles' book.
//!
//! One lock, never held across an await. Everything random comes from the plan, so a seed is a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use goldwire::sink::Write;
use goldwire::sink::salesforce::RecordWrite;
use goldwire::time::{Clock, Millis};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::Notify;

use super::book::Book;
use super::broker::Broker;
use super::crm::Crm;
use super::fault::{Fault, Hits};
use super::feed::Emission;
use super::host::Breath;
use super::kafka::Cluster;
use super::log::Place;
use super::plan::{Kind, Plan, START};
use super::row::Row;
use super::script::Script;
use super::target::Target;

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Which: `G1` to `G9`, or `liveness`.
    pub(crate) oracle: &'static str,
    pub(crate) text: String,
}

/// Work on its way to a disk or a target when the process died: it may arrive.
#[derive(Debug)]
pub(crate) enum Dropped {
    Append {
        place: Place,
        partition: u16,
        records: Vec<Bytes>,
    },
    Rows {
        kind: Kind,
        rows: Vec<Row>,
        sent: Millis,
    },
    Contact {
        write: RecordWrite,
        sent: Millis,
    },
}

/// The host's clock is not set ahead so shortly after it dated something while it was behind, ms.
const DATED: Millis = 5000;

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) rng: ChaCha8Rng,
    pub(crate) calm: bool,
    pub(crate) hits: Hits,
    /// The first violation of each oracle.
    pub(crate) violations: Vec<Violation>,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) book: Book,
    pub(crate) broker: Broker,
    pub(crate) targets: BTreeMap<Kind, Target>,
    pub(crate) crm: Crm,
    /// Webhook messages that were not answered 200 yet, among those sent.
    pub(crate) unanswered: BTreeSet<usize>,
    /// Emissions sent so far: they are in order of time.
    pub(crate) sent: usize,
    /// What was on its way when its future was dropped.
    pub(crate) dropped: Vec<Dropped>,
    /// Which lives have something in flight: what a fault then meets.
    pub(crate) busy: BTreeSet<u64>,
    /// Requests with a piece that are under way: its records are not in flight any more.
    pub(crate) landing: usize,
    /// What each life is doing; told as it changes.
    pub(crate) lives: BTreeMap<u64, Breath>,
    pub(crate) breathed: Arc<Notify>,
    /// The brokers, where there are several instances.
    pub(crate) cluster: Cluster,
    /// The record that kills the process: at which sink, of whom, and the time of its content.
    pub(crate) killer: Option<(Kind, String, Millis)>,
    /// How often it did.
    pub(crate) kills: u32,
    /// What is being written: in which lives, at which sinks, and of whom.
    pub(crate) sending: Vec<(u64, Kind, String)>,
    /// How often the process was stopped while nothing but this was being written.
    pub(crate) alone: BTreeMap<(Kind, String), u32>,
    /// When something was last dated by the host's clock.
    pub(crate) dated: Millis,
    /// By how much the host's clock is wrong.
    wrong: Millis,
    /// Base of the present life's clock, and its beginning.
    base: Millis,
    began: Option<tokio::time::Instant>,
}

/// What a sink is writing.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    world: &'a World,
    sent: Vec<(u64, Kind, String)>,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut state = self.world.lock();
        for one in &self.sent {
            if let Some(place) = state.sending.iter().position(|other| other == one) {
                state.sending.swap_remove(place);
            }
        }
    }
}

/// Everything around the process.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) script: Script,
    pub(crate) emissions: Vec<Emission>,
    /// A record killed the process.
    pub(crate) killed: Notify,
    /// Something on its way was dropped.
    pub(crate) fell: Notify,
    state: Mutex<State>,
}

impl World {
    pub(crate) fn new(plan: Plan, tracing: bool) -> Arc<Self> {
        let script = Script::write(&plan, &mut plan.rng(1));
        let emissions = super::feed::emissions(&plan, &script, &mut plan.rng(2));
        let targets = plan
            .sinks
            .iter()
            .map(|kind| (*kind, Target::new(&script)))
            .collect();
        let crm = Crm::new(&script);
        let state = State {
            rng: plan.rng(3),
            calm: false,
            hits: Hits::default(),
            violations: Vec::new(),
            trace: tracing.then(Vec::new),
            book: Book::default(),
            broker: Broker::default(),
            targets,
            crm,
            unanswered: BTreeSet::new(),
            sent: 0,
            dropped: Vec::new(),
            busy: BTreeSet::new(),
            landing: 0,
            lives: BTreeMap::new(),
            breathed: Arc::default(),
            cluster: Cluster::default(),
            killer: None,
            kills: 0,
            sending: Vec::new(),
            alone: BTreeMap::new(),
            dated: 0,
            wrong: 0,
            base: START,
            began: None,
        };
        let world = Self {
            plan,
            script,
            emissions,
            killed: Notify::new(),
            fell: Notify::new(),
            state: Mutex::new(state),
        };
        world.prelude();
        Arc::new(world)
    }

    /// What will happen, for who reads the trace.
    fn prelude(&self) {
        for (uri, past) in &self.script.past {
            for moment in past {
                self.note(|| {
                    let at = moment.at - START;
                    let restored = if moment.restored { "restored " } else { "" };
                    let truth = super::row::truth_word(&moment.truth);
                    format!(
                        "TRUTH {uri} moment {} at {at}: {restored}{truth} v{} c{}",
                        moment.seq, moment.version, moment.commit_time
                    )
                });
            }
        }
        for (index, emission) in self.emissions.iter().enumerate() {
            self.note(|| {
                format!(
                    "SENDS m{index} at {}: {:?} {:?} {:?}",
                    emission.at - START,
                    emission.door,
                    emission.about,
                    emission.body
                )
            });
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// A life begins: within a runtime whose time is paused.
    pub(crate) fn begin(&self) {
        self.lock().began = Some(tokio::time::Instant::now());
    }

    /// A life ends: its runtime's time stands from now on.
    pub(crate) fn freeze(&self) {
        let mut state = self.lock();
        state.base = state.now();
        state.began = None;
    }

    /// What was on its way when the process died, in an order that does not depend on the runtime.
    pub(crate) fn dropped(&self) -> Vec<Dropped> {
        let mut dropped = std::mem::take(&mut self.lock().dropped);
        dropped.sort_by_cached_key(|one| format!("{one:?}"));
        dropped
    }

    /// Time passes without a process.
    pub(crate) fn pass(&self, time: Millis) {
        self.lock().base += time;
    }

    /// The true time, ms.
    pub(crate) fn now(&self) -> Millis {
        self.lock().now()
    }

    /// Waits, in simulated time.
    pub(crate) async fn pause(&self, longest: Millis) {
        let wait = self.lock().rng.random_range(0..=longest.max(1));
        tokio::time::sleep(millis(wait)).await;
    }

    /// Whether `fault` happens here and now.
    pub(crate) fn hits(&self, fault: Fault) -> bool {
        let mut state = self.lock();
        if state.calm {
            return false;
        }
        let now = state.now() - START;
        let chance = self.plan.chances.iter().find(|(one, _)| *one == fault);
        let by_chance = chance.is_some_and(|(_, chance)| state.rng.random_bool(*chance));
        let inside = |window: &&super::plan::Window| window.from <= now && now < window.to;
        let mut windows = self.plan.windows.iter().filter(|one| one.fault == fault);
        let hit = by_chance || windows.any(|window| inside(&window));
        if hit {
            state.hit(fault);
        }
        hit
    }

    /// Work on its way is dropped: it may arrive.
    pub(crate) fn drops(&self, dropped: Dropped) {
        self.lock().dropped.push(dropped);
        self.fell.notify_one();
    }

    /// These are being written until what this gives is dropped.
    pub(crate) fn sends(&self, life: u64, kind: Kind, batch: &[Write]) -> Sending<'_> {
        let of = |write: &Write| (life, kind, write.subject.uri().to_owned());
        let sent: Vec<_> = batch.iter().map(of).collect();
        self.lock().sending.extend_from_slice(&sent);
        Sending { world: self, sent }
    }

    /// The process is stopped for no reason of its own, or what it does ends so.
    pub(crate) fn crashes(&self, life: u64) {
        let mut state = self.lock();
        let of_life: Vec<_> = state.sending.iter().filter(|it| it.0 == life).collect();
        if let [(_, kind, subject)] = of_life[..] {
            let alone = (*kind, subject.clone());
            *state.alone.entry(alone).or_default() += 1;
        }
    }

    /// Whether the write of these rows kills the process.
    pub(crate) fn kills(&self, kind: Kind, rows: &[Row]) -> bool {
        let mut state = self.lock();
        if state.calm || !self.plan.killer {
            return false;
        }
        let mut written = rows.iter().filter(|row| row.state.is_some());
        let of = |row: &Row| (kind, row.uri.clone(), row.content_time);
        if state.killer.is_none() {
            let chosen = state.rng.random_bool(0.2);
            state.killer = written.next().filter(|_| chosen).map(of);
        }
        let mut written = rows.iter().filter(|row| row.state.is_some());
        let killer = state.killer.clone();
        let dies = killer.is_some_and(|killer| written.any(|row| of(row) == killer));
        if dies {
            state.kills += 1;
            state.hit(Fault::Kills);
            self.killed.notify_one();
        }
        dies
    }

    /// Whether nothing is on its way from the tenant, and nothing to a target.
    pub(crate) fn is_quiet(&self) -> bool {
        let state = self.lock();
        let late = state.targets.values().filter_map(Target::last_late);
        let late = late.chain(state.crm.last_late()).max();
        state.sent == self.emissions.len()
            && state.unanswered.is_empty()
            && Self::is_consumed(&state)
            && late.is_none_or(|due| due < state.now())
    }

    /// Notes what an oracle found.
    pub(crate) fn violate(&self, oracle: &'static str, text: impl FnOnce() -> String) {
        self.lock().violate(oracle, text);
    }

    /// Notes a step, if anybody wants to read it.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        self.lock().note(text);
    }
}

impl State {
    pub(crate) fn now(&self) -> Millis {
        let passed = self.began.map_or(0, |began| {
            Millis::try_from(began.elapsed().as_millis()).unwrap()
        });
        self.base + passed
    }

    /// A new life; its number.
    pub(crate) fn bear(&mut self) -> u64 {
        let life = u64::try_from(self.lives.len()).unwrap();
        self.lives.insert(life, Breath::Runs);
        life
    }

    /// A fault happens.
    pub(crate) fn hit(&mut self, fault: Fault) {
        let busy = !self.busy.is_empty() || self.landing > 0;
        self.hits.note(fault, busy);
        self.note(|| format!("FAULT {fault:?}"));
    }

    pub(crate) fn violate(&mut self, oracle: &'static str, text: impl FnOnce() -> String) {
        if self.violations.iter().all(|other| other.oracle != oracle) {
            let text = text();
            self.note(|| format!("VIOLATION of {oracle}: {text}"));
            self.violations.push(Violation { oracle, text });
        }
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let now = self.now() - START;
        if let Some(trace) = &mut self.trace {
            let (seconds, millis) = (now.div_euclid(1000), now.rem_euclid(1000));
            trace.push(format!("{seconds:>5}.{millis:03} {}", text()));
        }
    }
}

pub(crate) fn millis(time: Millis) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or_default())
}

/// The process's wall clock.
#[derive(Debug)]
pub(crate) struct HostClock(pub(crate) Arc<World>);

impl Clock for HostClock {
    fn now(&self) -> Millis {
        let mut state = self.0.lock();
        let now = state.now();
        let set = self.0.plan.clock.iter().rev();
        let wrong = set.filter(|(at, _)| *at <= now - START && !state.calm);
        let wrong = wrong.map(|(_, wrong)| *wrong).next().unwrap_or(0);
        // What was dated by a clock that is behind may be read too early if that is set ahead
        // within `settle`: docs/guarantees.md says so, and it is no fault to be found here.
        let ahead = state.wrong < 0 && wrong > state.wrong;
        if wrong != state.wrong && !(ahead && now < state.dated + DATED) {
            state.wrong = wrong;
            let busy = !state.busy.is_empty();
            state.hits.note(Fault::ClockSet, busy);
            state.note(|| format!("FAULT ClockSet, wrong by {wrong}"));
        }
        now + state.wrong
    }
}
