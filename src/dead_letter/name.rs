//! The name of one letter, as people write it: `crm/9f3c…:0`.

use std::fmt;
use std::str::FromStr;

use super::{DeadLetter, shown_sink, stored_sink};
use crate::store::keys;

/// Sink, event id and round: what a letter is keyed by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LetterName {
    /// The sink; empty for ingest's own.
    pub sink: String,
    /// The event's id.
    pub id: String,
    /// How often the record had been redriven.
    pub round: u32,
}

impl LetterName {
    /// The name of `letter`.
    pub fn of(letter: &DeadLetter) -> Self {
        Self {
            sink: letter.sink.clone(),
            id: letter.id.clone(),
            round: letter.round,
        }
    }

    /// Its key in the store.
    pub(super) fn key(&self) -> Vec<u8> {
        keys::dead_letter(&self.sink, &self.id, self.round)
    }
}

impl fmt::Display for LetterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", shown_sink(&self.sink), self.id, self.round)
    }
}

impl FromStr for LetterName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (sink, rest) = text.split_once('/')?;
            let (id, round) = rest.rsplit_once(':')?;
            let known = !sink.is_empty() && !id.is_empty() && !id.contains('\0');
            let (sink, id) = (stored_sink(sink).to_owned(), id.to_owned());
            known.then_some(Self {
                sink,
                id,
                round: round.parse().ok()?,
            })
        };
        parse().ok_or_else(|| {
            format!(
                "{text:?} names no letter; write SINK/ID:ROUND as `goldwire dlq list` prints it"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_is_printed() {
        for text in ["crm/0af3:2", "ingest/0af3:0"] {
            let name: LetterName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("ingest/a:0".parse::<LetterName>().unwrap().sink, "");
        for text in ["crm", "crm/a", "crm/a:x", "/a:1", "crm/:1", ""] {
            assert!(text.parse::<LetterName>().is_err(), "{text}");
        }
    }
}
