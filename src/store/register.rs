//! Reading a register's clocks and state as the rest of the program speaks of them.

use super::Register;
use crate::event::{Clocks, State};

impl Register {
    /// Clocks of the newest record applied.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            version: self.version,
            commit_time: self.commit_time,
        }
    }

    /// How the subject died, as far as is known: at the sink, or in a dead letter.
    pub(crate) fn death(&self) -> Option<State> {
        let known = [self.state(), self.refused_death()];
        known.into_iter().find(|state| state.is_dead())
    }

    /// Whether the sink holds something of the subject. A register that only lists dead letters
    /// has not been applied.
    pub fn applied(&self) -> bool {
        self.content_time != 0
    }
}
