//! Reading a register's clocks and state as the rest of the program speaks of them.

use super::Register;
use crate::event::Clocks;

impl Register {
    /// Clocks of the newest record applied.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            version: self.version,
            commit_time: self.commit_time,
        }
    }

    /// Whether the sink holds something of the subject. A register that only lists dead letters
    /// has not been applied.
    pub fn applied(&self) -> bool {
        self.content_time != 0
    }
}
