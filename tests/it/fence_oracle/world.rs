//! One subject's world: what truly happened, and what arrives of it.

use goldwire::event::{Clocks, Completeness, EventRecord, State};
use rand::{Rng, RngExt};

use super::SKEW;

#[derive(Clone, Copy)]
pub(super) struct World {
    pub(super) no_version: f64,
    pub(super) no_time: f64,
    pub(super) no_object: f64,
    pub(super) restores: bool,
    /// Changes that two sources tell, each its own fields.
    pub(super) in_parts: f64,
    /// How far the host's clock is ahead of the true time, ms.
    pub(super) host_ahead: i64,
}

pub(super) const USUAL: World = World {
    no_version: 0.1,
    no_time: 0.1,
    no_object: 0.1,
    restores: true,
    in_parts: 0.0,
    host_ahead: 0,
};

#[expect(
    clippy::struct_excessive_bools,
    reason = "what can be true of a change, each by itself"
)]
#[derive(Clone, Copy)]
pub(super) struct Happened {
    restore: bool,
    removed: bool,
    /// A change that is told of what is dead: its payload says that it lives.
    pub(super) echo: bool,
    pub(super) at: i64,
    version: i64,
    commit_time: i64,
    pub(super) alive: bool,
    /// Names the content, so that a restore can bring an old one back.
    pub(super) same: usize,
}

pub(super) struct Arrival {
    /// In true time.
    pub(super) at: i64,
    pub(super) index: usize,
    pub(super) hydrate: bool,
    pub(super) record: EventRecord,
}

/// The fields of the first and of the second source; a whole record tells both.
pub(super) const FIELDS: [&str; 2] = ["first", "second"];

fn pick(rng: &mut impl Rng, of: &[i64]) -> i64 {
    of[rng.random_range(0..of.len())]
}

pub(super) fn history(rng: &mut impl Rng, restart: bool, restores: bool) -> Vec<Happened> {
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
        let last = past.last().copied().filter(|last| !alive && !last.restore);
        let echo = last.filter(|_| rng.random_bool(0.25));
        let mut removed = false;
        if echo.is_some() {
            version += 1;
        } else if alive {
            removed = rng.random_bool(0.12);
            alive = !removed;
            version += 1;
        } else {
            alive = true;
            version = if restart { 1 } else { version + 1 };
        }
        let commit_time = at + rng.random_range(0..=SKEW);
        let same = echo.map_or(past.len(), |last| last.same);
        past.push(Happened {
            restore: false,
            removed,
            echo: echo.is_some(),
            at,
            version,
            commit_time,
            alive,
            same,
        });
    }
    past
}

/// At least once, in any order, with metadata missing here and there.
pub(super) fn arrivals(rng: &mut impl Rng, past: &[Happened], world: World) -> Vec<Arrival> {
    let mut records = Vec::new();
    for (index, event) in past.iter().enumerate().filter(|(_, event)| !event.restore) {
        let in_parts = !event.removed && rng.random_bool(world.in_parts);
        let parts = if in_parts { &FIELDS[..] } else { &["both"] };
        for part in parts {
            for _ in 0..=usize::from(rng.random_bool(0.3)) {
                let at = event.at + SKEW + pick(rng, &[0, 10, 1000, 8000, 30_000]);
                let clocks = Clocks {
                    version: (!rng.random_bool(world.no_version)).then_some(event.version),
                    commit_time: (!rng.random_bool(world.no_time)).then_some(event.commit_time),
                };
                let hydrate = rng.random_bool(world.no_object) && !event.removed && !in_parts;
                let mut record = record(event, clocks, at + world.host_ahead);
                if in_parts {
                    record.set_completeness(Completeness::Fields);
                    record.fields = vec![(*part).to_owned()];
                }
                records.push(Arrival {
                    at,
                    index,
                    hydrate,
                    record,
                });
            }
        }
    }
    records.sort_by_key(|record| record.at);
    records
}

fn record(event: &Happened, clocks: Clocks, received_time: i64) -> EventRecord {
    let state = if event.removed {
        State::Removed
    } else {
        State::Alive
    };
    EventRecord {
        tenant: "t".to_owned(),
        subject: "entities/a".to_owned(),
        state: state.into(),
        version: clocks.version,
        commit_time: clocks.commit_time,
        received_time,
        ..EventRecord::default()
    }
}
