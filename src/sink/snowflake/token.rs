//! The offset token of a piece. Pure.
//!
//! Guarantee (G5): no two pieces have one token, also where the log was made again under its name.
//! Tokens are compared for equality alone. What a recovery has to know of a piece is in its token.

use uuid::Uuid;

use crate::sink::pieces::{Place, Seal};
use crate::time::Millis;

/// What the token of a piece tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// What tells the event log from others.
    pub(super) log: String,
    /// The partition.
    pub(super) partition: u16,
    /// Where the group stands with the piece.
    pub(super) position: u64,
    /// When it was sealed.
    pub(super) time: Millis,
    /// Rows of it.
    pub(super) rows: u64,
    /// Rows that the channel had refused before it.
    pub(super) errors: u64,
    /// The piece, as its rows name it.
    pub(super) piece: Uuid,
}

impl Token {
    /// The token of a piece of `place`.
    pub(super) fn new(place: &Place, piece: Uuid) -> Self {
        Self {
            log: place.log.clone(),
            partition: place.partition,
            position: 0,
            time: 0,
            rows: 0,
            errors: 0,
            piece,
        }
    }

    /// Its text.
    pub(super) fn seal(&self) -> Seal {
        Seal(format!(
            "{}.{}.{}.{}.{}.{}.{}",
            self.log,
            self.partition,
            self.position,
            self.time,
            self.rows,
            self.errors,
            self.piece.simple()
        ))
    }

    /// What a text tells that [`Self::seal`] made; nothing of any other.
    pub(super) fn of(seal: &Seal) -> Option<Self> {
        let mut parts = seal.0.rsplitn(7, '.');
        let piece = Uuid::try_parse(parts.next()?).ok()?;
        let errors = parts.next()?.parse().ok()?;
        let rows = parts.next()?.parse().ok()?;
        let time = parts.next()?.parse().ok()?;
        let position = parts.next()?.parse().ok()?;
        let partition = parts.next()?.parse().ok()?;
        Some(Self {
            log: parts.next()?.to_owned(),
            partition,
            position,
            time,
            rows,
            errors,
            piece,
        })
    }
}

/// The token of an attempt to append a piece: the piece's own for the first, and others after an
/// attempt of which Snowflake refused every row.
pub(super) fn attempt(seal: &Seal, attempt: u64) -> String {
    match attempt {
        0 => seal.0.clone(),
        _ => format!("{}~{attempt}", seal.0),
    }
}

/// Which attempt a committed token is of; nothing if it is of another piece.
pub(super) fn attempt_of(seal: &Seal, committed: &str) -> Option<u64> {
    match committed.strip_prefix(&seal.0)? {
        "" => Some(0),
        rest => rest.strip_prefix('~')?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn g5_a_token_tells_what_it_was_made_of(
            log in "[A-Za-z0-9._-]{1,36}", partition: u16, position: u64, time: i64,
            rows: u64, errors: u64, piece: u128, tried in 0_u64..9,
        ) {
            let token = Token {
                log, partition, position, time, rows, errors, piece: Uuid::from_u128(piece),
            };
            let seal = token.seal();
            prop_assert_eq!(Token::of(&seal), Some(token));
            prop_assert_eq!(attempt_of(&seal, &attempt(&seal, tried)), Some(tried));
        }
    }

    #[test]
    fn the_name_of_a_file_or_another_piece_is_no_token_of_this_one() {
        let file = Seal("date=2026-11-30/log-p2-000000000077-1f.parquet".to_owned());
        assert_eq!(Token::of(&file), None);
        let seal = Seal("l.0.1.2.3.4.x".to_owned());
        for other in ["l.0.1.2.3.4.y", "l.0.1.2.3.4.x2", "l.0.1.2.3.4.x~", ""] {
            assert_eq!(attempt_of(&seal, other), None, "{other}");
        }
    }
}
