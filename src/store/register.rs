//! Reading a register's clocks and state as the rest of the program speaks of them.

use super::Register;
use crate::event::{Clocks, Life, State};

impl Register {
    /// Clocks of the newest record applied.
    pub fn clocks(&self) -> Clocks {
        Clocks {
            version: self.version,
            commit_time: self.commit_time,
        }
    }

    /// How the subject died, as far as is known: at the sink, or in a dead letter. An erasure counts
    /// before any other death: nothing of what it is about may be kept (GDPR).
    pub(crate) fn death(&self) -> Option<State> {
        let known = [self.state(), self.refused_death()];
        if known.contains(&State::Erased) {
            return Some(State::Erased);
        }
        known.into_iter().find(|state| state.is_dead())
    }

    /// How much alive the subject is at the sink.
    pub(crate) fn life(&self) -> Life {
        Life::of(self.state(), self.ended)
    }

    /// Whether the sink holds something of the subject. A register that only lists dead letters
    /// has not been applied.
    pub fn applied(&self) -> bool {
        self.content_time != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_in_a_dead_letter_counts_before_the_death_that_the_sink_knows() {
        let register = |state: State, refused: State| Register {
            state: state.into(),
            refused_death: refused.into(),
            ..Register::default()
        };
        let death = |state, refused| register(state, refused).death();
        assert_eq!(death(State::Alive, State::Unknown), None);
        assert_eq!(death(State::Alive, State::Gone), Some(State::Gone));
        assert_eq!(death(State::Removed, State::Gone), Some(State::Removed));
        assert_eq!(death(State::Removed, State::Erased), Some(State::Erased));
        assert_eq!(death(State::Erased, State::Gone), Some(State::Erased));
    }
}
