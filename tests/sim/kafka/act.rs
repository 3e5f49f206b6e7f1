//! What happens to instances: killed, stopped, frozen, and moved about.

use goldwire::time::Millis;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

/// What becomes of an instance's disk while it is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is there.
    Kept,
    /// It is as it was when the instance last started.
    Old,
    /// There is another.
    Lost,
}

/// What happens to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// It is killed, and started again.
    Kill { down: Millis, disk: Fate },
    /// It is stopped in order, and started again.
    Stop { down: Millis, disk: Fate },
    /// It stands still, and goes on.
    Freeze { lasts: Millis },
    /// Partitions move for no reason.
    Shuffle,
}

/// Something that happens, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act {
    pub(crate) at: Millis,
    pub(crate) slot: usize,
    pub(crate) what: What,
}

impl Act {
    /// When it is over.
    pub(crate) fn over(&self) -> Millis {
        self.at
            + match self.what {
                What::Kill { down, .. } | What::Stop { down, .. } => down,
                What::Freeze { lasts } => lasts,
                What::Shuffle => 0,
            }
    }
}

/// The instances of a plan.
#[derive(Debug, Clone)]
pub(crate) struct ClusterPlan {
    pub(crate) instances: usize,
    /// Instances have names, and keep their partitions through a short restart.
    pub(crate) fixed: bool,
    pub(crate) acts: Vec<Act>,
}

impl ClusterPlan {
    pub(crate) fn of(rng: &mut ChaCha8Rng, faulty: bool, span: Millis) -> Self {
        let instances = rng.random_range(2..=3);
        let fixed = rng.random_bool(0.5);
        let mut acts = Vec::new();
        for slot in 0..instances {
            let mut at = rng.random_range(500..span.max(1000) + 5000);
            for _ in 0..rng.random_range(0..=3) {
                if !faulty || at > span + 15_000 {
                    break;
                }
                let what = what(rng);
                let act = Act { at, slot, what };
                at = act.over() + rng.random_range(500..8000);
                acts.push(act);
            }
        }
        acts.sort_by_key(|act| act.at);
        Self {
            instances,
            fixed,
            acts,
        }
    }
}

fn what(rng: &mut ChaCha8Rng) -> What {
    let down = [50, 2000, 12_000][rng.random_range(0..3)];
    let disk = [Fate::Kept, Fate::Kept, Fate::Old, Fate::Lost][rng.random_range(0..4)];
    match rng.random_range(0..10) {
        0..3 => What::Kill { down, disk },
        3 => What::Stop { down, disk },
        4..7 => What::Freeze {
            lasts: [300, 4000, 8000, 20_000][rng.random_range(0..4)],
        },
        _ => What::Shuffle,
    }
}
