//! How far a command is, for a person who watches.

use std::io::{IsTerminal as _, Write as _};

/// A line on the standard error that is written over; nothing where that is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    is_shown: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    /// Shows `text` in place of what was shown before.
    pub(crate) fn show(&self, text: &str) {
        if self.is_shown {
            // There is nowhere to complain if the standard error is closed.
            write!(std::io::stderr(), "\r{text}\x1b[K").ok();
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.show("");
    }
}
