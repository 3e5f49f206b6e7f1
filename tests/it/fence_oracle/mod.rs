//! The program's fence and lane against a model of one subject's world.
//!
//! Random histories: changes, removals, re-creations whose versions restart or go on, tenant
//! restores that run versions backwards, commit times skewed between nodes, reads that lag,
//! hydrated records, missing clocks, changes told in parts, changes told of what is dead, duplicates, reordering, a host's clock
//! that is wrong. Two checks: the sink ends at the truth (G9), and its content never goes back in
//! true time (G4). Each rule is then taken out, by hiding from the program what it looks at, which
//! must be seen: a check that cannot fail proves nothing.

mod world;

use std::sync::Arc;

use goldwire::engine::ClockRules;
use goldwire::engine::fence::Freshness;
use goldwire::engine::lane::{Asked, Lane, Pending, answered, applied};
use goldwire::event::{EventRecord, State, SubjectState};
use goldwire::reltio::{Answer, Found};
use goldwire::store::Register;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::world::{Arrival, FIELDS, Happened, USUAL, World, arrivals, history};

/// What the world does, ms: the API lags its own stream, nodes' clocks differ.
const LAG: i64 = 1800;
const SKEW: i64 = 300;
/// What goldwire assumes: settle above lag plus skew, and above the second that a `Date` rounds
/// away, by which an answer may be too early where the host's clock is ahead.
const SETTLE: i64 = 3200;

#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch for each rule of the model"
)]
#[derive(Clone, Copy)]
struct Rules {
    two_clocks: bool,
    skew: bool,
    since: bool,
    settle: bool,
    settle_newest: bool,
    settle_read: bool,
    /// An answer's own date must be late enough.
    date: bool,
    /// A record that tells other fields than the one applied is no duplicate, and not stale.
    parts: bool,
    /// What is dead lives again only by a read.
    dead: bool,
    /// A death that is older than what lives is asked.
    late_death: bool,
}

const ALL: Rules = Rules {
    two_clocks: true,
    skew: true,
    since: true,
    settle: true,
    settle_newest: true,
    settle_read: true,
    date: true,
    parts: true,
    dead: true,
    late_death: true,
};

/// The sink and its lane. Times are true times, but for what the program itself compares.
struct Sink<'a> {
    past: &'a [Happened],
    rules: Rules,
    clocks: ClockRules,
    ahead: i64,
    now: i64,
    lane: Lane,
    /// What the target holds of each field: the index of the change that it is from.
    content: [i64; 2],
    /// The content is what a change of a dead subject told.
    ghost: bool,
    went_back: bool,
}

impl Sink<'_> {
    fn host(&self) -> i64 {
        self.now + self.ahead
    }

    fn pass_until(&mut self, host: i64) {
        self.now = self.now.max(host - self.ahead);
    }

    /// Reltio's answer, which may lag, with Reltio's clock in whole seconds.
    fn read(&mut self, rng: &mut impl Rng) -> (i64, i64) {
        let seen = self.now - rng.random_range(0..=LAG);
        let newest = self.past.iter().rposition(|event| event.at <= seen);
        let index = newest.map_or(-1, |index| i64::try_from(index).unwrap());
        let date = self.now + rng.random_range(0..=200);
        (index, date / 1000 * 1000)
    }

    /// Reads, and once more if the answer says that it was made before `due`.
    fn read_late(&mut self, rng: &mut impl Rng, due: i64) -> (i64, i64) {
        let (index, date) = self.read(rng);
        let found = Found::Nothing;
        match (Answer { date, found }).too_early(due, self.clocks.settle) {
            Some(wait) if self.rules.date => {
                self.now += i64::try_from(wait.as_millis()).unwrap();
                self.read(rng)
            }
            _ => (index, date),
        }
    }

    /// Whether what a read found lives.
    fn lives(&self, index: i64) -> bool {
        usize::try_from(index).is_ok_and(|index| self.past[index].alive)
    }

    fn take(&mut self, rng: &mut impl Rng, arrival: Arrival) {
        self.now = self.now.max(arrival.at);
        let (mut index, mut record) = (i64::try_from(arrival.index).unwrap(), arrival.record);
        if arrival.hydrate {
            let settled = self.timed(&record).known_time() + self.clocks.settle;
            self.pass_until(settled.min(self.host() + self.clocks.settle));
            let (found, date) = self.read_late(rng, settled);
            index = found;
            record.read_time = Some(date);
            let lives = self.lives(found);
            record.set_state(if lives { State::Alive } else { State::Gone });
        }
        let before = self.content;
        match self.fenced(&record) {
            Freshness::Duplicate | Freshness::Stale => {}
            Freshness::Apply => {
                let register = self.lane.register.as_ref();
                let state = state_of(record.state() == State::Alive);
                let after = applied(register, &(&record).into(), &state, self.clocks);
                self.lane.register = Some(after);
                self.ghost = !arrival.hydrate && self.past[arrival.index].echo;
                for (content, field) in self.content.iter_mut().zip(FIELDS) {
                    if record.fields.is_empty() || record.fields[0] == field {
                        *content = index;
                    }
                }
            }
            Freshness::Ask | Freshness::StaleInPart => self.ask(rng, record),
        }
        let pairs = self.content.iter().zip(before);
        self.went_back |= pairs.into_iter().any(|(now, before)| *now < before);
    }

    /// The program's fence; what a rule that is taken out looks at is made to say nothing.
    fn fenced(&self, record: &EventRecord) -> Freshness {
        let mut record = record.clone();
        let mut seen = Lane::default();
        seen.register.clone_from(&self.lane.register);
        if let Some(register) = &mut seen.register {
            if !self.rules.since {
                register.maybe_seen_until = 0;
            }
            if !self.rules.two_clocks {
                follow_the_version(&mut record, register);
            }
            if !self.rules.parts {
                register.lacks = 0;
            }
            if !self.rules.dead {
                register.set_state(State::Alive);
            }
        }
        if !self.rules.late_death {
            record.set_state(State::Alive);
        }
        let skew = if self.rules.skew { SKEW } else { 0 };
        seen.fence(
            &record.into(),
            ClockRules {
                skew,
                ..self.clocks
            },
        )
    }

    /// `record` as far as its time may be looked at.
    fn timed(&self, record: &EventRecord) -> EventRecord {
        let received_time = if self.rules.settle {
            record.received_time
        } else {
            0
        };
        EventRecord {
            received_time,
            ..record.clone()
        }
    }

    fn ask(&mut self, rng: &mut impl Rng, record: EventRecord) {
        let register = self.lane.register.clone();
        if let Some(seen) = &mut self.lane.register {
            seen.newest *= i64::from(self.rules.settle_newest);
            seen.maybe_seen_until *= i64::from(self.rules.settle_read);
        }
        let timed = Pending::new(0, self.timed(&record));
        self.lane.queue.push_back(timed);
        let due = self.lane.read_at(self.host(), self.clocks);
        self.pass_until(due);
        let Asked { records, due } = self.lane.take_answered(self.host(), self.clocks);
        assert_eq!(
            records.len(),
            1,
            "the head is always among what is answered"
        );
        let (index, date) = self.read_late(rng, due);
        let records = [Pending::new(0, record)];
        let state = state_of(self.lives(index));
        let after = answered(register.as_ref(), &records, &state, date, self.clocks);
        self.lane.register = Some(after);
        self.content = [index; 2];
        self.ghost = false;
    }
}

fn state_of(alive: bool) -> SubjectState {
    if alive {
        SubjectState::Alive(Arc::default())
    } else {
        SubjectState::Gone
    }
}

/// Makes the record's commit time say what its version says, as far away as it is.
fn follow_the_version(record: &mut EventRecord, register: &Register) {
    let (Some((version, time)), Some((known_version, known_time))) =
        (record.clocks().both(), register.clocks().both())
    else {
        return;
    };
    let off = (time - known_time).abs();
    if off > SKEW {
        let sign = i64::from(version > known_version) - i64::from(version < known_version);
        record.commit_time = Some(known_time + sign * off);
    }
}

/// Whether the sink ended wrong, and whether its content went back.
fn run(seed: u64, rules: Rules, world: World) -> (bool, bool) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let restart = rng.random_bool(0.5);
    let past = history(rng, restart, world.restores);
    let records = arrivals(rng, &past, world);
    let mut sink = Sink {
        past: &past,
        rules,
        clocks: ClockRules::new(SETTLE, SKEW),
        ahead: world.host_ahead,
        now: 0,
        lane: Lane::default(),
        content: [-2; 2],
        ghost: false,
        went_back: false,
    };
    for record in records {
        sink.take(rng, record);
    }
    let same = |index: i64| usize::try_from(index).ok().map(|index| past[index].same);
    let truth = Some(past[past.len() - 1].same);
    let wrong = sink.content.iter().any(|index| same(*index) != truth);
    (wrong || sink.ghost, sink.went_back)
}

/// How many of `histories` ended wrong, and in how many the content went back.
fn count(histories: u64, rules: Rules, world: World) -> (usize, usize) {
    let ends: Vec<_> = (0..histories).map(|seed| run(seed, rules, world)).collect();
    (
        ends.iter().filter(|end| end.0).count(),
        ends.iter().filter(|end| end.1).count(),
    )
}

const BOTH_CLOCKS: World = World {
    no_version: 0.0,
    no_time: 0.0,
    no_object: 0.0,
    ..USUAL
};

#[test]
fn g4_g9_no_history_ends_wrong_or_goes_back_with_all_rules() {
    let worlds = [
        USUAL,
        BOTH_CLOCKS,
        World {
            no_version: 1.0,
            ..USUAL
        },
        World {
            no_time: 1.0,
            ..USUAL
        },
        World {
            no_object: 0.5,
            ..USUAL
        },
        World {
            restores: false,
            ..BOTH_CLOCKS
        },
    ];
    for world in worlds {
        assert_eq!(count(10_000, ALL, world), (0, 0));
    }
}

#[test]
fn g4_g9_a_host_whose_clock_is_wrong_costs_time_and_no_truth() {
    for host_ahead in [-3_600_000, -2000, 2000, 4000, 3_600_000] {
        for no_object in [0.1, 0.5] {
            let world = World {
                no_object,
                host_ahead,
                ..USUAL
            };
            assert_eq!(count(5000, ALL, world), (0, 0), "{host_ahead} ms ahead");
        }
    }
}

const IN_PARTS: World = World {
    in_parts: 0.6,
    ..USUAL
};

#[test]
fn g5_g9_changes_told_in_parts_end_whole() {
    for world in [
        IN_PARTS,
        World {
            in_parts: 0.6,
            ..BOTH_CLOCKS
        },
        World {
            in_parts: 1.0,
            restores: false,
            ..BOTH_CLOCKS
        },
    ] {
        assert_eq!(count(10_000, ALL, world), (0, 0));
    }
}

#[test]
fn each_rule_taken_out_is_seen() {
    let all = ALL;
    #[rustfmt::skip]
    let mutations = [
        ("two_clocks", Rules { two_clocks: false, ..all }, USUAL),
        ("skew", Rules { skew: false, ..all }, USUAL),
        ("since", Rules { since: false, ..all }, USUAL),
        ("settle", Rules { settle: false, ..all }, USUAL),
        ("settle_newest", Rules { settle_newest: false, ..all }, USUAL),
        ("settle_read", Rules { settle_read: false, ..all }, USUAL),
        ("date", Rules { date: false, ..all }, World { host_ahead: 4000, ..USUAL }),
        ("parts", Rules { parts: false, ..all }, IN_PARTS),
        ("dead", Rules { dead: false, ..all }, USUAL),
        ("late_death", Rules { late_death: false, ..all }, USUAL),
    ];
    for (name, rules, world) in mutations {
        let mut ends = (0..20_000).map(|seed| run(seed, rules, world));
        let is_seen = ends.any(|(wrong, back)| wrong || back);
        assert!(is_seen, "without {name} nothing is seen");
    }
}
