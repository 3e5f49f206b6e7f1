//! A lane whose sink may still do something late, or that it has to look at again.
//!
//! Guarantee (G3): its offsets stay in flight until the newest state was asserted once more.

use tokio::time::Instant;

use super::turn::{Purpose, TurnEnd};

/// So many second looks in a row may ask for another. Two lanes that each take what the other one
/// has would go on for ever: one of them knows an old state, and its newer record is a dead letter.
const LOOKS: u32 = 5;

/// What such a lane waits for.
#[derive(Debug, Clone)]
pub(crate) struct Unsettled {
    /// From this time on an assertion settles it. What is on its way to the sink knows nothing of
    /// a host's clock that was set, so this is none that can be.
    pub(crate) due: Instant,
    /// Offsets that stay in flight until then.
    pub(crate) offsets: Vec<u64>,
    /// Dead letters that are closed with the register, then.
    pub(crate) closes: Vec<String>,
    /// Second looks that asked for another, in a row.
    looks: u32,
}

impl Unsettled {
    pub(crate) fn until(due: Instant) -> Self {
        Self {
            due,
            offsets: Vec::new(),
            closes: Vec::new(),
            looks: 0,
        }
    }

    /// The sink wants another look after this turn; tells whether there is one.
    pub(crate) fn looks_again(&mut self, after: &TurnEnd) -> bool {
        if after.purpose != Purpose::Reassert {
            self.looks = 0;
            return true;
        }
        self.looks += 1;
        if self.looks == LOOKS {
            tracing::warn!(
                subject = after.subject.uri(),
                "the sink's records of it are changed by others each time; see the dead letters of \
                 those that merged with it"
            );
        }
        self.looks < LOOKS
    }
}
