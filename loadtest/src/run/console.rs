//! One line that tells how far a run is: over and over on a terminal, every ten seconds elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};

use super::ledger::Counts;

/// Seconds between two lines where there is no terminal.
const QUIET: u64 = 10;

/// Tells how far a run is.
#[derive(Debug)]
pub(crate) struct Console {
    seconds: u32,
    terminal: bool,
}

impl Console {
    /// Of a run that sends for so many seconds.
    pub(crate) fn new(seconds: u32) -> Self {
        Self {
            seconds,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Tells the numbers of second `at`.
    pub(crate) fn tell(&self, at: u64, counts: &Counts, lag: Option<u64>) {
        if !self.terminal && !at.is_multiple_of(QUIET) {
            return;
        }
        let mut line = format!(
            "{at:>4} s of {} | {} sent, {} accepted",
            self.seconds, counts.sent, counts.accepted
        );
        // Writing to a string does not fail.
        for (sink, seen) in &counts.seen {
            write!(line, " | {sink} {seen}").ok();
        }
        if let Some(lag) = lag {
            write!(line, " | lag {lag}").ok();
        }
        self.line(&line);
    }

    /// Tells what is being done.
    pub(crate) fn say(&self, what: &str) {
        self.line(what);
        if self.terminal {
            // Where stderr is closed no one reads it.
            writeln!(io::stderr()).ok();
        }
    }

    fn line(&self, line: &str) {
        let mut err = io::stderr();
        let told = if self.terminal {
            write!(err, "\r\u{1b}[K{line}")
        } else {
            writeln!(err, "{line}")
        };
        told.and_then(|()| err.flush()).ok();
    }
}
