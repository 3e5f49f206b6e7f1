//! When a member joins its group once more, because its name is taken.
//!
//! Under KIP-848 the brokers refuse a member with the name of one that they have not given up yet,
//! such as that of a process that was killed and starts again at once. Under the classic protocol they
//! fence whoever had a name when another joins with it; the other may be the member itself, which
//! joined again while brokers failed and hears the answer to what it asked before. librdkafka's client is
//! of no use after either, so another one joins. Two processes with one name would take it from each
//! other without end: who was fenced often stops.

use std::collections::VecDeque;
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;

use super::codes::code;

/// Between two tries.
const AGAIN: Duration = Duration::from_secs(2);

/// So many fences within this are another process's doing.
const FENCES: usize = 3;
const WITHIN: Duration = Duration::from_mins(2);

/// What is said of a member that was fenced.
pub(crate) const FENCED: &str = "a member with this `instance` joined after this one, which has no \
     partitions now: it is this one's own if brokers failed while it joined, and another process needs \
     another name; joins again";

/// What is said of a name that is taken.
pub(crate) const NAME_TAKEN: &str = "the brokers still have a member with this `instance`: one that \
     ended without leaving is given up after the group's session timeout, and another process needs \
     another name; will be tried again";

/// Whether the member's name is taken.
pub(crate) fn is_name_taken(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        && code(error) == RDKafkaErrorCode::UnreleasedInstanceId
}

/// Whether a member with the same name joined later.
pub(crate) fn is_fenced(error: &KafkaError) -> bool {
    matches!(error, KafkaError::MessageConsumptionFatal(_))
        && code(error) == RDKafkaErrorCode::FencedInstanceId
}

/// What is to be done about a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fenced {
    /// Told before; it is about to join again.
    Known,
    /// Everything is lost, and it joins again soon.
    JoinsAgain,
    /// It does not join again.
    TooOften,
}

/// The next try.
#[derive(Debug, Default)]
pub(crate) struct Rejoin {
    at: Option<Instant>,
    told: bool,
    fences: VecDeque<Instant>,
}

impl Rejoin {
    /// The name is taken. True if that is to be told: it was not since the last time that it joined.
    pub(crate) fn refused(&mut self) -> bool {
        self.at.get_or_insert_with(|| Instant::now() + AGAIN);
        !std::mem::replace(&mut self.told, true)
    }

    /// It was fenced: what is to be done.
    pub(crate) fn fenced(&mut self) -> Fenced {
        let now = Instant::now();
        if self.at.is_some() {
            return Fenced::Known;
        }
        self.fences
            .retain(|at| now.saturating_duration_since(*at) < WITHIN);
        self.fences.push_back(now);
        if self.fences.len() >= FENCES {
            return Fenced::TooOften;
        }
        self.at = Some(now + AGAIN);
        Fenced::JoinsAgain
    }

    /// It may have been given up. False if it is about to join again.
    pub(crate) fn doubted(&mut self) -> bool {
        let joins = self.at.is_none();
        self.at.get_or_insert_with(Instant::now);
        joins
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

    #[tokio::test(start_paused = true)]
    async fn who_is_fenced_again_and_again_stops() {
        let mut rejoin = Rejoin::default();
        for _ in 0..2 {
            assert_eq!(rejoin.fenced(), Fenced::JoinsAgain);
            assert_eq!(rejoin.fenced(), Fenced::Known);
            tokio::time::advance(AGAIN).await;
            assert!(rejoin.is_due());
            rejoin.joined();
        }
        tokio::time::advance(WITHIN).await;
        for _ in 0..2 {
            assert_eq!(rejoin.fenced(), Fenced::JoinsAgain);
            tokio::time::advance(AGAIN).await;
            assert!(rejoin.is_due());
        }
        assert_eq!(rejoin.fenced(), Fenced::TooOften);
        assert!(!rejoin.is_due());
    }

    #[test]
    fn a_name_that_is_taken_and_a_fence_are_told_from_other_fatal_errors() {
        let of = |code| {
            let error = KafkaError::MessageConsumptionFatal(code);
            (is_name_taken(&error), is_fenced(&error))
        };
        assert_eq!(of(RDKafkaErrorCode::UnreleasedInstanceId), (true, false));
        assert_eq!(of(RDKafkaErrorCode::FencedInstanceId), (false, true));
        assert_eq!(of(RDKafkaErrorCode::Fenced), (false, false));
    }
}
