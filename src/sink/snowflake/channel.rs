//! The channel of one partition: its name, and who may append to it.
//!
//! Guarantee (G5): a session is the time between two openings of the channel. A piece is appended in
//! the session that was there when it was sealed, or never: whoever takes the partition over opens the
//! channel before anything else is asked.

use sha2::{Digest as _, Sha256};

use super::wire::Opened;
use crate::sink::pieces::Place;

/// A session, as long as no one else opens the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Session {
    /// Which one, in this life of the process.
    pub(super) number: u64,
    /// What the next append has to bring.
    pub(super) continuation: String,
    /// Rows that the channel has refused so far.
    pub(super) errors: u64,
}

impl Session {
    pub(super) fn new(number: u64, opened: &Opened) -> Self {
        Self {
            number,
            continuation: opened.next_continuation_token.clone(),
            errors: opened.channel_status.errors(),
        }
    }
}

/// `GOLDWIRE-EVENTS-1F0C3A9E52B7-P3`: the sink, which sink of which log it is, and the partition. One
/// case: Snowflake compares names with case in some places, and without in others.
pub(super) fn name(sink: &str, place: &Place) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric();
    let shown = sink.chars().map(|it| if plain(it) { it } else { '_' });
    let shown: String = shown.take(64).collect();
    let digest = Sha256::digest(format!("{sink}\n{}", place.log));
    let digest = hex::encode(digest.get(..6).unwrap_or_default());
    format!("GOLDWIRE-{shown}-{digest}-P{}", place.partition).to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g5_sinks_and_logs_that_differ_have_channels_that_differ_in_more_than_case() {
        let place = |log: &str, partition| Place {
            partition,
            log: log.to_owned(),
            partitions: 4,
        };
        let names = [
            name("events", &place("a", 1)),
            name("Events", &place("a", 1)),
            name("ev-ents", &place("a", 1)),
            name("ev_ents", &place("a", 1)),
            name("events", &place("A", 1)),
            name("events", &place("a", 2)),
        ];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|it| *it == it.to_uppercase()));
    }
}
