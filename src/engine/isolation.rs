//! A record that kills the process is found by what was being sent when it died.
//!
//! After an unclean stop the batches that are sent are noted durably just before the send, and
//! forgotten after it. If the process dies with such notes, the noted records are suspects: a few of
//! them are sent together while nothing else is sent in the whole process, with notes of their own.
//! What was in flight at a death in such a group is sent alone, and what was alone in flight at
//! several deaths is dead-lettered. Waiting at a gate, for `settle` or for Reltio is not trying, and
//! an orderly stop clears everybody.

use std::time::Duration;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A record that was in flight as a suspect at so many deaths of the process is not sent again. At
/// the first of them it may have had others beside it, at the next three it was alone.
const DEATHS: u32 = 4;
/// So many suspects are sent together before one of them was in flight at a second death. A note
/// takes a disk a fraction of a millisecond, Kafka some milliseconds, and everything else waits
/// meanwhile: a kill under load leaves thousands of suspects.
const GROUP: usize = 32;
/// A write that lasts longer than this is the target's matter: a record that kills the process
/// does so at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a record was in flight when the process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Blame {
    /// It was.
    pub(crate) suspect: bool,
    /// How often it was as a suspect, with nothing but its group.
    pub(crate) deaths: u32,
}

impl Blame {
    /// What is known of a record that stops the process.
    pub(crate) const KILLS: Self = Self {
        suspect: true,
        deaths: DEATHS,
    };

    /// How many writes may be sent together with one that has this blame, itself included.
    pub(crate) fn company(self) -> usize {
        match (self.suspect, self.deaths) {
            (false, _) => usize::MAX,
            (true, 0) => GROUP,
            (true, _) => 1,
        }
    }

    /// Whether it is what stops the process.
    pub(crate) fn kills(self) -> bool {
        self.deaths >= DEATHS
    }
}

/// Who sends in this process: many together, or suspects with no one else.
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
    /// Waits until a batch may be sent; one of suspects with nothing else.
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
