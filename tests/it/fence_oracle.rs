//! The fence against a model of one subject's world, ported from the design's `model/fence.py`.
//!
//! Random histories: changes, removals, re-creations whose versions restart or go on, tenant
//! restores that run versions backwards, commit times skewed between nodes, reads that lag,
//! hydrated records, missing clocks, duplicates, reordering. Two checks: the sink ends at the truth
//! (G9), and its content never goes back in true time (G4). Each rule is then taken out, which must
//! be seen: a check that cannot fail proves nothing.

use goldwire::event::Clocks;
use goldwire::ledger::Register;
use goldwire::task::fence::{Fenced, fence};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What the world does, ms: the API lags its own stream, nodes' clocks differ.
const LAG: i64 = 1800;
const SKEW: i64 = 300;
/// What goldwire assumes: settle above lag plus skew, margin above skew plus the clock's rounding.
const SETTLE: i64 = 2500;
const MARGIN: i64 = 700;

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
}

const ALL: Rules = Rules {
    two_clocks: true,
    skew: true,
    since: true,
    settle: true,
    settle_newest: true,
    settle_read: true,
};

#[derive(Clone, Copy)]
struct World {
    no_version: f64,
    no_time: f64,
    no_object: f64,
    restores: bool,
}

const USUAL: World = World {
    no_version: 0.1,
    no_time: 0.1,
    no_object: 0.1,
    restores: true,
};

#[derive(Clone, Copy)]
struct Happened {
    restore: bool,
    removed: bool,
    at: i64,
    version: i64,
    commit_time: i64,
    alive: bool,
    /// Names the content, so that a restore can bring an old one back.
    same: usize,
}

struct Record {
    clocks: Clocks,
    at: i64,
    index: usize,
    hydrate: bool,
}

fn pick(rng: &mut impl Rng, of: &[i64]) -> i64 {
    of[rng.random_range(0..of.len())]
}

fn history(rng: &mut impl Rng, restart: bool, restores: bool) -> Vec<Happened> {
    let (mut at, mut version, mut alive) = (100_000, 0, false);
    let mut past: Vec<Happened> = Vec::new();
    for _ in 0..rng.random_range(2..=10) {
        at += pick(rng, &[1, 50, 200, 1000, 5000]);
        if restores && !past.is_empty() && rng.random_bool(0.1) {
            let back = past[rng.random_range(0..past.len())];
            (version, alive) = (back.version, back.alive);
            past.push(Happened {
                restore: true,
                at,
                ..back
            });
            at += 5000;
        }
        let mut removed = false;
        if alive {
            removed = rng.random_bool(0.12);
            alive = !removed;
            version += 1;
        } else {
            alive = true;
            version = if restart { 1 } else { version + 1 };
        }
        let commit_time = at + rng.random_range(0..=SKEW);
        let same = past.len();
        past.push(Happened {
            restore: false,
            removed,
            at,
            version,
            commit_time,
            alive,
            same,
        });
    }
    past
}

fn arrivals(rng: &mut impl Rng, past: &[Happened], world: World) -> Vec<Record> {
    let mut records = Vec::new();
    for (index, event) in past.iter().enumerate().filter(|(_, event)| !event.restore) {
        for _ in 0..=usize::from(rng.random_bool(0.3)) {
            records.push(Record {
                at: event.at + SKEW + pick(rng, &[0, 10, 1000, 8000, 30_000]),
                clocks: Clocks {
                    version: (!rng.random_bool(world.no_version)).then_some(event.version),
                    commit_time: (!rng.random_bool(world.no_time)).then_some(event.commit_time),
                },
                index,
                hydrate: rng.random_bool(world.no_object) && !event.removed,
            });
        }
    }
    records.sort_by_key(|record| record.at);
    records
}

/// The fence with rules taken out; with all of them it must be the product's own.
fn fenced(register: Option<&Register>, clocks: Clocks, rules: Rules) -> Fenced {
    let own = fence(register, clocks, 0, SKEW);
    let (Some((version, time)), Some(register)) = (clocks.both(), register) else {
        return own;
    };
    let Some((known_version, known_time)) = register.clocks().both() else {
        return own;
    };
    let by_version = version.cmp(&known_version);
    let by_time = if rules.two_clocks {
        time.cmp(&known_time)
    } else {
        by_version
    };
    let answer = if by_version.is_eq() && by_time.is_eq() {
        Fenced::Duplicate
    } else if rules.skew && (time - known_time).abs() <= SKEW {
        Fenced::Ask
    } else if by_version.is_lt() && by_time.is_lt() {
        Fenced::Stale
    } else if by_version.is_gt() && by_time.is_gt() && (!rules.since || time > register.since) {
        Fenced::Apply
    } else {
        Fenced::Ask
    };
    if rules.two_clocks && rules.skew && rules.since {
        assert_eq!(answer, own, "the product's fence differs from the model's");
    }
    answer
}

struct Lane<'a> {
    past: &'a [Happened],
    rules: Rules,
    now: i64,
    newest: i64,
    register: Option<Register>,
    content: i64,
    went_back: bool,
}

impl Lane<'_> {
    /// Reltio's answer, which may lag, and Reltio's clock.
    fn read(&mut self, rng: &mut impl Rng) -> (i64, i64) {
        let seen = self.now - rng.random_range(0..=LAG);
        let newest = self.past.iter().rposition(|event| event.at <= seen);
        let index = newest.map_or(-1, |index| i64::try_from(index).unwrap());
        (index, self.now + rng.random_range(0..=200))
    }

    fn take(&mut self, rng: &mut impl Rng, record: &Record) {
        self.now = self.now.max(record.at);
        let known = record.clocks.commit_time.unwrap_or(record.at);
        let (mut content, mut date) = (i64::try_from(record.index).unwrap(), None);
        if record.hydrate {
            if self.rules.settle {
                self.now = self.now.max(known + SETTLE);
            }
            let (found, clock) = self.read(rng);
            (content, date) = (found, Some(clock));
        }
        let before = self.content;
        match fenced(self.register.as_ref(), record.clocks, self.rules) {
            Fenced::Duplicate | Fenced::Stale => {}
            Fenced::Apply => {
                let since = self.register.as_ref().map_or(0, |register| register.since);
                self.register = Some(Register {
                    version: record.clocks.version,
                    commit_time: record.clocks.commit_time,
                    since: since.max(date.map_or(0, |date| date + MARGIN)),
                    stands_for: 1,
                    ..Register::default()
                });
                self.content = content;
            }
            Fenced::Ask => self.ask(rng, record.clocks, known),
        }
        self.newest = self.newest.max(known);
        self.went_back |= self.content < before;
    }

    fn ask(&mut self, rng: &mut impl Rng, clocks: Clocks, known: i64) {
        if self.rules.settle {
            self.now = self.now.max(known + SETTLE);
        }
        if self.rules.settle_newest {
            self.now = self.now.max(self.newest + SETTLE);
        }
        let since = self.register.as_ref().map_or(0, |register| register.since);
        if self.rules.settle_read && since > 0 {
            self.now = self.now.max(since + SETTLE);
        }
        let (content, date) = self.read(rng);
        self.content = content;
        let register = self.register.get_or_insert_default();
        register.stands_for = 1;
        register.since = register.since.max(date + MARGIN);
        if let Some((version, time)) = clocks.both()
            && register.commit_time.is_none_or(|known| time > known)
        {
            (register.version, register.commit_time) = (Some(version), Some(time));
        }
    }
}

/// Whether the sink ended wrong, and whether its content went back.
fn run(seed: u64, rules: Rules, world: World) -> (bool, bool) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let restart = rng.random_bool(0.5);
    let past = history(rng, restart, world.restores);
    let records = arrivals(rng, &past, world);
    let mut lane = Lane {
        past: &past,
        rules,
        now: 0,
        newest: 0,
        register: None,
        content: -2,
        went_back: false,
    };
    for record in &records {
        lane.take(rng, record);
    }
    let same = |index: i64| usize::try_from(index).ok().map(|index| past[index].same);
    (
        same(lane.content) != Some(past[past.len() - 1].same),
        lane.went_back,
    )
}

/// How many of `histories` ended wrong, and in how many the content went back.
fn count(histories: u64, rules: Rules, world: World) -> (usize, usize) {
    let ends: Vec<_> = (0..histories).map(|seed| run(seed, rules, world)).collect();
    (
        ends.iter().filter(|end| end.0).count(),
        ends.iter().filter(|end| end.1).count(),
    )
}

#[test]
fn g4_g9_no_history_ends_wrong_or_goes_back_with_all_rules() {
    let worlds = [
        USUAL,
        World {
            no_version: 0.0,
            no_time: 0.0,
            no_object: 0.0,
            ..USUAL
        },
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
            no_version: 0.0,
            no_time: 0.0,
            no_object: 0.0,
            restores: false,
        },
    ];
    for world in worlds {
        assert_eq!(count(10_000, ALL, world), (0, 0));
    }
}

#[test]
fn each_rule_taken_out_is_seen() {
    let mutations = [
        (
            "two_clocks",
            Rules {
                two_clocks: false,
                ..ALL
            },
        ),
        ("skew", Rules { skew: false, ..ALL }),
        (
            "since",
            Rules {
                since: false,
                ..ALL
            },
        ),
        (
            "settle",
            Rules {
                settle: false,
                ..ALL
            },
        ),
        (
            "settle_newest",
            Rules {
                settle_newest: false,
                ..ALL
            },
        ),
        (
            "settle_read",
            Rules {
                settle_read: false,
                ..ALL
            },
        ),
    ];
    for (name, rules) in mutations {
        let (wrong, back) = count(20_000, rules, USUAL);
        assert!(wrong + back > 0, "without {name} nothing is seen");
    }
}
