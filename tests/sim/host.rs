//! One process: it runs, stands still for a while, or is gone.
//!
//! Whatever it does to the outside waits here while it stands still, between any check and what the
//! check was for. Nothing of one that is gone is done.

use std::ops::Deref;
use std::sync::Arc;

use goldwire::sink::{Effect, Write};
use goldwire::time::Millis;

use super::plan::Kind;
use super::row::Row;
use super::world::{Sending, World};

/// After standing still, what waited goes on within this time, in any order.
const AWAKENING: Millis = 400;

/// What a process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Breath {
    Runs,
    /// Since when.
    Frozen(Millis),
    Gone(Millis),
}

/// One life of one instance.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) world: Arc<World>,
    /// Which of the instances.
    pub(crate) slot: usize,
    /// Which of all lives.
    pub(crate) life: u64,
}

impl Deref for Host {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Host {
    /// A new life of an instance.
    pub(crate) fn born(world: &Arc<World>, slot: usize) -> Arc<Self> {
        let life = world.lock().bear();
        Arc::new(Self {
            world: Arc::clone(world),
            slot,
            life,
        })
    }

    /// Stands still, goes on, or is gone.
    pub(crate) fn becomes(&self, breath: Breath) {
        let changed = {
            let mut state = self.world.lock();
            state.lives.insert(self.life, breath);
            Arc::clone(&state.breathed)
        };
        changed.notify_waiters();
    }

    pub(crate) fn breath(&self) -> Breath {
        self.world.lock().lives[&self.life]
    }

    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.breath(), Breath::Gone(_))
    }

    /// Waits while it stands still; without end if it is gone.
    pub(crate) async fn awake(&self) {
        let mut stood = false;
        loop {
            let breathed = Arc::clone(&self.world.lock().breathed);
            let changed = breathed.notified();
            if self.breath() == Breath::Runs {
                if !std::mem::take(&mut stood) {
                    return;
                }
                self.world.pause(AWAKENING).await;
                continue;
            }
            stood = true;
            changed.await;
        }
    }

    /// Waits until it is gone.
    pub(crate) async fn gone(&self) {
        loop {
            let breathed = Arc::clone(&self.world.lock().breathed);
            let changed = breathed.notified();
            if self.is_gone() {
                return;
            }
            changed.await;
        }
    }

    /// Waits, in simulated time, and as long as it stands still.
    pub(crate) async fn pause(&self, longest: Millis) {
        self.world.pause(longest).await;
        self.awake().await;
    }

    /// What was sent is on its way, whatever becomes of the process.
    pub(crate) async fn wire(&self, longest: Millis) {
        self.world.pause(longest).await;
    }

    /// These are being written until what this gives is dropped.
    pub(crate) fn sends(&self, kind: Kind, batch: &[Write]) -> Sending<'_> {
        self.world.sends(self.life, kind, batch)
    }

    /// What was delivered once may be delivered once more.
    pub(crate) fn reborn(&self, kind: Kind) {
        let mut state = self.world.lock();
        let target = state.targets.get_mut(&kind).unwrap();
        target.reborn(self.life);
    }

    /// A sink is about to say that it took a row.
    pub(crate) fn acknowledge(&self, kind: Kind, row: &Row, effect: Effect) {
        self.world.acknowledge(self.life, kind, row, effect);
    }
}
