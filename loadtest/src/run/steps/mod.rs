//! The steps of a ramp: each is judged when it is over, and the highest rate that met the objectives
//! is told.

mod judge;
mod reached;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use watch::Ramp;

/// What was counted up to the end of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Webhook requests.
    pub(crate) requests: u64,
    /// Of those, answered 2xx.
    pub(crate) answered: u64,
    /// What sinks showed that was never sent, or was older than what they had.
    pub(crate) wrong: u64,
    /// Dead letters of all sinks.
    pub(crate) letters: u64,
}
