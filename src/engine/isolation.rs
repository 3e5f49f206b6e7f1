//! A record that kills the process is found by what was being sent when it died.
//!
//! After an unclean stop the batches that are sent are noted durably just before the send, and
//! forgotten after it. If the process dies with such notes, the noted records are suspects: each is
//! sent alone in the whole process, with a note of its own. One that was alone in flight at several
//! deaths is dead-lettered. Waiting at a gate, for `settle` or for Reltio is not trying, and an
//! orderly stop clears everybody.

use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A record that was alone in flight at so many deaths of the process is not sent again.
const DEATHS: u32 = 3;
/// A write that lasts longer than this is the target's matter: a record that kills the process
/// does so at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a record was in flight when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Blame {
    /// It was.
    pub(crate) suspect: bool,
    /// How often nothing else was.
    pub(crate) deaths: u32,
}

impl Blame {
    /// What is known of a record that stops the process.
    pub(crate) const KILLS: Self = Self {
        suspect: true,
        deaths: DEATHS,
    };

    /// Whether it is what stops the process.
    pub(crate) fn kills(self) -> bool {
        self.deaths >= DEATHS
    }
}

/// Who sends in this process: many together, or a suspect alone.
#[derive(Debug, Default)]
pub struct Isolation {
    sends: RwLock<()>,
}

/// Held while something is sent.
#[derive(Debug)]
pub(crate) enum Sending<'a> {
    Together { _guard: RwLockReadGuard<'a, ()> },
    Alone { _guard: RwLockWriteGuard<'a, ()> },
}

impl Isolation {
    /// Waits until a batch may be sent; a suspect's alone.
    pub(crate) async fn enter(&self, alone: bool) -> Sending<'_> {
        if alone {
            let guard = self.sends.write().await;
            Sending::Alone { _guard: guard }
        } else {
            let guard = self.sends.read().await;
            Sending::Together { _guard: guard }
        }
    }
}
