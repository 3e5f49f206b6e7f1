//! Why a command failed, and the exit code that says so: those of `sysexits.h`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::absolute;
use crate::config::LoadError;
use crate::topology::counted;

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
    /// The configuration: what is wrong with it, and which file it is.
    #[error("{}", told(.0, .1))]
    Config(LoadError, PathBuf),
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

/// One line a problem, then the file that they are in, unless the file itself is the problem.
fn told(error: &LoadError, file: &Path) -> String {
    let of_file = |path: &str| Path::new(path) == file;
    if error.0.iter().any(|problem| of_file(&problem.path)) {
        let place = absolute(file);
        return match Path::new(&place).parent() {
            Some(folder) if !file.is_absolute() => {
                format!("{error}\nlooked in {}", folder.display())
            }
            Some(_) | None => error.to_string(),
        };
    }
    let problems = counted(error.0.len(), "problem");
    format!("{error}\n{problems} in {}", absolute(file))
}

impl CliError {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Config(..) | Self::Usage(_) => USAGE,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Internal(_) => INTERNAL,
        })
    }
}
