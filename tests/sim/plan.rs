//! What one seed does: how large the tenant is, which faults there are and how often, when the
//! process dies. Drawn once; a smaller plan of the same seed is what a failure is reduced to.

use goldwire::time::Millis;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::fault::Fault;
use super::kafka::{ClusterPlan, SETTLES};

/// When every history begins, ms.
pub(crate) const START: Millis = 1_800_000_000_000;
/// What the tenant does: its API lags its own stream, its nodes' clocks differ.
pub(crate) const LAG: Millis = 1500;
pub(crate) const SKEW: Millis = 200;
/// The targets' longest request: what was sent lands within it, or never.
pub(crate) const LONGEST: Millis = 6000;

/// The sinks that there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// `latest`, and the target refuses lower values.
    Guarded,
    /// `latest`, and the target takes everything.
    Unguarded,
    /// `history`, with a guarded current table.
    History,
    /// The CRM's procedure, with reconcile records.
    Crm,
    /// `history` without unique keys, whose rows land a piece at a time; only where a plan is about it.
    Pieces,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Guarded, Self::Unguarded, Self::History, Self::Crm];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guarded => "guarded",
            Self::Unguarded => "unguarded",
            Self::History => "history",
            Self::Crm => "crm",
            Self::Pieces => "pieces",
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain([Self::Pieces]);
        all.find(|kind| kind.name() == name)
    }
}

/// Whether the target has a row for every change.
pub(crate) fn keeps_rows(kind: Kind) -> bool {
    matches!(kind, Kind::History | Kind::Pieces)
}

/// How a life of the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Killed, or without power: what was not flushed may be gone.
    Crash,
    /// Stopped in order.
    Stop,
}

/// A time in which something is wrong for long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) fault: Fault,
    pub(crate) from: Millis,
    pub(crate) to: Millis,
}

/// What one seed does.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a seed may have, each by itself"
)]
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) entities: usize,
    pub(crate) relations: usize,
    pub(crate) operations: usize,
    pub(crate) restores: bool,
    pub(crate) partitions: u16,
    pub(crate) sinks: Vec<Kind>,
    /// Faults by chance, each with its probability at each point where it can happen.
    pub(crate) chances: Vec<(Fault, f64)>,
    pub(crate) windows: Vec<Window>,
    pub(crate) ends: Vec<(Millis, End)>,
    /// When the host's clock is set, and by how much it is wrong from then on.
    pub(crate) clock: Vec<(Millis, Millis)>,
    pub(crate) commit_interval: Millis,
    pub(crate) in_flight: usize,
    pub(crate) attempts: u32,
    /// How long requests take, at most.
    pub(crate) slow: Millis,
    /// The longest way of an event to goldwire.
    pub(crate) late: Millis,
    pub(crate) no_version: f64,
    pub(crate) no_time: f64,
    /// Only one sink fails, and the others must not care (G6).
    pub(crate) isolation: bool,
    /// Whether the CRM compares the guard.
    pub(crate) guarded: bool,
    /// The log's quota, bytes.
    pub(crate) quota: u64,
    /// Whether a record kills the process that writes it.
    pub(crate) killer: bool,
    /// Several instances on Kafka; without them one on its own disk.
    pub(crate) cluster: Option<ClusterPlan>,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let isolation = seed % 8 == 3;
        let faulty = !seed.is_multiple_of(16) && !isolation;
        let mut sinks: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|_| rng.random_bool(0.4))
            .collect();
        if isolation {
            sinks = vec![Kind::Guarded, Kind::History];
        }
        if sinks.is_empty() {
            sinks.push(Kind::ALL[rng.random_range(0..Kind::ALL.len())]);
        }
        let operations = rng.random_range(3..=12);
        let span = Millis::try_from(operations).unwrap() * 2000;
        let chances = Fault::BY_CHANCE
            .into_iter()
            .filter(|_| faulty && rng.random_bool(0.3))
            .collect::<Vec<_>>();
        let chances = chances
            .into_iter()
            .map(|fault| (fault, [0.01, 0.05, 0.2][rng.random_range(0..3)]));
        let mut chances: Vec<(Fault, f64)> = chances.collect();
        if faulty && sinks.contains(&Kind::Unguarded) && rng.random_bool(0.3) {
            // Late writes are what an unguarded target is about.
            chances.retain(|(fault, _)| *fault != Fault::Timeout);
            chances.push((Fault::Timeout, 0.3));
        }
        let mut windows = Vec::new();
        for fault in Fault::BY_TIME {
            if faulty && rng.random_bool(0.12) {
                let from = rng.random_range(0..span);
                let to = from + [2000, 8000, 30_000][rng.random_range(0..3)];
                windows.push(Window { fault, from, to });
            }
        }
        if isolation {
            let fault = [Fault::Stuck, Fault::Outage, Fault::Systemic][rng.random_range(0..3)];
            let (from, to) = (0, 90_000);
            windows.push(Window { fault, from, to });
        }
        let mut ends = ends(&mut rng, faulty, span);
        if faulty && rng.random_bool(0.05) {
            let (outage, restarts) = outage_with_restarts(&mut rng, span);
            windows.push(outage);
            ends = restarts;
        }
        let killer = faulty && rng.random_bool(0.1);
        let clock = clock(&mut rng, faulty, span);
        let missing = |rng: &mut ChaCha8Rng| [0.0, 0.1, 0.5][rng.random_range(0..3)];
        Self {
            seed,
            entities: rng.random_range(1..=4),
            relations: rng.random_range(0..=2),
            operations,
            restores: rng.random_bool(0.5),
            partitions: rng.random_range(1..=3),
            sinks,
            chances,
            windows,
            ends,
            clock,
            commit_interval: [300, 1000][rng.random_range(0..2)],
            in_flight: [2, 8, 100][rng.random_range(0..3)].max(if isolation { 8 } else { 0 }),
            attempts: rng.random_range(3..=8),
            slow: [5, 60, 400, 1500][rng.random_range(0..4)],
            late: [500, 8000, 30_000][rng.random_range(0..3)],
            no_version: missing(&mut rng),
            no_time: missing(&mut rng),
            isolation,
            guarded: rng.random_bool(0.5),
            quota: if faulty && rng.random_bool(0.1) {
                6000
            } else {
                1 << 30
            },
            killer,
            cluster: None,
        }
    }

    /// The seed's plan for a sink of pieces.
    pub(crate) fn in_pieces(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.sinks = vec![Kind::Pieces];
        // No row is to blame for what becomes of a piece.
        let blames = |fault| matches!(fault, Fault::Poison | Fault::Cursed | Fault::RowBusy);
        plan.chances.retain(|(fault, _)| !blames(*fault));
        // An erasure without clocks is a letter for good where there is no current table.
        (plan.no_version, plan.no_time) = (0.0, 0.0);
        (plan.isolation, plan.killer) = (false, false);
        plan
    }

    /// The seed's plan for several instances on Kafka.
    pub(crate) fn on_kafka(seed: u64) -> Self {
        let mut plan = Self::of(seed);
        let mut rng = plan.rng(4);
        let faulty = !seed.is_multiple_of(16);
        let span = Millis::try_from(plan.operations).unwrap() * 2000;
        plan.isolation = false;
        plan.killer = false;
        plan.ends.clear();
        plan.quota = 1 << 30;
        plan.partitions = rng.random_range(1..=4);
        for fault in Fault::KAFKA_BY_CHANCE {
            if faulty && rng.random_bool(0.35) {
                let chance = [0.02, 0.1, 0.3][rng.random_range(0..3)];
                plan.chances.push((fault, chance));
            }
        }
        if faulty && rng.random_bool(0.4) {
            // Members that are out while their transactions go on are what takeovers are about.
            plan.chances
                .retain(|(fault, _)| *fault != Fault::TransactionSlow);
            plan.chances.push((Fault::TransactionSlow, 0.3));
        }
        for fault in Fault::KAFKA_BY_TIME {
            if faulty && rng.random_bool(0.2) {
                let from = rng.random_range(0..span);
                let to = from + [2000, 8000, 30_000][rng.random_range(0..3)];
                plan.windows.push(Window { fault, from, to });
            }
        }
        plan.cluster = Some(ClusterPlan::of(&mut rng, faulty, span));
        plan
    }

    /// Random numbers for one part of a run, so that a change of one part leaves the others.
    pub(crate) fn rng(&self, part: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ (part << 48));
        rng.next_u64();
        rng
    }

    /// From this time on nothing fails any more.
    pub(crate) fn calm(&self) -> Millis {
        let windows = self.windows.iter().map(|window| window.to).max();
        let ends = self.ends.iter().map(|(at, _)| *at).max();
        let script = Millis::try_from(self.operations).unwrap() * 5000 + 20_000;
        let acts = self.cluster.iter().flat_map(|it| &it.acts);
        let acts = acts.map(|act| act.over() + SETTLES).max();
        START
            + script
                .max(windows.unwrap_or(0))
                .max(ends.unwrap_or(0) + 5000)
                .max(acts.unwrap_or(0))
    }
}

/// A sink is away, and people start the process again and again.
fn outage_with_restarts(rng: &mut ChaCha8Rng, span: Millis) -> (Window, Vec<(Millis, End)>) {
    let from = rng.random_range(0..span);
    let kinds = [End::Crash, End::Crash, End::Stop];
    let restarts = (1..8).map(|start| (from + start * 3500, kinds[rng.random_range(0..3)]));
    let outage = Window {
        fault: Fault::Outage,
        from,
        to: from + 30_000,
    };
    (outage, restarts.collect())
}

/// When lives of the process end.
fn ends(rng: &mut ChaCha8Rng, faulty: bool, span: Millis) -> Vec<(Millis, End)> {
    let mut ends: Vec<(Millis, End)> = (0..rng.random_range(0..=3))
        .map(|_| {
            let at = rng.random_range(200..span + 15_000);
            let crash = rng.random_bool(0.8);
            (at, if crash { End::Crash } else { End::Stop })
        })
        .filter(|_| faulty)
        .collect();
    ends.sort_by_key(|(at, _)| *at);
    ends
}

/// When the host's clock is set, and how wrong it is from then on.
fn clock(rng: &mut ChaCha8Rng, faulty: bool, span: Millis) -> Vec<(Millis, Millis)> {
    let mut clock = Vec::new();
    if faulty && rng.random_bool(0.2) {
        for _ in 0..rng.random_range(1..=3) {
            const WRONG: [Millis; 7] = [-240_000, -20_000, -2000, 2000, 20_000, 600_000, 3_600_000];
            let at = rng.random_range(0..span + 10_000);
            clock.push((at, WRONG[rng.random_range(0..WRONG.len())]));
        }
        clock.sort_unstable();
    }
    clock
}
