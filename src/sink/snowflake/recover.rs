//! What became of a piece that an earlier life sealed, and rows that were refused.
//!
//! Guarantee (G5): the channel is opened before anything is said, so that a process that still has
//! the piece cannot append it any more. A piece of which some rows are in the table is not appended
//! again before a person has said that they were deleted.

use super::config::LostChannel;
use super::piece::Appends;
use super::rows::columns;
use super::token::{Token, attempt_of};
use super::wire::Status;
use crate::sink::SinkError;
use crate::sink::pieces::{Landed, Seal};
use crate::time::Millis;

/// Snowflake deletes a channel that was unused for 30 days, with its token. A day less: clocks differ.
const UNUSED: Millis = 29 * 24 * 60 * 60 * 1000;
/// Letters of a message at most.
const MOST: usize = 200;

impl Appends {
    /// As [`Pieces::landed`](crate::sink::pieces::Pieces::landed).
    pub(super) async fn recover(&self, seal: &Seal) -> Result<Landed, SinkError> {
        let Some(token) = Token::of(seal) else {
            tracing::warn!(
                piece = seal.0,
                "is of another kind of sink; not appended here"
            );
            return Ok(Landed::Never);
        };
        let known = self.shared.wire.status(&self.channel).await?;
        let known = known.is_some_and(|it| it.last_committed_offset_token.is_some());
        let age = self.shared.clock.now().saturating_sub(token.time);
        if !known && age >= UNUSED {
            match self.shared.lost_channel {
                LostChannel::Halt => return Err(self.lost(&token)),
                LostChannel::Committed => return Ok(Landed::Yes),
                LostChannel::NotCommitted => {}
            }
        }
        let status = self.reopened().await?;
        let last = status.last_committed_offset_token.as_deref();
        let tried = last.and_then(|last| attempt_of(seal, last));
        match tried {
            Some(tried) => self.recovered(seal, (&token, tried), &status),
            None => Ok(Landed::Never),
        }
    }

    /// The piece is committed; whether its rows are in the table.
    fn recovered(
        &self,
        seal: &Seal,
        (token, tried): (&Token, u64),
        status: &Status,
    ) -> Result<Landed, SinkError> {
        // Of the attempts before, every row was refused.
        let before = token
            .errors
            .saturating_add(tried.saturating_mul(token.rows));
        let refused = status.errors().saturating_sub(before);
        let marked = status.last_error_offset_upper_bound == status.last_committed_offset_token;
        if refused == 0 && !marked {
            return Ok(Landed::Yes);
        }
        let error = self.refused(seal, (refused, token.rows), status);
        let is_deleted = self.shared.deleted_pieces.contains(&token.piece);
        if refused < token.rows && !is_deleted {
            return Err(error);
        }
        tracing::error!(
            channel = self.channel,
            rows = token.rows,
            refused,
            "{error}. Its records are read again"
        );
        Ok(Landed::Never)
    }

    /// Rows were refused: what a person has to do.
    pub(super) fn refused(
        &self,
        seal: &Seal,
        (refused, rows): (u64, u64),
        status: &Status,
    ) -> SinkError {
        let table = &self.shared.table;
        let message = status.last_error_message.as_deref().unwrap_or_default();
        let message = masked(message);
        let mend = format!(
            "Snowflake refused {refused} of {rows} rows of an append to {table}: {message}. Make the \
             table's columns as `goldwire schema snowflake` prints"
        );
        if refused >= rows {
            return SinkError::Systemic {
                code: "rows_refused".to_owned(),
                remedy: format!("{mend}; the rows are then appended again"),
            };
        }
        let piece = Token::of(seal).map(|token| token.piece.simple().to_string());
        let piece = piece.unwrap_or_default();
        SinkError::Systemic {
            code: "rows_refused_in_part".to_owned(),
            remedy: format!(
                "{mend}, then DELETE FROM {table} WHERE piece = '{piece}', and start goldwire with \
                 `deleted_pieces: [\"{piece}\"]`: all rows of that append are then appended again. Without \
                 the DELETE those that were not refused stand there twice, with the same id"
            ),
        }
    }

    /// No one can know whether the piece was committed: what a person has to do.
    fn lost(&self, token: &Token) -> SinkError {
        let (table, piece) = (&self.shared.table, token.piece.simple());
        SinkError::Systemic {
            code: "channel_lost".to_owned(),
            remedy: format!(
                "the channel {} was unused for 30 days, and Snowflake deleted it with what it knew of \
                 an append of {} rows. SELECT COUNT(*) FROM {table} WHERE piece = '{piece}': if it is \
                 {}, start goldwire with `lost_channel: committed`; if 0, with `lost_channel: \
                 not_committed`; afterwards take the key out again",
                self.channel, token.rows, token.rows
            ),
        }
    }
}

/// A message without what it quotes, except names of columns: values of a record stay out of logs
/// (G10).
fn masked(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut shown = String::new();
    let mut rest = line;
    while let Some(start) = rest.find(['\'', '"']) {
        let (head, quoted) = rest.split_at(start);
        let quote = quoted.chars().next().unwrap_or('\'');
        let inner = quoted.strip_prefix(quote).unwrap_or_default();
        shown.push_str(head);
        // A quote without its other half: what follows may be a value.
        let (name, after) = inner.split_once(quote).unwrap_or((inner, ""));
        let known = columns().any(|it| it.eq_ignore_ascii_case(name));
        shown.push(quote);
        shown.push_str(if known { name } else { "…" });
        shown.push(quote);
        rest = after;
    }
    shown.push_str(rest);
    shown.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn g10_what_a_message_quotes_is_not_shown_but_for_a_column() {
        for (message, shown) in [
            (
                "Numeric value 'Ada' is not recognized, column \"VERSION\"",
                "Numeric value '…' is not recognized, column \"VERSION\"",
            ),
            (
                "Failed to cast variant value \"Ada L",
                "Failed to cast variant value \"…\"",
            ),
            ("it's Ada's", "it'…'s"),
            ("one line\nAda", "one line"),
        ] {
            assert_eq!(masked(message), shown);
        }
    }
}
