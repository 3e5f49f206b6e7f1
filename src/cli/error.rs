//! Why a command failed, and the exit code that says so: those of `sysexits.h`.

use std::process::ExitCode;

use crate::config::LoadError;

/// `EX_USAGE`.
pub(super) const USAGE: u8 = 64;
/// `EX_UNAVAILABLE`.
pub(super) const UNAVAILABLE: u8 = 69;
/// `EX_SOFTWARE`.
pub(super) const INTERNAL: u8 = 70;

/// `EX_TEMPFAIL`.
pub(super) const TOLD_TWICE: u8 = 75;

/// Why a command failed: one sentence with the remedy, or one line a problem.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration.
    #[error("{0}")]
    Config(LoadError),
    /// The command line.
    #[error("{0}")]
    Usage(String),
    /// Something needed is not available.
    #[error("{0}")]
    Unavailable(String),
    /// A mistake in goldwire itself.
    #[error("{0}")]
    Internal(String),
}

impl CliError {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(_) | Self::Usage(_) => USAGE,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Internal(_) => INTERNAL,
        })
    }
}
