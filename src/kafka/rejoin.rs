//! When a member joins its group once more, because its name is taken.
//!
//! Under KIP-848 the brokers refuse a member with the name of one that they have not given up yet,
//! such as that of a process that was killed and starts again at once. librdkafka's client is of no use
//! after that, so another one joins.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::codes::code;

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);

/// What is said of it.
pub(crate) const NAME_TAKEN: &str = "the brokers still have a member with this `instance`: one that \
     ended without leaving is given up after the group's session timeout, and another process needs \
     another name; will be tried again";

/// Whether the member's name is taken.
pub(crate) fn is_name_taken(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        && code(error) == RDKafkaErrorCode::UnreleasedInstanceId
}

/// The next try.
#[derive(Debug, Default)]
pub(crate) struct Rejoin {
    at: Option<Instant>,
    told: bool,
}

impl Rejoin {
    /// The name is taken. True if that is to be told: it was not since the last time that it joined.
    pub(crate) fn refused(&mut self) -> bool {
        self.at.get_or_insert_with(|| Instant::now() + AGAIN);
        !std::mem::replace(&mut self.told, true)
    }

    /// Whether it is time to try again; once for each time that it was refused.
    pub(crate) fn is_due(&mut self) -> bool {
        self.at.take_if(|at| Instant::now() >= *at).is_some()
    }

    /// It is a member.
    pub(crate) fn joined(&mut self) {
        self.told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_told_once_and_tried_after_each_refusal() {
        let mut rejoin = Rejoin::default();
        assert!(!rejoin.is_due());
        assert!(rejoin.refused() && !rejoin.refused());
        assert!(!rejoin.is_due());
        tokio::time::advance(AGAIN).await;
        assert!(rejoin.is_due() && !rejoin.is_due());
        assert!(!rejoin.refused());
        tokio::time::advance(AGAIN).await;
        assert!(rejoin.is_due());
        rejoin.joined();
        assert!(rejoin.refused());
    }

    #[test]
    fn only_a_name_that_is_taken_is_tried_again() {
        let of = |code| is_name_taken(&KafkaError::MessageConsumptionFatal(code));
        assert!(of(RDKafkaErrorCode::UnreleasedInstanceId));
        assert!(!of(RDKafkaErrorCode::FencedInstanceId));
    }
}
