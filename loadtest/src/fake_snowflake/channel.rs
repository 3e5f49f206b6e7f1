//! A channel: what was appended, what of it is committed, and whose turn it is.

use serde_json::{Map, Value, json};

use super::RowErrors;
use crate::time::{Millis, as_millis};

/// A channel that no one uses for so long is deleted, and its offset token with it.
pub(super) const UNUSED: Millis = 30 * 24 * 60 * 60 * 1000;

/// A row of the table, by column.
pub type SnowflakeRow = Map<String, Value>;

/// What was appended with one request.
#[derive(Debug)]
struct Appended {
    rows: Vec<SnowflakeRow>,
    /// Its end offset token.
    token: String,
    at: Millis,
}

/// A named channel of the pipe.
#[derive(Debug)]
pub(super) struct Channel {
    /// As it was spelled when it was made: names are compared without case, but for the status.
    pub(super) name: String,
    sequencer: u64,
    /// Requests that were taken since it was opened.
    turn: u64,
    committed: Option<String>,
    buffered: Vec<Appended>,
    created: Millis,
    pub(super) used: Millis,
    inserted: u64,
    parsed: u64,
    errors: u64,
    error_at: Option<String>,
    message: Option<&'static str>,
    /// Its pipe was made again, or failed over: it has to be opened again.
    pub(super) invalid: bool,
}

impl Channel {
    /// One that no one has opened yet. `token`: what its maker says of an earlier life.
    pub(super) fn new(name: &str, token: Option<String>, now: Millis) -> Self {
        Self {
            name: name.to_owned(),
            sequencer: 0,
            turn: 0,
            committed: token,
            buffered: Vec::new(),
            created: now,
            used: now,
            inserted: 0,
            parsed: 0,
            errors: 0,
            error_at: None,
            message: None,
            invalid: false,
        }
    }

    /// Opens it: whoever had it before has it no more, and what is not committed is gone.
    pub(super) fn open(&mut self, now: Millis) {
        self.sequencer += 1;
        self.turn = 0;
        self.used = now;
        self.invalid = false;
        self.discard();
    }

    /// What is not committed never will be.
    pub(super) fn discard(&mut self) {
        self.buffered.clear();
    }

    /// Rows that are not committed.
    pub(super) fn waiting(&self) -> usize {
        self.buffered.iter().map(|it| it.rows.len()).sum()
    }

    /// What the next append has to bring.
    pub(super) fn continuation(&self) -> String {
        format!("{}_{}_{}", self.sequencer, self.turn, self.created)
    }

    /// Takes rows: they are buffered, and no more than that.
    pub(super) fn append(&mut self, rows: Vec<SnowflakeRow>, token: String, now: Millis) {
        self.turn += 1;
        self.used = now;
        let at = now;
        self.buffered.push(Appended { rows, token, at });
    }

    /// Commits what was appended before `until`, row by row: those refused are skipped, and
    /// counted. The rows that are in the table now.
    pub(super) fn commit(&mut self, until: Millis, refuses: &RowErrors) -> Vec<SnowflakeRow> {
        let mut made = Vec::new();
        while self.buffered.first().is_some_and(|first| first.at <= until) {
            let Appended { rows, token, .. } = self.buffered.remove(0);
            for row in rows {
                self.parsed += 1;
                if refuses.refuse(&row) {
                    self.errors += 1;
                    self.error_at = Some(token.clone());
                    self.message = Some(REFUSED);
                } else {
                    self.inserted += 1;
                    made.push(row);
                }
            }
            self.committed = Some(token);
        }
        made
    }

    /// Its status; `errors` is what the count of refused rows is called.
    pub(super) fn status(&self, errors: &str) -> Value {
        let mut status = json!({
            "channel_status_code": if self.invalid { "INVALID" } else { "SUCCESS" },
            "last_committed_offset_token": self.committed,
            "created_on_ms": self.created,
            "rows_inserted": self.inserted,
            "rows_parsed": self.parsed,
            "last_error_offset_upper_bound": self.error_at,
            "last_error_message": self.message,
            "last_error_timestamp": self.error_at.as_ref().map(|_| self.used),
            "snowflake_avg_processing_latency_ms": 0,
        });
        if let Some(status) = status.as_object_mut() {
            status.insert(errors.to_owned(), self.errors.into());
        }
        status
    }

    /// Whether it is to be deleted.
    pub(super) fn is_unused(&self, now: Millis) -> bool {
        now.saturating_sub(self.used) >= UNUSED
    }
}

/// What the status says of a refused row: it quotes the row's value, as the real one does.
const REFUSED: &str = "Numeric value 'Ada Lovelace' is not recognized, column \"VERSION\"";

/// The last moment of appends that are committed now.
pub(super) fn until(now: Millis, lag: std::time::Duration) -> Millis {
    now.saturating_sub(as_millis(lag))
}
